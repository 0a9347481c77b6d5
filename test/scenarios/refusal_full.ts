// Scenario: PostgreSQL has no free connection. Clients wait and are told why, no further lease is made, and all goes on by itself.
import pg from 'pg'
import { atLeast, atMost, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { Scenario } from '../kit/scenario.ts'
import type { VaultServer } from '../kit/vault.ts'
import { clientError, complaints, DATABASE, type FaultContext, faultWorld, probe } from './fault_world.ts'
import { attempt } from './refusal.ts'

/** Three of them are PostgreSQL's reserve for superusers: Vault and the test. */
const MAX_CONNECTIONS = 10
const QUERY_WAIT_TIMEOUT_S = 3
const REASON = /the server has no free connection: .*\(SQLSTATE 53300\)/
/** Logins that are refused for want of room are tried again after 5 s at most. */
const SERVED_WITHIN_MS = 7000

/** Clients that hold every connection that PostgreSQL gives. */
class Crowd {
  readonly #postgres: PostgresServer
  #clients: pg.Client[] = []

  constructor(postgres: PostgresServer) {
    this.#postgres = postgres
  }

  /** Takes what is free, until PostgreSQL says that there is nothing left. */
  async takeAll(): Promise<void> {
    await poll('every connection is taken', async () => {
      const client = new pg.Client({ ...this.#postgres.connection(), user: 'crowd', password: 'crowd' })
      client.on('error', () => undefined) // ended by the server's end
      try {
        await client.connect()
        this.#clients.push(client)
        return undefined
      } catch (error) {
        if (clientError(error).code === '53300') return true
        throw error
      }
    })
  }

  async leave(): Promise<void> {
    const leaving = this.#clients
    this.#clients = []
    await Promise.all(leaving.map((client) => client.end().catch(() => undefined)))
  }
}

async function fullServer(s: Scenario): Promise<{ postgres: PostgresServer; crowd: Crowd }> {
  const postgres = await s.postgres({ maxConnections: MAX_CONNECTIONS })
  await postgres.createUser('crowd', 'crowd')
  const crowd = new Crowd(postgres)
  s.defer(() => crowd.leave())
  return { postgres, crowd }
}

/** Ends pglease's connections to PostgreSQL, as an administrator would: again where refused logins hold the reserve for a moment. */
async function endLinks(postgres: PostgresServer): Promise<void> {
  const text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'v-%'"
  await poll('the links are gone', async () => {
    const ended = await postgres.sql(text).catch((error) => {
      if (clientError(error).code === '53300') return undefined
      throw error
    })
    return ended?.length === 0 ? true : undefined
  })
}

export async function fullMaxConnections({ scenario: s, say }: FaultContext, { vault }: { vault: VaultServer }): Promise<Figure[]> {
  const title = 'full max_connections:'
  const { postgres, crowd } = await fullServer(s)
  const world = await faultWorld(s, { vault, postgres })
  await crowd.takeAll()
  const pglease = await s.pglease({ config: { ...world.settings, query_wait_timeout: QUERY_WAIT_TIMEOUT_S } })
  say('PostgreSQL is full when pglease starts')
  const early = attempt(pglease)
  await poll('the reason is told', async () => (REASON.test((await probe(pglease, '/readyz')).reasons) ? true : undefined))
  const startup = await probe(pglease, '/startupz')
  await crowd.leave()
  const left = performance.now()
  const { error } = await early
  const figures = [
    holds(`${title} /startupz is 503 with the reason`, startup.status === 503 && REASON.test(startup.reasons), startup.reasons),
    exactly(`${title} the client that waited at the start is told`, error?.message ?? 'served', 'served'),
    atMost(`${title} it is served after room came within`, performance.now() - left, SERVED_WITHIN_MS, 'ms'),
  ]
  const client = await pglease.client(DATABASE)
  await client.query('SELECT 1')
  await crowd.takeAll()
  say('PostgreSQL is full again: what is connected is shared')
  const shared = await Promise.all(Array.from({ length: 4 }, () => attempt(pglease)))
  figures.push(exactly(`${title} failures of clients that share what is connected`, shared.filter((one) => one.error).length, 0))

  await endLinks(postgres)
  await crowd.takeAll()
  const began = performance.now()
  const refused = await client.query('SELECT 1').then(() => undefined, clientError)
  const waited = performance.now() - began
  const said = complaints(pglease)
  figures.push(
    exactly(`${title} a client that waits too long is told`, refused?.message ?? 'served', 'query_wait_timeout'),
    holds(`${title} its error carries the reason as DETAIL`, REASON.test(refused?.detail ?? ''), refused?.detail ?? ''),
    atLeast(`${title} it waited`, waited, QUERY_WAIT_TIMEOUT_S * 1000 - 100, 'ms'),
    holds(
      `${title} the log has the reason`,
      said.some((line) => REASON.test(line)),
      said.join(' | '),
    ),
  )
  const waiting = attempt(pglease)
  await crowd.leave()
  figures.push(
    exactly(`${title} a client that waits until there is room is told`, (await waiting).error?.message ?? 'served', 'served'),
    exactly(`${title} leases made in all`, pglease.logged('lease_obtained').length, 1),
  )
  return figures
}
