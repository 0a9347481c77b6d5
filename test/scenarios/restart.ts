// Scenario: PostgreSQL is restarted and killed under load. Sessions outside transactions stay, and lose at most what was in flight.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { atLeast, atMost, exactly, type Figure, holds, seeded, told } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { OwnPostgres } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { clientError, DATABASE, type FaultContext, faultWorld } from './fault_world.ts'
import { type DriverLoad, startDrivers } from './load_drivers.ts'
import { type Fate, fateFigures, startSessions, toldFatal } from './restart_sessions.ts'

interface RestartOptions {
  vault: VaultServer
  /** Restarts follow one another until this is over; two at least. */
  durationMs: number
  /** A short life of the leases, so that restarts meet renewals and rotations; ten minutes unless given. */
  leaseSeconds?: number
}

const CLIENTS = 16
const BETWEEN_RESTARTS_MS = 2000
const LONGEST_DOWN_MS = 2000
/** Refused logins are tried again after 5 s at most. */
const SERVED_WITHIN_MS = 7000

interface Round {
  fates: readonly Fate[]
  /** Most failures of one client of the load. */
  worstClient: number
  /** A client that came while the server was away: `ok` or its error. */
  newcomer: string
  /** From the server's return to the newcomer's answer. */
  servedMs: number
}

async function newcomer(pglease: Pglease): Promise<string> {
  const client = new pg.Client({ ...pglease.connection(DATABASE), connectionTimeoutMillis: 60_000 })
  client.on('error', () => undefined) // shows in connect or in the query
  try {
    await client.connect()
    await client.query('SELECT count(*) FROM item')
    return 'ok'
  } catch (error) {
    const { code, message } = clientError(error)
    return `${code} ${message}`
  } finally {
    await client.end().catch(() => undefined)
  }
}

interface Running {
  postgres: OwnPostgres
  pglease: Pglease
  load: DriverLoad
}

/** `kill`: the postmaster gets SIGKILL, and nobody says goodbye; else a fast shutdown. */
async function restartOnce({ postgres, pglease, load }: Running, kill: boolean, downMs: number): Promise<Round> {
  const sessions = await startSessions(pglease, postgres)
  const before = load.tally.failedBy
  if (kill) await postgres.kill()
  else await postgres.stopServer()
  const late = newcomer(pglease)
  await pause(downMs)
  await postgres.start()
  const returned = performance.now()
  const fates = await sessions.fates()
  const answer = await late
  const servedMs = performance.now() - returned
  sessions.end()
  const failures = [...load.tally.failedBy].map(([client, failed]) => failed - (before.get(client) ?? 0))
  return { fates, worstClient: Math.max(0, ...failures), newcomer: answer, servedMs }
}

export async function postgresRestarts({ scenario: s, seed, say }: FaultContext, options: RestartOptions): Promise<Figure[]> {
  const random = seeded(seed)
  const postgres = await s.postgres()
  const { vault, leaseSeconds } = options
  const life = leaseSeconds === undefined ? { defaultTtl: 600, maxTtl: 3600 } : { defaultTtl: leaseSeconds, maxTtl: leaseSeconds * 1.5 }
  const world = await faultWorld(s, { vault, postgres, ...life })
  // more clients than links: some wait for a link when the server goes
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: CLIENTS, seed, transactionEvery: 0, pauseMs: 2 })
  const began = performance.now()
  const rounds: Round[] = []
  while (rounds.length < 2 || performance.now() - began < options.durationMs) {
    const answered = load.tally.result().queries
    await poll('the load goes on', () => load.tally.result().queries > answered + CLIENTS || undefined)
    const kill = rounds.length % 2 === 1
    rounds.push(await restartOnce({ postgres, pglease, load }, kill, random() * LONGEST_DOWN_MS))
    say(`${rounds.length} restarts, the last ${kill ? 'by SIGKILL' : 'in order'}`)
    await pause(BETWEEN_RESTARTS_MS * random())
  }
  const result = await load.stop()
  const fates = rounds.flatMap((round) => round.fates)
  const untold = rounds.filter((round) => round.newcomer !== 'ok').map((round) => round.newcomer)
  const leases = pglease.logged('lease_obtained').length
  const figures = [
    told('restarts', rounds.length),
    atLeast('queries of the load', result.queries, rounds.length * CLIENTS * 10),
    exactly('connections of the load that were lost', result.reconnects, 0),
    atMost('most queries that one session of the load lost in a restart', Math.max(...rounds.map((round) => round.worstClient)), 1),
    told('their first error', result.failures[0] ?? 'none'),
    ...fateFigures(fates),
    toldFatal(fates),
    exactly('clients that came while the server was away: errors', untold.join(), ''),
    atMost('served after the server returned', Math.max(...rounds.map((round) => round.servedMs)), SERVED_WITHIN_MS, 'ms'),
    leaseSeconds === undefined ? exactly('leases made in all', leases, 1) : atLeast('leases made in all', leases, 2),
    holds('the process was not restarted', pglease.child.ended === undefined),
  ]
  const title = leaseSeconds === undefined ? 'restarts:' : `restarts with leases of ${leaseSeconds} s:`
  return figures.map((figure) => ({ ...figure, name: `${title} ${figure.name}` }))
}
