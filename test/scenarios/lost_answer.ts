// Scenario: the answer to a read of credentials is cut. It is counted, not blindly repeated, and no client notices.
import { setTimeout as pause } from 'node:timers/promises'
import { atLeast, exactly, type Figure, holds, seeded } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { clientError, DATABASE, type FaultContext, type RelayedWorld, relayedWorld } from './fault_world.ts'

interface LostAnswerOptions {
  vault: VaultServer
  postgres: PostgresServer
  durationMs: number
}

const READ = /^GET \/v1\/.*\/creds\//
const ORPHANED = 'pglease_possibly_orphaned_leases_total'
/** The least that may lie between a lost answer and the next read. */
const LEAST_PAUSE_MS = 500

interface Loss {
  /** From the lost read to the next one. */
  pauseMs: number
  /** Requests for credentials from the loss to the successor, the lost one included. */
  reads: number
}

const reads = ({ wire }: RelayedWorld): number => wire.requestLines.filter((line) => READ.test(line)).length

/** Waits for the next read, whose answer is lost, and for the one that follows it. */
async function loseOne(world: RelayedWorld, pglease: Pglease, waitMs: number): Promise<Loss> {
  const before = reads(world)
  const generation = pglease.logged('credential_proven').length
  await poll('credentials are read', () => reads(world) > before || undefined, waitMs)
  const lost = performance.now()
  await poll('credentials are read again', () => reads(world) > before + 1 || undefined, waitMs)
  const pauseMs = performance.now() - lost
  await poll('the successor serves', () => pglease.logged('credential_proven').length > generation || undefined, waitMs)
  return { pauseMs, reads: reads(world) - before }
}

export async function lostAnswers({ scenario: s, seed, say }: FaultContext, options: LostAnswerOptions): Promise<Figure[]> {
  const random = seeded(seed)
  const world = await relayedWorld(s, { ...options, defaultTtl: 6, maxTtl: 9 })
  const began = performance.now()
  world.wire.loseNext(READ)
  const pglease = await s.pglease({ config: world.settings })
  const losses = [await loseOne(world, pglease, 20_000)]
  await pglease.waitStarted()
  say('the first read was lost, its repetition serves')
  const client = await pglease.client(DATABASE)
  const errors: string[] = []
  let queries = 0
  let stopping = false
  const working = (async () => {
    while (!stopping) {
      queries++
      await client.query('SELECT value FROM item WHERE id = 1').catch((error: unknown) => errors.push(clientError(error).message))
      await pause(10)
    }
  })()
  while (performance.now() - began < options.durationMs) {
    // some rotations are left alone, so that a loss does not always follow a loss
    if (random() < 0.3) await poll('an undisturbed rotation', rotation(pglease), 20_000)
    world.wire.loseNext(READ)
    losses.push(await loseOne(world, pglease, 20_000))
    say(`${losses.length} answers lost`)
  }
  stopping = true
  await working
  await client.end()
  const metrics = await pglease.metrics()
  return [
    atLeast('lost answers', losses.length, 2),
    exactly('lost answers counted by the metric', metrics.sum(ORPHANED), losses.length),
    exactly('lost answers logged', pglease.logged('possibly_orphaned_lease').length, losses.length),
    exactly('most reads from a loss to the successor', Math.max(...losses.map((loss) => loss.reads)), 2),
    atLeast('least pause before the next read', Math.min(...losses.map((loss) => loss.pauseMs)), LEAST_PAUSE_MS, 'ms'),
    atLeast('queries meanwhile', queries, 10),
    exactly('failed queries', errors.length, 0),
    holds('the client stayed connected', client.errors.length === 0),
  ]
}

/** Tells when one more generation serves than now. */
function rotation(pglease: Pglease): () => true | undefined {
  const before = pglease.logged('rotated').length
  return () => (pglease.logged('rotated').length > before ? true : undefined)
}
