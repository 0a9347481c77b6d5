// A real PostgreSQL server of the test's own, or the run's shared one.
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { cacheDirectory } from '../../scripts/lib/cache.ts'
import type { Certificate } from './certificates.ts'
import { type Child, freePort, poll, standStill } from './child.ts'
import { insertHba, type PostgresVersion, runAsDatabaseUser, unprivileged } from './postgres-binaries.ts'

const SUPERUSER = 'postgres'
const PASSWORD = 'superuser-of-tests'
/** The group role that owns what leased roles make: `IN ROLE app`. */
export const GROUP_ROLE = 'app'

export interface PostgresOptions {
  version?: PostgresVersion
  /** Lines of postgresql.conf, by name. */
  config?: Record<string, string | number | boolean>
  /** Lines of pg_hba.conf that come before the default ones (scram-sha-256 for all). */
  hba?: readonly string[]
  maxConnections?: number
}

interface PostgresAddress {
  host: string
  port: number
  socketDirectory: string
  superuser: string
  password: string
}

export type Row = Record<string, unknown>

/** What every test may do with a server, its own or shared. */
export class PostgresServer {
  readonly host: string
  readonly port: number
  readonly socketDirectory: string
  readonly superuser: string
  readonly password: string

  constructor(address: PostgresAddress) {
    this.host = address.host
    this.port = address.port
    this.socketDirectory = address.socketDirectory
    this.superuser = address.superuser
    this.password = address.password
  }

  /** For PGLEASE_TEST_POSTGRES. */
  get address(): PostgresAddress {
    return { host: this.host, port: this.port, socketDirectory: this.socketDirectory, superuser: this.superuser, password: this.password }
  }

  /** Options for `pg` as the superuser. */
  connection(database = 'postgres'): pg.ClientConfig {
    return { host: this.host, port: this.port, user: this.superuser, password: this.password, database, connectionTimeoutMillis: 10_000 }
  }

