// Scenario: Vault is frozen past the end of the lease and PostgreSQL is restarted meanwhile: no login works, and nobody may fail for it.
import { atMost, exactly, type Figure, holds, seeded } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import { DATABASE, type FaultContext, faultWorld, probe } from './fault_world.ts'
import { startDrivers } from './load_drivers.ts'
import { attempt } from './refusal.ts'

const CLIENTS = 16
const LEASE_SECONDS = 5
const SERVED_WITHIN_MS = 6000

export async function frozenAndRestarted({ scenario: s, seed, say }: FaultContext): Promise<Figure[]> {
  const title = 'Vault frozen and PostgreSQL restarted:'
  const [vault, postgres] = [await s.vault(), await s.postgres()]
  const world = await faultWorld(s, { vault, postgres, defaultTtl: LEASE_SECONDS, maxTtl: 3600 })
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: CLIENTS, seed, transactionEvery: 0, pauseMs: 5 })
  const queries = () => load.tally.result().queries
  const some = queries() + CLIENTS * (1 + Math.floor(50 * seeded(seed)()))
  await poll('the load runs', () => queries() > some || undefined)
  await vault.freeze()
  await pglease.waitForLog('lease_overdue')
  await postgres.restart()
  say('Vault is frozen, the lease is over, and PostgreSQL was restarted')
  const newcomer = attempt(pglease)
  await poll('nothing can be served', async () => ((await probe(pglease, '/readyz')).status === 503 ? true : undefined))
  const { reasons } = await probe(pglease, '/readyz')
  const waiting = queries()
  vault.thaw()
  const thawed = performance.now()
  await poll('the load goes on', () => queries() > waiting + CLIENTS || undefined)
  const servedMs = performance.now() - thawed
  const { error } = await newcomer
  const most = Math.max(0, ...load.tally.failedBy.values())
  const result = await load.stop()
  return [
    holds(`${title} /readyz is 503 and names Vault`, /Vault is unreachable/.test(reasons), reasons),
    atMost(`${title} served after the thaw`, servedMs, SERVED_WITHIN_MS, 'ms'),
    exactly(`${title} a client that came meanwhile is told`, error?.message ?? 'served', 'served'),
    atMost(`${title} most queries that one session lost`, most, 1),
    exactly(`${title} connections lost`, result.reconnects, 0),
    exactly(`${title} roles that answered`, result.roles.length, 2),
  ]
}
