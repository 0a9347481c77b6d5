// Scenario: the primary is stopped or killed under writes and its streaming standby promoted, back and forth. Writes resume by themselves.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { atLeast, atMost, exactly, type Figure, holds, seeded, told } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { Scenario } from '../kit/scenario.ts'
import { promote, startStandby } from '../kit/standby.ts'
import type { VaultServer } from '../kit/vault.ts'
import { type Cluster, clusterFacts, leasedFrom, startCluster } from './cluster.ts'
import { clientError, DATABASE, type FaultContext } from './fault_world.ts'

interface FailoverOptions {
  /** Failovers follow one another until this is over; two at least, the second one by SIGKILL. */
  durationMs: number
  /** Credentials are leased from it, and rotate all the while; a fixed password unless given. */
  vault?: VaultServer
}

const WRITERS = 8
const IDLE_CLIENTS = 12
/** Long enough for pauses between logins that double without an end to show. The first failover has all of it. */
const LONGEST_WITHOUT_PRIMARY_MS = 7_000
const RESUMED_WITHIN_MS = 2_000
const PAUSE_AFTER_FAILURE_MS = 100
const ROTATED_WITHIN_MS = 20_000

/** One client that writes without a pause, except after an error, and never connects again. */
class Writer {
  readonly client: pg.Client
  /** When the last write that succeeded ended. */
  lastMs = 0
  writes = 0
  /** SQLSTATEs. */
  readonly failures: string[] = []
  lost = false
  #stopped = false
  #running: Promise<void> | undefined

  constructor(pglease: Pglease) {
    this.client = new pg.Client(pglease.connection(DATABASE))
    this.client.on('error', () => {
      this.lost = true
    })
  }

  async start(id: number): Promise<void> {
    await this.client.connect()
    this.#running = this.#run(id)
  }

  async #run(id: number): Promise<void> {
    while (!this.#stopped && !this.lost) {
      try {
        await this.client.query('UPDATE item SET value = value + 1 WHERE id = $1', [id])
        this.writes++
        this.lastMs = performance.now()
      } catch (error) {
        this.failures.push(clientError(error).code)
        // as applications do: a server that is being stopped ends its connections one after another
        await pause(PAUSE_AFTER_FAILURE_MS)
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    await this.client.end().catch(() => undefined)
  }
}

interface Clients {
  writers: Writer[]
  idle: (pg.Client & { errors: Error[] })[]
}

interface Round {
  /** From the end of the promotion to the last writer's first write. */
  resumedMs: number
  /** Most failures of one writer. */
  worstWriter: number
  failures: readonly string[]
  /** Idle clients that are gone, or cannot write. */
  idleLost: number
}

async function startClients(s: Scenario, pglease: Pglease): Promise<Clients> {
  const writers = Array.from({ length: WRITERS }, () => new Writer(pglease))
  for (const [id, writer] of writers.entries()) await writer.start(id + 1)
  s.defer(() => Promise.all(writers.map((writer) => writer.stop())))
  const idle: Clients['idle'] = []
  for (let count = 0; count < IDLE_CLIENTS; count++) {
    const client = await pglease.client(DATABASE)
    s.defer(() => client.end().catch(() => undefined))
    await client.query('SELECT 1')
    idle.push(client)
  }
  return { writers, idle }
}

async function failOver({ primary, standby }: Cluster, { writers, idle }: Clients, kill: boolean, withoutMs: number): Promise<Round> {
  const before = writers.map((writer) => writer.failures.length)
  if (kill) await primary.kill()
  else await primary.stopServer()
  await pause(withoutMs)
  await promote(standby)
  const promoted = performance.now()
  await poll('every writer writes again', () => writers.every((writer) => writer.lost || writer.lastMs > promoted) || undefined)
  // polled: the first write of the last writer came at the latest then
  const resumedMs = performance.now() - promoted
  const failures = writers.map((writer, number) => writer.failures.slice(before[number]))
  const served = await Promise.all(
    idle.map((client) =>
      client.query('UPDATE item SET value = value + 1 WHERE id = 100').then(
        () => client.errors.length === 0,
        () => false,
      ),
    ),
  )
  return {
    resumedMs,
    worstWriter: Math.max(...failures.map(({ length }) => length)),
    failures: failures.flat(),
    idleLost: served.filter((ok) => !ok).length,
  }
}

/** A rotation that waited for the failover is made up for. */
async function rotatesAgain(pglease: Pglease): Promise<void> {
  const before = pglease.logged('rotated').length
  await poll('the credentials rotate again', () => pglease.logged('rotated').length > before || undefined, ROTATED_WITHIN_MS)
}

export async function failovers({ scenario: s, seed, say }: FaultContext, { durationMs, vault }: FailoverOptions): Promise<Figure[]> {
  const random = seeded(seed)
  let cluster = await startCluster(s)
  const leased = vault && (await leasedFrom(s, vault, cluster))
  const database = { ...clusterFacts(cluster, leased && { vault_path: leased.vault_path }), target_session_attrs: 'read-write' }
  const pglease = await s.pglease({ config: { http_addr: '', admin_addr: '', ...leased?.settings, databases: { [DATABASE]: database } } })
  const clients = await startClients(s, pglease)
  const rounds: Round[] = []
  const until = performance.now() + durationMs
  while (rounds.length < 2 || performance.now() < until) {
    const kill = rounds.length % 2 === 1
    const { primary: old, standby } = cluster
    rounds.push(await failOver(cluster, clients, kill, LONGEST_WITHOUT_PRIMARY_MS * (rounds.length === 0 ? 1 : random())))
    say(`${rounds.length} failovers, the last ${kill ? 'by SIGKILL' : 'in order'}: ${Math.round(rounds.at(-1)?.resumedMs ?? 0)} ms`)
    if (leased) await rotatesAgain(pglease)
    cluster = { primary: standby, standby: await startStandby(s, standby, old.port) }
  }
  await Promise.all(clients.writers.map((writer) => writer.stop()))
  const failures = rounds.flatMap((round) => round.failures)
  return [
    told('failovers', rounds.length),
    ...(leased ? [told('rotations', pglease.logged('rotated').length)] : []),
    atLeast('writes', Math.min(...clients.writers.map(({ writes }) => writes)), rounds.length, 'by each writer'),
    atMost('writes resumed after the promotion', Math.max(...rounds.map(({ resumedMs }) => resumedMs)), RESUMED_WITHIN_MS, 'ms'),
    exactly(
      'idle clients that were disconnected',
      rounds.reduce((sum, { idleLost }) => sum + idleLost, 0),
      0,
    ),
    exactly('writers that were disconnected', clients.writers.filter(({ lost }) => lost).length, 0),
    atMost('writes that one writer lost in a failover', Math.max(...rounds.map(({ worstWriter }) => worstWriter)), 1),
    told('their errors', [...new Set(failures)].join(', ') || 'none'),
    exactly('writes refused by a server that is read-only', failures.filter((code) => code === '25006').length, 0),
    holds('the process was not restarted', pglease.child.ended === undefined),
  ]
}
