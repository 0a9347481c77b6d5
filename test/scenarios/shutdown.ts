// Scenario: SIGTERM under load. Everybody is served until they leave, and nothing is left behind in Vault or PostgreSQL.
import { setTimeout as pause } from 'node:timers/promises'
import { atLeast, atMost, exactly, type Figure, holds, seeded, told } from '../../scripts/lib/accept_line.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { createToken } from '../kit/vault-database.ts'
import { DATABASE, type FaultContext, type FaultWorld, faultWorld, probe, tokensOf } from './fault_world.ts'
import { startDrivers } from './load_drivers.ts'
import { attempt } from './refusal.ts'

export interface ShutdownOptions {
  vault: VaultServer
  postgres: PostgresServer
  /** How long clients stay after the signal; shorter than drain_timeout (20 s). */
  durationMs: number
}

const CLIENTS = 16
/** Links close, leases and token are revoked (5 s at most). */
const ENDED_WITHIN_MS = 6000
const BETWEEN_NEWCOMERS_MS = 100

/** What is left of a pglease that has ended. */
export async function leftovers(title: string, world: FaultWorld): Promise<Figure[]> {
  const sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND usename LIKE 'v-%'"
  const left = {
    'leases in Vault': (await world.mount.leases()).length,
    'tokens in Vault': (await tokensOf(world)).length,
    'roles in PostgreSQL': (await world.mount.leasedRoles()).length,
    'sessions in PostgreSQL': (await world.postgres.sql(sessions, 'postgres', [world.dbname])).length,
  }
  const seen = Object.entries(left).filter(([, count]) => count > 0)
  return [exactly(`${title} left in Vault or PostgreSQL`, seen.map(([what, count]) => `${count} ${what}`).join() || 'nothing', 'nothing')]
}

/** A statement that outlasts the signal; answers whether it was carried out. */
async function longQuery(pglease: Pglease, seconds: number, transaction: boolean): Promise<string> {
  const client = await pglease.client(DATABASE)
  try {
    if (transaction) await client.query('BEGIN')
    await client.query(`SELECT pg_sleep(${seconds})`)
    if (transaction) await client.query('COMMIT')
    return client.errors.length === 0 ? 'done' : String(client.errors[0])
  } catch (error) {
    return String(error)
  } finally {
    await client.end()
  }
}

/** New clients, one after another, until the time is over. */
async function newcomers(pglease: Pglease, untilMs: number): Promise<{ served: number; errors: string[] }> {
  const errors: string[] = []
  let served = 0
  while (performance.now() < untilMs) {
    const { error } = await attempt(pglease)
    if (error === undefined) served++
    else errors.push(error.message)
    await pause(BETWEEN_NEWCOMERS_MS)
  }
  return { served, errors }
}

export async function terminatedUnderLoad({ scenario: s, seed, say }: FaultContext, options: ShutdownOptions): Promise<Figure[]> {
  const title = 'SIGTERM under load:'
  const { durationMs } = options
  // leases of a short life: they are renewed and replaced during the drain too
  const world = await faultWorld(s, { ...options, defaultTtl: 4, maxTtl: 7 })
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: CLIENTS, seed, pauseMs: 2 })
  const seconds = (durationMs / 1000) * 0.7
  const long = [longQuery(pglease, seconds, false), longQuery(pglease, seconds, true)]
  await pause(500 + 1000 * seeded(seed)())
  const [leases, tokens] = [(await world.mount.leases()).length, (await tokensOf(world)).length]
  const before = load.tally.result().queries
  const rotations = pglease.logged('rotated').length
  pglease.signal('SIGTERM')
  await pglease.waitForLog('signal')
  say('SIGTERM was sent')
  const [ready, live] = [await probe(pglease, '/readyz'), await probe(pglease, '/livez')]
  const fresh = await newcomers(pglease, performance.now() + durationMs)
  const finished = await Promise.all(long)
  const runningBefore = pglease.child.ended === undefined
  const result = await load.stop()
  const left = performance.now()
  const { code } = await pglease.exit
  const endedMs = performance.now() - left
  return [
    atLeast(`${title} leases before`, leases, 1),
    exactly(`${title} tokens before`, tokens, 1),
    holds(
      `${title} /readyz says that it is shutting down`,
      ready.status === 503 && ready.reasons === 'shutting down',
      JSON.stringify(ready),
    ),
    exactly(`${title} /livez while draining`, live.status, 200),
    atLeast(`${title} queries after the signal`, result.queries - before, CLIENTS * 10),
    told(`${title} rotations after the signal`, pglease.logged('rotated').length - rotations),
    exactly(`${title} failed queries`, result.failed, 0),
    exactly(`${title} connections lost`, result.reconnects, 0),
    told(`${title} the first error`, result.failures[0] ?? 'none'),
    exactly(`${title} queries that ran through the signal`, finished.join(), 'done,done'),
    atLeast(`${title} new clients served while draining`, fresh.served, 3),
    exactly(`${title} new clients refused while draining`, fresh.errors.join(), ''),
    holds(`${title} it waited for its clients`, runningBefore),
    exactly(`${title} exit status`, String(code), '0'),
    atMost(`${title} ended after the last client left`, endedMs, ENDED_WITHIN_MS, 'ms'),
    ...(await leftovers(title, world)),
  ]
}

/** VAULT_TOKEN is somebody else's: our leases go, the token stays. */
export async function foreignToken({ scenario: s }: FaultContext, options: ShutdownOptions): Promise<Figure[]> {
  const title = 'a foreign token:'
  const world = await faultWorld(s, options)
  const token = await createToken(options.vault, world.policy, 3600)
  s.defer(() => options.vault.send('POST', 'auth/token/revoke-self', undefined, token))
  const { vault_addr, databases } = world.settings
  const pglease = await s.pglease({ config: { vault_addr, databases }, env: { VAULT_TOKEN: token } })
  await pglease.waitReady()
  const served = await attempt(pglease)
  const leases = (await world.mount.leases()).length
  pglease.signal('SIGTERM')
  const { code } = await pglease.exit
  const lookup = await options.vault.send('GET', 'auth/token/lookup-self', undefined, token)
  return [
    exactly(`${title} a client is served`, served.error?.message ?? 'served', 'served'),
    exactly(`${title} leases before`, leases, 1),
    exactly(`${title} exit status`, String(code), '0'),
    exactly(`${title} it is valid afterwards (lookup-self)`, lookup.status, 200),
    ...(await leftovers(title, world)),
  ]
}
