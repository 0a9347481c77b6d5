// Scenarios: what is refused while a credential serves. It must not be felt before that credential ends; and a role that is lost is replaced.
import { atLeast, atMost, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import { complaints, DATABASE, type FaultContext, faultWorld, probe } from './fault_world.ts'
import { startDrivers } from './load_drivers.ts'
import { attempt, type RefusalOptions, untilServed } from './refusal.ts'

const CLIENTS = 16
const LEASE_SECONDS = 9
/** A third of the first duration, less what Vault's whole seconds take. */
const LEAST_WARNING_MS = 1500
const RECOVERED_WITHIN_MS = 20_000

/** The role is deleted in Vault: its lease is served to the end, then clients fail at once with the reason, until it is back. */
export async function roleDeletedWhileServing({ scenario: s, seed, say }: FaultContext, options: RefusalOptions): Promise<Figure[]> {
  const title = 'Vault role deleted while it serves:'
  const world = await faultWorld(s, { ...options, defaultTtl: LEASE_SECONDS, maxTtl: LEASE_SECONDS })
  const { vault, mount } = world
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: CLIENTS, seed, transactionEvery: 0, pauseMs: 5 })
  const role = await vault.request('GET', `${mount.mount}/roles/${mount.role}`)
  await vault.request('DELETE', `${mount.mount}/roles/${mount.role}`)
  const reason = new RegExp(`${mount.path}: 400 .*unknown role`)
  await poll('it is logged', () => complaints(pglease).some((line) => reason.test(line)) || undefined)
  const refusedAt = performance.now()
  const ready = await probe(pglease, '/readyz')
  await pglease.waitForLog('lease_overdue')
  const warnedMs = performance.now() - refusedAt
  const failedBefore = load.tally.result().failed
  say('the lease is over')
  await poll('clients are told', async () => (reason.test((await attempt(pglease)).error?.message ?? '') ? true : undefined))
  const { failed } = load.tally.result()
  await vault.request('POST', `${mount.mount}/roles/${mount.role}`, role.data)
  const servedMs = await untilServed(pglease, 70_000)
  await load.stop()
  return [
    exactly(`${title} /readyz while the old credential serves`, ready.status, 200),
    atLeast(`${title} the log has the reason before the end by`, warnedMs, LEAST_WARNING_MS, 'ms'),
    exactly(`${title} failed queries before the end`, failedBefore, 0),
    atLeast(`${title} failed queries after it`, failed, 1),
    atMost(`${title} served once it is mended within`, servedMs, RECOVERED_WITHIN_MS, 'ms'),
  ]
}

/** The role is dropped behind Vault's back and its sessions end, as when a server takes over that never had it. */
export async function roleLost({ scenario: s, seed, say }: FaultContext, options: RefusalOptions): Promise<Figure[]> {
  const title = 'role lost:'
  const world = await faultWorld(s, options)
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: CLIENTS, seed, transactionEvery: 0, pauseMs: 5 })
  await poll('the load runs', () => load.tally.result().queries > CLIENTS * 10 || undefined)
  const [role = ''] = await world.mount.leasedRoles()
  await world.postgres.sql(`DROP ROLE "${role}"`)
  await world.postgres.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', 'postgres', [world.dbname])
  say('the role is dropped and its sessions are ended')
  await poll('another role serves', () => load.tally.result().roles.length > 1 || undefined)
  const queries = load.tally.result().queries
  await poll('the load goes on', () => load.tally.result().queries > queries + CLIENTS * 10 || undefined)
  const most = Math.max(0, ...load.tally.failedBy.values())
  const result = await load.stop()
  return [
    // one for the role that is gone under a query, one for the session that ended under it
    atMost(`${title} most queries that one session lost`, most, 2),
    exactly(`${title} connections lost`, result.reconnects, 0),
    exactly(`${title} leases made in all`, pglease.logged('lease_obtained').length, 2),
    holds(`${title} the log says so`, pglease.logged('credential_refused').length === 1 || pglease.logged('role_gone').length > 0),
    exactly(`${title} failures by pglease's own doing`, result.failures.filter((line) => / 08P01 /.test(line)).length, 0),
  ]
}
