// Scenarios: the deadlines of a shutdown. drain_timeout, shutdown_delay and shutdown_timeout, each with clients that do not leave.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { atLeast, atMost, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { type ClientError, clientError, DATABASE, type FaultContext, type FaultWorld, faultWorld } from './fault_world.ts'
import { attempt } from './refusal.ts'
import { leftovers } from './shutdown.ts'

export interface DeadlineOptions {
  vault: VaultServer
  postgres: PostgresServer
}

/** Links close and leases are revoked after the deadline. */
const CLEANED_UP_WITHIN_MS = 3000

/** A connection and the error that ended it. */
interface Watched {
  client: pg.Client
  /** Resolves when the server ended the connection, with its last error. */
  ended: Promise<ClientError | undefined>
}

export async function watch(pglease: Pglease): Promise<Watched> {
  const client = new pg.Client(pglease.connection(DATABASE))
  let last: ClientError | undefined
  // the driver adds an error of its own, without a code, when the connection ends unasked
  client.on('error', (error) => {
    last ??= clientError(error)
  })
  await client.connect()
  const ended = new Promise<ClientError | undefined>((resolve) => {
    client.once('end', () => resolve(last))
  })
  return { client, ended }
}

const saying = (error: ClientError | undefined): string => (error === undefined ? 'nothing' : `${error.severity} ${error.code}`)

async function start({ scenario: s }: FaultContext, options: DeadlineOptions, settings: Record<string, unknown>) {
  const world: FaultWorld = await faultWorld(s, options)
  const pglease = await s.pglease({ config: { ...world.settings, ...settings } })
  await pglease.waitReady()
  return { world, pglease }
}

/** Idle clients get 57P01 at its end, a transaction is carried to its own. */
export async function drainTimeout(context: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const title = 'drain_timeout:'
  const { world, pglease } = await start(context, options, { drain_timeout: 2 })
  const idle = await watch(pglease)
  const busy = await watch(pglease)
  await busy.client.query('BEGIN')
  pglease.signal('SIGTERM')
  const signalled = performance.now()
  const lastWord = await idle.ended
  const idleMs = performance.now() - signalled
  const refused = await attempt(pglease)
  const inside = await busy.client.query('SELECT count(*) FROM item').then(() => 'ok', String)
  const commit = await busy.client.query('COMMIT').then(() => 'ok', String)
  const busyWord = await busy.ended
  const { code } = await pglease.exit
  return [
    exactly(`${title} an idle client is told`, saying(lastWord), 'FATAL 57P01'),
    atLeast(`${title} not before its end`, idleMs, 1900, 'ms'),
    atMost(`${title} soon after it`, idleMs, 3500, 'ms'),
    holds(`${title} a new client is refused after it`, refused.error !== undefined, 'served'),
    exactly(`${title} a transaction goes on after it`, `${inside}, ${commit}`, 'ok, ok'),
    exactly(`${title} its client is told then`, saying(busyWord), 'FATAL 57P01'),
    exactly(`${title} exit status`, String(code), '0'),
    ...(await leftovers(title, world)),
  ]
}

/** The least time: new clients are served although none was there. */
export async function shutdownDelay(context: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const title = 'shutdown_delay:'
  const { world, pglease } = await start(context, options, { shutdown_delay: 3 })
  pglease.signal('SIGTERM')
  const signalled = performance.now()
  // within the delay, and not at its beginning
  await pause(1500)
  const late = await attempt(pglease)
  const { code } = await pglease.exit
  const endedMs = performance.now() - signalled
  return [
    exactly(`${title} a client that comes meanwhile is told`, late.error?.message ?? 'served', 'served'),
    atLeast(`${title} not ended before`, endedMs, 2900, 'ms'),
    atMost(`${title} ended`, endedMs, 3000 + CLEANED_UP_WITHIN_MS, 'ms'),
    exactly(`${title} exit status`, String(code), '0'),
    ...(await leftovers(title, world)),
  ]
}

/** What still runs then is interrupted, and the status says so. */
export async function shutdownTimeout(context: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const title = 'shutdown_timeout:'
  const { world, pglease } = await start(context, options, { drain_timeout: 1, shutdown_timeout: 3 })
  const transaction = await watch(pglease)
  await transaction.client.query('BEGIN')
  const running = await watch(pglease)
  const query = running.client.query('SELECT pg_sleep(60)').then(() => undefined, clientError)
  pglease.signal('SIGTERM')
  const signalled = performance.now()
  const { code } = await pglease.exit
  const endedMs = performance.now() - signalled
  return [
    exactly(`${title} a client in a transaction is told`, saying(await transaction.ended), 'FATAL 57P01'),
    exactly(`${title} a client with a query is told`, saying(await query), 'FATAL 57P01'),
    atLeast(`${title} not ended before`, endedMs, 2900, 'ms'),
    atMost(`${title} ended`, endedMs, 3000 + CLEANED_UP_WITHIN_MS, 'ms'),
    exactly(`${title} exit status`, String(code), '143'),
    ...(await leftovers(title, world)),
  ]
}
