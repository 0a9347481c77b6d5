// Scenarios: SIGINT, SIGQUIT and second signals with a query running, and the signals that do nothing yet.
import { atMost, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import { clientError, DATABASE, type FaultContext, faultWorld } from './fault_world.ts'
import { attempt } from './refusal.ts'
import { leftovers } from './shutdown.ts'
import { type DeadlineOptions, watch } from './shutdown_deadlines.ts'

/** Revocation has 2 s; the cancel request and the links have half of one. */
const AT_ONCE_MS = 3500
const SLEEP = 'SELECT pg_sleep(60)'

const AT_ONCE: readonly { signals: readonly NodeJS.Signals[]; status: string }[] = [
  { signals: ['SIGTERM', 'SIGTERM'], status: '143' },
  { signals: ['SIGINT', 'SIGINT'], status: '130' },
  { signals: ['SIGTERM', 'SIGINT'], status: '130' },
  { signals: ['SIGINT', 'SIGTERM'], status: '143' },
  { signals: ['SIGQUIT'], status: '131' },
  { signals: ['SIGTERM', 'SIGQUIT'], status: '131' },
]

/** Sends the signals one after another, each when the one before was taken note of. */
async function send(pglease: Pglease, signals: readonly NodeJS.Signals[]): Promise<void> {
  for (const [at, signal] of signals.entries()) {
    pglease.signal(signal)
    if (at < signals.length - 1) await poll(`${signal} is logged`, () => pglease.logged('signal').length > at || undefined)
  }
}

async function endAtOnce(
  context: FaultContext,
  options: DeadlineOptions,
  { signals, status }: (typeof AT_ONCE)[number],
): Promise<Figure[]> {
  const { scenario: s } = context
  const title = `${signals.join(', ')}:`
  const world = await faultWorld(s, options)
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const { client } = await watch(pglease)
  const query = client.query(SLEEP).then(() => 'done', clientError)
  const runs = 'SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND query = $2'
  await poll('the query runs', async () =>
    (await world.postgres.sql(runs, 'postgres', [world.dbname, SLEEP])).length > 0 ? true : undefined,
  )
  await send(pglease, signals)
  const signalled = performance.now()
  const { code } = await pglease.exit
  const endedMs = performance.now() - signalled
  const answer = await query
  return [
    exactly(
      `${title} the client with a query is told`,
      typeof answer === 'string' ? answer : `${answer.severity} ${answer.code}`,
      'FATAL 57P01',
    ),
    exactly(`${title} exit status`, String(code), status),
    atMost(`${title} ended within`, endedMs, AT_ONCE_MS, 'ms'),
    ...(await leftovers(title, world)),
  ]
}

export async function signalsThatEndAtOnce(context: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const one of AT_ONCE) figures.push(...(await endAtOnce(context, options, one)))
  return figures
}

/** One SIGINT: transactions end in their own time, nobody else is let in. */
export async function interrupted({ scenario: s }: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const title = 'SIGINT:'
  const world = await faultWorld(s, options)
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const idle = await watch(pglease)
  const busy = await watch(pglease)
  await busy.client.query('BEGIN')
  pglease.signal('SIGINT')
  const idleWord = await idle.ended
  const refused = await attempt(pglease)
  const running = pglease.child.ended === undefined
  const commit = await busy.client.query('COMMIT').then(() => 'ok', String)
  const { code } = await pglease.exit
  return [
    exactly(`${title} an idle client is told`, `${idleWord?.severity} ${idleWord?.code}`, 'FATAL 57P01'),
    holds(`${title} a new client is refused`, refused.error !== undefined, 'served'),
    holds(`${title} it waits for the transaction`, running),
    exactly(`${title} the transaction commits`, commit, 'ok'),
    exactly(`${title} exit status`, String(code), '0'),
    ...(await leftovers(title, world)),
  ]
}

/** SIGTERM as early as anyone can send it: the listeners may not be open yet, a lease may be on its way. */
export async function signalledAtStart({ scenario: s }: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const title = 'SIGTERM at the start:'
  const world = await faultWorld(s, options)
  const pglease = await s.pglease({ config: world.settings, noWait: true })
  await pglease.waitForLog('starting')
  pglease.signal('SIGTERM')
  const { code } = await pglease.exit
  return [
    exactly(`${title} exit status`, String(code), '0'),
    exactly(`${title} lines that say the end`, pglease.logged('stopped').length, 1),
    ...(await leftovers(title, world)),
  ]
}

export async function ignoredSignals({ scenario: s }: FaultContext, options: DeadlineOptions): Promise<Figure[]> {
  const world = await faultWorld(s, options)
  const pglease = await s.pglease({ config: world.settings })
  await pglease.waitReady()
  const client = await pglease.client(DATABASE)
  const figures: Figure[] = []
  for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
    pglease.signal(signal)
    const line = await pglease.waitForLog('signal', (logged) => logged.signal === signal)
    const answer = await client.query('SELECT 1').then(() => 'ok', String)
    figures.push(holds(`${signal} is logged as ignored`, /ignored/.test(line.msg ?? ''), line.msg ?? ''))
    figures.push(exactly(`${signal}: a query afterwards`, answer, 'ok'))
  }
  figures.push(holds('the process lives', pglease.child.ended === undefined && client.errors.length === 0))
  await client.end()
  return figures
}
