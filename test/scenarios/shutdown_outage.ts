// Scenarios: SIGTERM while Vault or PostgreSQL is away. Who waits is told, and the end does not wait for what cannot come.
import { atLeast, atMost, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { clientError, complaints, type FaultContext, faultWorld, probe, relayedWorld } from './fault_world.ts'
import { attempt } from './refusal.ts'
import { leftovers } from './shutdown.ts'
import { type DeadlineOptions, watch } from './shutdown_deadlines.ts'

const DRAIN_TIMEOUT_S = 2
/** Revocation has 5 s, or 2 s when the end is at once; links and last words a second more. */
const CLOSED_WITHIN_MS = 6500
const CLOSED_AT_ONCE_WITHIN_MS = 3500

/** Clients that never got in, because there has been no credential. */
export async function neverServed({ scenario: s }: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const title = 'SIGTERM before Vault was ever reached:'
  const world = await relayedWorld(s, options)
  world.wire.stopListening()
  // the delay keeps the port open, so that the client may come after the signal
  const deadlines = { drain_timeout: DRAIN_TIMEOUT_S, shutdown_delay: DRAIN_TIMEOUT_S }
  const pglease = await s.pglease({ config: { ...world.settings, ...deadlines } })
  await poll('the reason is told', async () => ((await probe(pglease, '/startupz')).reasons.includes('Vault') ? true : undefined))
  pglease.signal('SIGTERM')
  const signalled = performance.now()
  const { error, ms } = await attempt(pglease)
  const { code } = await pglease.exit
  return [
    exactly(`${title} a client that waits is told`, `${error?.severity} ${error?.code}`, 'FATAL 57P01'),
    atLeast(`${title} not before drain_timeout`, ms, DRAIN_TIMEOUT_S * 1000 - 500, 'ms'),
    atMost(`${title} ended within`, performance.now() - signalled, DRAIN_TIMEOUT_S * 1000 + 1500, 'ms'),
    exactly(`${title} exit status`, String(code), '0'),
  ]
}

/** A session whose query waits for a PostgreSQL that is away. */
export async function postgresAway({ scenario: s }: FaultContext, { vault }: DeadlineOptions): Promise<Figure[]> {
  const title = 'SIGTERM while PostgreSQL is away:'
  const postgres = await s.postgres()
  const world = await faultWorld(s, { vault, postgres })
  const pglease = await s.pglease({ config: { ...world.settings, drain_timeout: DRAIN_TIMEOUT_S } })
  await pglease.waitReady()
  const { client } = await watch(pglease)
  await postgres.stopServer()
  s.defer(() => postgres.start())
  const waiting = client.query('SELECT 1').then(() => undefined, clientError)
  await poll(
    'it is noticed',
    async () => ((await probe(pglease, '/readyz')).status === 503 ? true : undefined),
    30_000,
    () => pglease.child.tail(),
  )
  pglease.signal('SIGTERM')
  const signalled = performance.now()
  const error = await waiting
  const { code } = await pglease.exit
  return [
    exactly(`${title} a client whose query waits is told`, `${error?.severity} ${error?.code}`, 'FATAL 57P01'),
    exactly(`${title} exit status`, String(code), '0'),
    atMost(`${title} ended within`, performance.now() - signalled, DRAIN_TIMEOUT_S * 1000 + CLOSED_WITHIN_MS, 'ms'),
  ]
}

/** Nothing can be revoked: that is said, and the end comes all the same. */
export async function vaultAway({ scenario: s }: FaultContext, options: { postgres: PostgresServer }, signal: 'SIGTERM' | 'SIGQUIT') {
  const title = `${signal} while Vault is frozen:`
  const vault = await s.vault()
  const world = await faultWorld(s, { ...options, vault })
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  await vault.freeze()
  pglease.signal(signal)
  const signalled = performance.now()
  const { code } = await pglease.exit
  const endedMs = performance.now() - signalled
  vault.thaw()
  const said = complaints(pglease)
  return [
    exactly(`${title} exit status`, String(code), signal === 'SIGTERM' ? '0' : '131'),
    atMost(`${title} ended within`, endedMs, signal === 'SIGTERM' ? CLOSED_WITHIN_MS : CLOSED_AT_ONCE_WITHIN_MS, 'ms'),
    holds(
      `${title} the log tells what is left behind`,
      said.some((line) => line.startsWith('lease_revoke_failed')),
      said.join(' | '),
    ),
  ]
}

/** A lease that Vault grants when pglease is already on its way out. */
export async function leaseOnItsWay(
  { scenario: s }: FaultContext,
  options: { vault: VaultServer; postgres: PostgresServer },
): Promise<Figure[]> {
  const title = 'SIGTERM while a lease is on its way:'
  const world = await relayedWorld(s, options)
  const asked = () => world.wire.requestLines.some((line) => line.includes('/creds/'))
  world.wire.delayMs = 300
  const pglease = await s.pglease({ config: world.settings })
  await poll('credentials are asked for', () => asked() || undefined)
  world.wire.hold('to-client')
  pglease.signal('SIGTERM')
  await pglease.waitForLog('signal')
  await poll('Vault has granted it', async () => ((await world.mount.leases()).length > 0 ? true : undefined))
  world.wire.release()
  const { code } = await pglease.exit
  return [exactly(`${title} exit status`, String(code), '0'), ...(await leftovers(title, world))]
}
