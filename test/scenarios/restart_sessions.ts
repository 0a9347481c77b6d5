// Sessions in every state that a restart of PostgreSQL can meet, and what each may see of it (DESIGN 5.9).
import { exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import { type RawClient, rawLogin } from '../kit/raw-client.ts'
import { bind, copyData, execute, flush, parse, query } from '../kit/raw-messages.ts'
import type { ServerMessage } from '../kit/server-message.ts'
import { DATABASE } from './fault_world.ts'

/** What became of one session. */
export interface Fate {
  state: string
  /** `ERROR 57P01` and `ReadyForQuery I`, one after another. */
  seen: readonly string[]
  /** The connection ended. */
  closed: boolean
  /** The first query after the restart, where the session stayed: `ok` or its error. */
  firstQuery: string
}

interface Case {
  state: string
  /** Stays and gets this many errors, or is closed with FATAL; either: where the server's last byte fell decides. */
  errors: number | 'closed' | 'either'
  begin(client: RawClient): Promise<void>
}

const SLEEP = 'SELECT pg_sleep(60)'

const CASES: readonly Case[] = [
  { state: 'idle', errors: 0, begin: async (client) => void (await client.ask(query('SELECT 1'))) },
  { state: 'a query in flight', errors: 1, begin: async (client) => client.send(query(SLEEP)) },
  { state: 'two queries in flight', errors: 2, begin: async (client) => client.send(query(SLEEP), query('SELECT 2')) },
  {
    state: 'in a transaction',
    errors: 'closed',
    begin: async (client) => void (await client.ask(query('BEGIN; UPDATE item SET value = value + 1 WHERE id = 100'))),
  },
  {
    state: 'in a transaction with a query in flight',
    errors: 'closed',
    begin: async (client) => {
      await client.ask(query('BEGIN'))
      client.send(query(SLEEP))
    },
  },
  {
    state: 'in COPY',
    errors: 'closed',
    begin: async (client) => {
      client.send(query('COPY item FROM STDIN'))
      await client.until('G')
      client.send(copyData('1000\t1\n'))
    },
  },
  {
    state: 'in an extended batch without Sync',
    errors: 'closed',
    begin: async (client) => {
      client.send(parse('', 'SELECT 3'), bind('', ''), execute(), flush())
      await client.until('C')
    },
  },
  {
    // at the end of a row it stays and gets its error, within a row it cannot be told anything
    state: 'in the middle of a result',
    errors: 'either',
    begin: async (client) => {
      client.send(query("SELECT repeat('x', 3000), pg_sleep(0.02) FROM generate_series(1, 3000)"))
      await client.until('D')
    },
  },
]

const SESSION_STATES = CASES.map(({ state }) => state)

/** What a person sees of these messages. */
function visible(messages: readonly ServerMessage[]): string[] {
  return messages
    .filter(({ type }) => type === 'E' || type === 'Z')
    .map((one) => (one.type === 'E' ? `${one.fields.S} ${one.fields.C}` : String(one)))
}

class Witness {
  readonly #case: Case
  readonly #client: RawClient
  #mark = 0

  constructor(one: Case, client: RawClient) {
    this.#case = one
    this.#client = client
  }

  async begin(): Promise<void> {
    await this.#case.begin(this.#client)
    this.#mark = this.#client.received.length
  }

  /** After the restart: reads what came, and asks again where the session stayed. */
  async fate(): Promise<Fate> {
    const { state, errors } = this.#case
    const client = this.#client
    const wanted = errors === 'either' ? 1 : errors
    const since = () => client.received.slice(this.#mark)
    await poll(
      `the fate of a session ${state}`,
      () => client.ended || (wanted !== 'closed' && since().filter(({ type }) => type === 'Z').length >= wanted) || undefined,
      30_000,
      () => since().slice(-5).join('\n'),
    )
    const seen = visible(since())
    if (client.ended) return { state, seen, closed: true, firstQuery: '' }
    const before = client.received.length
    client.send(query('SELECT count(*) FROM item'))
    await poll(
      'the first query is answered',
      () => client.ended || client.received.slice(before).some(({ type }) => type === 'Z') || undefined,
    )
    const answers = client.received.slice(before)
    const failed = visible(answers).find((line) => !line.startsWith('ReadyForQuery'))
    const firstQuery = failed ?? (client.ended ? 'the connection ended' : 'ok')
    return { state, seen, closed: client.ended, firstQuery }
  }

  end(): void {
    this.#client.vanish()
  }
}

/** One session in each state, ready for the restart. */
export async function startSessions(pglease: Pglease, postgres: PostgresServer): Promise<{ fates(): Promise<Fate[]>; end(): void }> {
  const target = { port: pglease.port }
  const witnesses: Witness[] = []
  for (const one of CASES) {
    const witness = new Witness(one, await rawLogin(target, { user: 'app', database: DATABASE }))
    await witness.begin()
    witnesses.push(witness)
  }
  // on their way is not enough: the server must be at them
  const sleeping = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = '${SLEEP}'`
  await poll('the queries run', async () => ((await postgres.sql(sleeping)).length >= 3 ? true : undefined))
  return {
    fates: async () => {
      const fates: Fate[] = []
      for (const witness of witnesses) fates.push(await witness.fate())
      return fates
    },
    end: () => {
      for (const witness of witnesses) witness.end()
    },
  }
}

const SERVER_WORDS = ['57P01', '57P02', '08006']

/** Whether this is what DESIGN 5.9 promises to a session of that state. */
function asPromised({ state, seen, closed, firstQuery }: Fate): boolean {
  const promised = CASES.find((one) => one.state === state)?.errors ?? 'closed'
  const errors = promised === 'either' ? (closed ? 'closed' : 1) : promised
  if (errors === 'closed') {
    // a FATAL in the middle of a row cannot be read as one; the end of the connection is
    return closed && seen.every((line) => SERVER_WORDS.some((code) => line === `FATAL ${code}`))
  }
  const wanted = Array.from({ length: errors }, () => ['ERROR', 'ReadyForQuery I']).flat()
  const fits = wanted.every((line, at) =>
    line === 'ERROR' ? SERVER_WORDS.some((code) => seen[at] === `ERROR ${code}`) : seen[at] === line,
  )
  return !closed && seen.length === wanted.length && fits && firstQuery === 'ok'
}

/** One figure per state over all restarts. */
export function fateFigures(fates: readonly Fate[]): Figure[] {
  return SESSION_STATES.map((state) => {
    const those = fates.filter((fate) => fate.state === state)
    const wrong = those.find((fate) => !asPromised(fate))
    return holds(`a session ${state} ends or stays as promised`, wrong === undefined && those.length > 0, JSON.stringify(wrong))
  })
}

/** What only sessions that had to be told something see. */
export function toldFatal(fates: readonly Fate[]): Figure {
  const closed = fates.filter(({ state }) => state.startsWith('in a transaction') || state === 'in COPY')
  return exactly('sessions closed without a word', closed.filter(({ seen }) => seen.length === 0).length, 0)
}
