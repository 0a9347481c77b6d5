// A pglease with a user and password of its configuration, before the shared PostgreSQL: what tests of the pool need.
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { poll } from './child.ts'
import type { Pglease, PgleaseOptions } from './pglease.ts'
import { type PostgresServer, type Row, sharedPostgres } from './postgres.ts'
import { type LoginOptions, type RawClient, rawLogin } from './raw-client.ts'
import type { Scenario } from './scenario.ts'
import { unique } from './vault-database.ts'

const PASSWORD = 'pw-of-links'

export interface FixedOptions {
  /** Top-level settings. */
  settings?: Record<string, unknown>
  /** Settings of the database; `host` and `port` lead to a relay in place of PostgreSQL. */
  facts?: Record<string, unknown>
  env?: PgleaseOptions['env']
  /** Runs as the superuser in the new database before pglease starts. */
  sql?: string
  /** With probes and metrics. */
  http?: boolean
  /** In place of the shared one. */
  postgres?: PostgresServer
}

/** The database is called `app` by clients, whatever its name on the server. */
export class FixedDatabase {
  readonly pglease: Pglease
  readonly postgres: PostgresServer
  /** Name on the server. */
  readonly name: string
  /** The role of the links. */
  readonly user: string
  readonly password = PASSWORD
  readonly #run: Scenario

  constructor(run: Scenario, pglease: Pglease, postgres: PostgresServer, name: string, user: string) {
    this.#run = run
    this.pglease = pglease
    this.postgres = postgres
    this.name = name
    this.user = user
  }

  /** A client of the `pg` driver that ends with the scenario. */
  async client(user?: string): Promise<pg.Client & { errors: Error[] }> {
    const client = await this.pglease.client('app', user)
    this.#run.defer(() => client.end().catch(() => undefined))
    return client
  }

  /** A raw client that is logged in. */
  async raw(options: Partial<LoginOptions> = {}): Promise<RawClient> {
    const client = await rawLogin({ port: this.pglease.port }, { user: 'anyone', database: 'app', ...options })
    this.#run.defer(() => client.socket.destroy())
    return client
  }

  /** A raw client of PostgreSQL itself. */
  async direct(options: Partial<LoginOptions> = {}): Promise<RawClient> {
    const { superuser: user, password } = this.postgres
    const client = await rawLogin(this.postgres, { user, password, database: this.name, ...options })
    this.#run.defer(() => client.socket.destroy())
    return client
  }

  /** Runs `text` as the superuser in this database, past pglease. */
  sql<T extends Row = Row>(text: string): Promise<T[]> {
    return this.postgres.sql<T>(text, this.name)
  }

  /** The server's processes of our links that match `condition`. */
  async backends(condition = 'true'): Promise<number[]> {
    const rows = await this.postgres.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE usename = '${this.user}' AND ${condition}`,
    )
    return rows.map(({ pid }) => pid)
  }

  /** Waits until so many of our links match `condition`. */
  waitForBackends(count: number, condition = 'true', waitMs?: number): Promise<number[]> {
    const attempt = async () => {
      const found = await this.backends(condition)
      return found.length === count ? found : undefined
    }
    return poll(`${count} server connections with ${condition}`, attempt, waitMs)
  }
}

/** A database and a role of the test's own, and pglease before them. */
export async function fixedDatabase(run: Scenario, options: FixedOptions = {}): Promise<FixedDatabase> {
  const postgres = options.postgres ?? (await sharedPostgres())
  const name = await postgres.createDatabase()
  const user = unique('user_')
  await postgres.createUser(user, PASSWORD)
  run.defer(async () => {
    await postgres.dropDatabase(name)
    await postgres.sql(`DROP ROLE "${user}"`)
  })
  if (options.sql) await postgres.sql(options.sql, name)
  const { host, port } = postgres
  const pglease = await run.pglease({
    config: {
      ...(options.http ? {} : { http_addr: '', admin_addr: '' }),
      ...options.settings,
      databases: { app: { host, port, dbname: name, user, password: PASSWORD, server_tls_sslmode: 'disable', ...options.facts } },
    },
    ...(options.env ? { env: options.env } : {}),
  })
  return new FixedDatabase(run, pglease, postgres, name, user)
}

/** The one value of the one row of `text`. */
export async function value(client: pg.Client, text: string): Promise<unknown> {
  const { rows } = await client.query({ text, rowMode: 'array' })
  return (rows as unknown[][])[0]?.[0]
}

/** The process of the link that serves `client` now. */
export async function backendOf(client: pg.Client): Promise<number> {
  return Number(await value(client, 'SELECT pg_backend_pid()'))
}

/** SQLSTATE of the error that `attempt` ends with, '' when it succeeds. */
export async function sqlstateOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt
    return ''
  } catch (error) {
    if (error instanceof pg.DatabaseError) return error.code ?? ''
    throw error
  }
}

/** Bytes of memory that process `pid` has resident now. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1024
}
