// Scenario: Vault cannot be reached when pglease starts. The probes say why, clients wait, and all is served by itself when it comes.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { atMost, exactly, type Figure, holds, seeded } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { DATABASE, type FaultContext, type Probe, probe, type RelayedWorld, relayedWorld } from './fault_world.ts'

interface UnreachableOptions {
  vault: VaultServer
  postgres: PostgresServer
  /** How long Vault stays away after pglease started. */
  awayMs: number
  /** refused: nothing listens at its address; silent: connections are accepted and never answered. */
  how: 'refused' | 'silent'
}

const CLIENTS = 4
/** A probe of an absent Vault may have begun just before it came: its pause, or its deadline, and a login and a lease after that. */
const SERVED_WITHIN_MS = 8000

/** A client that connects while there is no credential, and asks one thing. */
async function askOnce(pglease: Pglease, waitMs: number): Promise<string> {
  const client = new pg.Client({ ...pglease.connection(DATABASE), connectionTimeoutMillis: waitMs })
  client.on('error', () => undefined) // shows in connect or in the query
  try {
    await client.connect()
    const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM item')
    return rows[0]?.count ?? 'nothing'
  } finally {
    await client.end().catch(() => undefined)
  }
}

function away({ wire }: RelayedWorld, how: UnreachableOptions['how']): void {
  if (how === 'refused') wire.stopListening()
  else wire.hold()
}

async function back({ wire }: RelayedWorld, how: UnreachableOptions['how']): Promise<void> {
  if (how === 'refused') return wire.listen()
  // what was sent meanwhile is of a network that lost it: it must not reach Vault late
  wire.resetAll()
  wire.release()
}

/** 503 with a reason that names the trouble. */
function saysUnreachable(name: string, { status, reasons }: Probe): Figure {
  return holds(
    `${name} is 503 and says that Vault is unreachable`,
    status === 503 && /Vault is unreachable/.test(reasons),
    `${status} ${reasons}`,
  )
}

export async function vaultUnreachableAtStart({ scenario: s, seed, say }: FaultContext, options: UnreachableOptions): Promise<Figure[]> {
  const { how, awayMs } = options
  const world = await relayedWorld(s, options)
  away(world, how)
  const pglease = await s.pglease({ config: world.settings })
  const started = performance.now()
  await poll('the reason is told', async () => ((await probe(pglease, '/startupz')).reasons.includes('Vault') ? true : undefined))
  const [startup, ready, live] = [await probe(pglease, '/startupz'), await probe(pglease, '/readyz'), await probe(pglease, '/livez')]
  say(`Vault is away (${how}); ${CLIENTS} clients connect`)
  let answered = 0
  const clients = Array.from({ length: CLIENTS }, async () => {
    const answer = await askOnce(pglease, awayMs + SERVED_WITHIN_MS + 5000)
    answered++
    return answer
  })
  const settled = Promise.allSettled(clients)
  await pause(awayMs * (0.8 + 0.4 * seeded(seed)()) - (performance.now() - started))
  const answeredEarly = answered
  const requests = world.wire.requestCount
  await back(world, how)
  const returned = performance.now()
  const results = await settled
  const servedMs = performance.now() - returned
  await pglease.waitStarted()
  await pglease.waitReady()
  const answers = results.map((result) => (result.status === 'fulfilled' ? result.value : `failed: ${result.reason}`))
  const title = `Vault ${how} at start:`
  return [
    saysUnreachable(`${title} /startupz`, startup),
    saysUnreachable(`${title} /readyz`, ready),
    exactly(`${title} /livez`, live.status, 200),
    exactly(`${title} clients answered while it was away`, answeredEarly, 0),
    atMost(`${title} requests while it was away, for each minute 20`, requests, Math.max(8, (awayMs / 60_000) * 20)),
    exactly(`${title} answers of the clients that waited`, answers.join(), Array(CLIENTS).fill('100').join()),
    atMost(`${title} served after Vault came`, servedMs, SERVED_WITHIN_MS, 'ms'),
    exactly(`${title} leases in Vault`, (await world.mount.leases()).length, 1),
    holds(`${title} the process was not restarted`, pglease.child.ended === undefined),
  ]
}
