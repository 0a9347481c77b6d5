// Scenario: Vault is frozen, or sealed, until the lease is long over. Queries go on, Vault is asked rarely, and a new credential serves soon afterwards.
import { setTimeout as pause } from 'node:timers/promises'
import { atLeast, atMost, exactly, type Figure, holds, seeded, told } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import { DATABASE, type FaultContext, relayedWorld } from './fault_world.ts'
import { startDrivers } from './load_drivers.ts'

interface OutageOptions {
  postgres: PostgresServer
  /** How long Vault is frozen. */
  durationMs: number
  /** Shorter than the outage, in seconds. */
  leaseSeconds: number
  /** frozen (SIGSTOP) unless given; sealed: it answers 503 to everything. */
  how?: 'frozen' | 'sealed'
  /** Of the token; longer than the outage unless given. */
  tokenSeconds?: number
}

const CLIENTS = 16
const SERVING_WITHIN_MS = 6000
const REQUESTS_PER_MINUTE = 20
/** A short outage has the quick first attempts of the backoff too. */
const LEAST_REQUESTS_ALLOWED = 8
/** The load goes on after the new generation serves, so that late failures are seen. */
const AFTERWARDS_MS = 3000
const BETWEEN_QUERIES_MS = 5

/** Failures of each client since `before`. */
function failuresSince(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): number[] {
  return [...now].map(([client, failed]) => failed - (before.get(client) ?? 0))
}

export async function vaultFrozen({ scenario: s, seed, say }: FaultContext, options: OutageOptions): Promise<Figure[]> {
  const { postgres, durationMs, leaseSeconds } = options
  const vault = await s.vault()
  const world = await relayedWorld(s, {
    vault,
    postgres,
    defaultTtl: leaseSeconds,
    maxTtl: 3600,
    tokenPeriod: options.tokenSeconds ?? 24 * 3600,
  })
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const connection = pglease.connection(DATABASE)
  const load = await startDrivers({ connection, clients: CLIENTS, seed, transactionEvery: 0, pauseMs: BETWEEN_QUERIES_MS })
  // at any point of the lease's life, also while it is being renewed
  await pause(seeded(seed)() * leaseSeconds * 1000)
  const requestsBefore = world.wire.requestCount
  const queriesBefore = load.tally.result().queries
  const { how = 'frozen' } = options
  if (how === 'frozen') await vault.freeze()
  else await vault.seal()
  say(`Vault is ${how} for ${durationMs / 1000} s`)
  await pause(durationMs)
  const frozen = load.tally.result()
  const failedBefore = load.tally.failedBy
  const requests = world.wire.requestCount - requestsBefore
  const overdue = pglease.logged('lease_overdue').length
  if (how === 'frozen') vault.thaw()
  else await vault.unseal()
  const thawed = performance.now()
  await poll('a new generation serves', () => load.tally.result().roles.length > frozen.roles.length || undefined)
  const servingMs = performance.now() - thawed
  say(`a new generation serves ${Math.round(servingMs)} ms afterwards`)
  await pause(AFTERWARDS_MS)
  const failures = failuresSince(failedBefore, load.tally.failedBy)
  const result = await load.stop()
  const metrics = await pglease.metrics()
  return [
    atLeast(`queries while ${how}`, frozen.queries - queriesBefore, durationMs / 50),
    exactly(`failed queries while ${how}`, frozen.failed, 0),
    holds('the lease ended meanwhile', overdue > 0),
    atMost('requests to Vault during the outage', requests, Math.max(LEAST_REQUESTS_ALLOWED, (durationMs / 60_000) * REQUESTS_PER_MINUTE)),
    atMost('a new generation serves afterwards', servingMs, SERVING_WITHIN_MS, 'ms'),
    atMost('most failed queries of one session afterwards', Math.max(0, ...failures), 1),
    told('failed queries of all sessions afterwards', result.failed - frozen.failed),
    told('their first error', result.failures[0] ?? 'none'),
    told('the longest query', result.worstMs, 'ms'),
    exactly('connections lost', result.reconnects, 0),
    exactly('roles that answered', result.roles.length, 2),
    exactly('leases possibly orphaned', metrics.sum('pglease_possibly_orphaned_leases_total'), 0),
    holds('the process was not restarted', pglease.child.ended === undefined),
  ]
}