  /** Runs `text` as the superuser on a connection of its own and answers its rows (those of the last statement). */
  async sql<T extends Row = Row>(text: string, database = 'postgres', values?: readonly unknown[]): Promise<T[]> {
    const client = new pg.Client(this.connection(database))
    client.on('error', () => undefined) // a connection lost between statements shows in the query
    await client.connect()
    try {
      const answer = values ? await client.query(text, [...values]) : await client.query(text)
      const last = Array.isArray(answer) ? answer.at(-1) : answer
      return (last?.rows ?? []) as T[]
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  /** Makes a database (named by chance unless given) that the group role `app` may use and create in. Answers its name. */
  async createDatabase(name = `test_${randomBytes(5).toString('hex')}`): Promise<string> {
    await this.createGroupRole(GROUP_ROLE)
    await this.sql(`CREATE DATABASE "${name}"`)
    await this.sql(`GRANT ALL ON DATABASE "${name}" TO ${GROUP_ROLE}; GRANT USAGE, CREATE ON SCHEMA public TO ${GROUP_ROLE}`, name)
    return name
  }

  async dropDatabase(name: string): Promise<void> {
    await this.sql(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  }

  async createGroupRole(name: string): Promise<void> {
    await this.sql(`DO $$ BEGIN CREATE ROLE "${name}" NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`)
  }

  /** Makes a login role with `password`, a member of `app`. */
  async createUser(name: string, password: string): Promise<void> {
    await this.createGroupRole(GROUP_ROLE)
    await this.sql(`CREATE ROLE "${name}" LOGIN PASSWORD '${password.replaceAll("'", "''")}' IN ROLE ${GROUP_ROLE}`)
  }
}

/** A server that this test started: it may be stopped, restarted, killed and frozen. */
export class OwnPostgres extends PostgresServer {
  readonly directory: string
  readonly #version: PostgresVersion
  #child: Child | undefined

  constructor(directory: string, port: number, version: PostgresVersion) {
    super({ host: '127.0.0.1', port, socketDirectory: directory, superuser: SUPERUSER, password: PASSWORD })
    this.directory = directory
    this.#version = version
  }

  /** The server's log, last 200 lines. */
  get log(): string {
    return this.#child?.tail() ?? ''
  }

  /** Starts the server (again) and waits until it accepts connections. */
  async start(): Promise<void> {
    if (this.#child && !this.#child.ended) throw new Error('PostgreSQL already runs')
    const data = join(this.directory, 'data')
    // After kill() the old backends may still hold the shared memory for a moment.
    await poll('PostgreSQL starts', async () => {
      const child = runAsDatabaseUser(this.#version, 'postgres', ['-D', data], this.directory)
      this.#child = child
      try {
        await child.waitForLine((line) => /database system is ready to accept (read-only )?connections/.test(line))
        return true
      } catch (error) {
        if (!child.ended) await child.stop('SIGKILL')
        if (child.tail().includes('shared memory block')) return undefined
        throw error
      }
    })
  }

  /** From now on new connections may ask for TLS. */
  async useTls({ cert, key }: Certificate): Promise<void> {
    const file = (name: string) => join(this.directory, 'data', name)
    writeFileSync(file('server.crt'), cert)
    writeFileSync(file('server.key'), key.reveal(), { mode: 0o600 })
    unprivileged().own(this.directory)
    await this.sql('ALTER SYSTEM SET ssl = on')
    await this.sql('SELECT pg_reload_conf()')
    await poll('TLS is on', async () => (await this.sql('SHOW ssl'))[0]?.ssl === 'on' || undefined)
  }

  /** A fast shutdown: sessions get 57P01. */
  async stopServer(): Promise<void> {
    this.thaw()
    await this.#child?.stop('SIGINT')
  }

  async restart(): Promise<void> {
    await this.stopServer()
    await this.start()
  }

  /** SIGKILL to the postmaster; its backends end by themselves. `start` brings it back. */
  async kill(): Promise<void> {
    await this.#child?.stop('SIGKILL')
  }

  /** SIGSTOP to the server and all its backends: connections stay open and nothing answers. */
  async freeze(): Promise<void> {
    this.#signalAll('SIGSTOP')
    const child = this.#child
    if (child) await standStill([child.pid, ...childrenOf(child.pid)])
  }

  thaw(): void {
    this.#signalAll('SIGCONT')
  }

  /** Stops the server and removes its data. */
  async stop(): Promise<void> {
    await this.stopServer()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #signalAll(signal: NodeJS.Signals): void {
    const child = this.#child
    if (!child || child.ended) return
    child.signal(signal) // first, so that it forks no more
    for (const pid of childrenOf(child.pid)) {
      try {
        process.kill(pid, signal)
      } catch {
        // ended meanwhile
      }
    }
  }
}

function childrenOf(parent: number): number[] {
  const children: number[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ')
      if (Number(fields[1]) === parent) children.push(Number(name))
    } catch {
      // ended meanwhile
    }
  }
  return children
}

/** A data directory made once per version and machine; a server starts on a copy of it. */
async function template(version: PostgresVersion): Promise<string> {
  const folder = join(unprivileged().kind === 'setpriv' ? tmpdir() : cacheDirectory(), `postgres-${version}-template-1`)
  if (existsSync(join(folder, 'PG_VERSION'))) return folder
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pglease-initdb-')))
  chmodSync(work, 0o755)
  writeFileSync(join(work, 'password'), `${PASSWORD}\n`, { mode: 0o644 })
  const args = ['-D', join(work, 'data'), '-U', SUPERUSER, '--auth=scram-sha-256', `--pwfile=${join(work, 'password')}`]
  const child = runAsDatabaseUser(version, 'initdb', [...args, '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'], work)
  const { code } = await child.exit
  if (code !== 0) throw new Error(`initdb failed\n${child.tail()}`)
  try {
    renameSync(join(work, 'data'), folder)
  } catch {
    // Another process was faster, or the cache is another file system.
    if (!existsSync(folder)) cpSync(join(work, 'data'), folder, { recursive: true })
  }
  rmSync(work, { recursive: true, force: true })
  return folder
}

/** Starts a PostgreSQL of the test's own. */
export async function startPostgres(options: PostgresOptions = {}): Promise<OwnPostgres> {
  const version = options.version ?? '18'
  const source = await template(version)
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'pglease-pg-')))
  const data = join(directory, 'data')
  cpSync(source, data, { recursive: true })
  chmodSync(data, 0o700)
  insertHba(join(data, 'pg_hba.conf'), options.hba ?? [])
  for (let attempt = 0; ; attempt++) {
    const port = await freePort()
    const settings = {
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: directory,
      max_connections: options.maxConnections ?? 200,
      fsync: false,
      synchronous_commit: false,
      full_page_writes: false,
      shared_buffers: '32MB',
      log_line_prefix: '%m [%p] %u@%d ',
      ...options.config,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`)
    writeFileSync(join(data, 'postgresql.auto.conf'), `${lines.join('\n')}\n`)
    unprivileged().own(directory)
    const server = new OwnPostgres(directory, port, version)
    try {
      await server.start()
      return server
    } catch (error) {
      if (attempt < 3 && /could not bind|Address already in use/.test(String(error))) continue
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }
}

let shared: Promise<PostgresServer> | undefined

/** The run's PostgreSQL (PGLEASE_TEST_POSTGRES, set by scripts/test), else one started for this process. */
export function sharedPostgres(): Promise<PostgresServer> {
  const given = process.env.PGLEASE_TEST_POSTGRES
  shared ??= given ? Promise.resolve(new PostgresServer(JSON.parse(given) as PostgresAddress)) : startForProcess()
  return shared
}

async function startForProcess(): Promise<PostgresServer> {
  const server = await startPostgres()
  process.on('exit', () => rmSync(server.directory, { recursive: true, force: true, maxRetries: 3 }))
  return server
}
