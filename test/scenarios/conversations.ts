// Random conversations: what a client gets through pglease, on a link that another uses meanwhile, is what PostgreSQL itself answers.
import assert from 'node:assert/strict'
import { seeded } from '../../scripts/lib/accept_line.ts'
import type { FixedDatabase } from '../kit/fixed-database.ts'
import type { RawClient } from '../kit/raw-client.ts'
import {
  bind,
  closePortal,
  closeStatement,
  copyData,
  copyDone,
  copyFail,
  describePortal,
  describeStatement,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from '../kit/raw-messages.ts'

type Random = () => number
/** Messages with their names, for the report of a difference. */
type Item = readonly [name: string, bytes: Buffer]

const QUERIES = [
  'SELECT 1',
  'SELECT 1/0',
  '',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SELECT 1; SELECT 1/0; SELECT 3',
  'SELEC',
  "SET application_name TO 'x'",
  "DO $$ BEGIN RAISE NOTICE 'n'; END $$",
  'COPY (SELECT 1) TO STDOUT',
  'SAVEPOINT a',
  'ROLLBACK TO a',
  'INSERT INTO t VALUES (1)',
  "SELECT repeat('x', 70000)",
  "BEGIN; SET LOCAL TimeZone TO 'Asia/Tokyo'",
  'SELECT 5; BEGIN',
  'COMMIT AND CHAIN',
]
const STATEMENTS = [
  'SELECT 1',
  'SELECT $1::int',
  'SELECT 1/0',
  'SELEC',
  '',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SELECT generate_series(1, 3)',
  'INSERT INTO t VALUES (1)',
  `SELECT '${'y'.repeat(66_000)}'`,
  'COPY (SELECT 1) TO STDOUT',
  'SELECT 1; SELECT 2',
]

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
const perhaps = (random: Random, share: number, ...items: Item[]): Item[] => (random() < share ? items : [])

function copy(random: Random): Item[] {
  const bad = random() < 0.3
  const data: Item[] = [
    ...perhaps(random, 0.7, ['CopyData', copyData('1\n')]),
    ...(bad ? ([['bad CopyData', copyData('x\n')]] as const) : []),
    ...perhaps(random, 0.3, ['Sync', sync()]),
    ...perhaps(random, 0.2, ['Flush', flush()]),
    ...perhaps(random, 0.7, ['CopyData', copyData('2\n')]),
    pick<Item>(random, [
      ['CopyDone', copyDone()],
      ['CopyFail', copyFail('no')],
    ]),
  ]
  if (random() < 0.5) {
    const sql = pick(random, ['COPY t FROM STDIN', 'COPY t FROM STDIN; SELECT 1', 'SELECT 1; COPY t FROM STDIN'])
    return [[`Query ${sql}`, query(sql)], ...data]
  }
  const asked: Item[] = [
    ['Parse COPY', parse('', 'COPY t FROM STDIN')],
    ['Bind', bind('', '')],
    ['Execute', execute()],
  ]
  // the statement is closed: a later Execute would begin a COPY that nobody ends
  const close: Item[] = [
    ['Sync', sync()],
    ['Close', closeStatement('')],
    ['Sync', sync()],
  ]
  return [...asked, ...perhaps(random, 0.5, ['Sync', sync()]), ...data, ...close]
}

function statement(random: Random): Item[] {
  const sql = pick(random, STATEMENTS)
  const first: Item = [`Parse ${sql.slice(0, 30)}`, parse('', sql)]
  if (random() < 0.5) return [first]
  return [first, ['Bind', bind('', '', sql.includes('$1') ? ['7'] : [])], ['Execute', execute()], ...perhaps(random, 0.7, ['Sync', sync()])]
}

const KINDS: readonly ((random: Random) => Item[])[] = [
  (random) => {
    const sql = pick(random, QUERIES)
    return [[`Query ${sql}`, query(sql)]]
  },
  statement,
  copy,
  (random) => [['Bind', bind(pick(random, ['', '', 'p']), '', pick(random, [[], [], ['5'], ['x']]))]],
  (random) => [['Execute', execute(pick(random, ['', '', 'p']), pick(random, [0, 0, 1]))]],
  (random) => [['Describe', pick(random, [describeStatement(''), describePortal(''), describePortal('p')])]],
  (random) => [['Close', pick(random, [closeStatement(''), closePortal(''), closePortal('p')])]],
  () => [['Sync', sync()]],
  () => [['Flush', flush()]],
  (random) => [['FunctionCall', functionCall(pick(random, [882, 1]), pick(random, [['a '], []]))]],
]

const NAMES = ['a', 'b', 'c']

/** Named statements: made, used with matching and other parameters, described, closed, all of them dropped. */
const NAMED_KINDS: readonly ((random: Random) => Item[])[] = [
  (random) => {
    const [name, sql] = [pick(random, NAMES), pick(random, STATEMENTS)]
    return [[`Parse ${name}: ${sql.slice(0, 30)}`, parse(name, sql)]]
  },
  (random) => {
    const [name, values] = [pick(random, NAMES), pick(random, [[], [], ['5'], ['x']])]
    return [[`Bind ${name} (${values})`, bind(pick(random, ['', '', 'p']), name, values)], ...perhaps(random, 0.8, ['Execute', execute()])]
  },
  (random) => {
    const name = pick(random, NAMES)
    return [[`Describe ${name}`, describeStatement(name)]]
  },
  (random) => {
    const name = pick(random, NAMES)
    return [[`Close ${name}`, closeStatement(name)]]
  },
  (random) => {
    const [name, sql] = [pick(random, NAMES), pick(random, STATEMENTS)]
    const whole: Item[] = [
      [`Parse ${name}: ${sql.slice(0, 30)}`, parse(name, sql)],
      [`Describe ${name}`, describeStatement(name)],
      ['Sync', sync()],
      [`Bind ${name}`, bind('', name, sql.includes('$1') ? ['7'] : [])],
      ['Execute', execute()],
      ['Sync', sync()],
    ]
    return random() < 0.5 ? [[`Close ${name}`, closeStatement(name)], ...whole] : whole
  },
  (random) => {
    const sql = pick(random, ['DEALLOCATE ALL', 'DISCARD ALL', 'DISCARD ALL'])
    return [
      ['Sync', sync()],
      [`Query ${sql}`, query(sql)],
    ]
  },
]

export interface Conversation {
  names: string
  chunks: Buffer[]
  marker: string
}

/**
 * A Sync before each Query and FunctionCall that follows extended messages. Without it PostgreSQL 18 reports I after the next Sync,
 * and then fails the command after that one (XX000); pglease spends that error before anyone gets the link again.
 */
function separated(items: readonly Item[]): Item[] {
  let open = false
  return items.flatMap((item): Item[] => {
    const [name] = item
    if (/^(Query|FunctionCall)/.test(name)) {
      const wasOpen = open
      open = false
      return wasOpen ? [['Sync', sync()], item] : [item]
    }
    if (/^(Parse|Bind|Execute|Describe|Close)/.test(name)) open = true
    if (name === 'Sync') open = false
    return [item]
  })
}

/** Up to 12 random steps, then whatever brings the session back to idle, cut into a few writes. */
export function conversation(random: Random, round: number, named = false): Conversation {
  const marker = `end of ${round}`
  const kinds = named ? [...KINDS, ...NAMED_KINDS] : KINDS
  const items = separated(Array.from({ length: 1 + Math.floor(random() * 12) }, () => pick(random, kinds)(random)).flat())
  items.push(['Sync', sync()], ['Query', query('')], ['Query ROLLBACK', query('ROLLBACK')], ['Query', query(`SELECT '${marker}'`)])
  const whole = Buffer.concat(items.map(([, bytes]) => bytes))
  const cuts = Array.from({ length: Math.floor(random() * 4) }, () => Math.floor(random() * whole.length)).sort((a, b) => a - b)
  const chunks = [...cuts, whole.length].map((end, index) => whole.subarray(cuts[index - 1] ?? 0, end))
  return { names: items.map(([name]) => name).join(' | '), chunks, marker }
}

/** The replies but for ParameterStatus, which a link may have told before, and for the names of statements, which are the pool's. */
export async function converse(client: RawClient, { chunks, marker }: Conversation): Promise<string> {
  for (const chunk of chunks) {
    client.send(chunk)
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
  }
  const lines: string[] = []
  try {
    while (lines.at(-1) !== `DataRow '${marker}'`) lines.push(String(await client.next(10_000)))
    lines.push(...(await client.ready(10_000)))
  } catch (error) {
    lines.push(String(error).slice(0, 200))
  }
  return lines
    .filter((line) => !line.startsWith('ParameterStatus'))
    .map((line) => line.replace(/x{50,}|y{50,}/g, '~').replace(/prepared statement "\w*"/, 'prepared statement ~'))
    .join('\n')
}

export interface Difference {
  round: number
  names: string
  direct: string
  pooled: string
}

/** The first of `rounds` conversations that differs. The pool must be of one link; the database has a table `t (a int)`. */
export async function firstDifference(app: FixedDatabase, rounds: number, seed: number): Promise<Difference | undefined> {
  const random = seeded(seed)
  const pooled = await app.raw()
  const direct = await app.direct({ user: app.user, password: app.password })
  let going = true
  const other = await app.raw()
  const disturber = (async () => {
    for (let turn = 0; going; turn++) {
      // odd turns leave a statement behind that nobody may reach
      const [asked, answers] =
        turn % 2
          ? [[], []]
          : [
              [bind('', ''), execute()],
              ['BindComplete', `DataRow '${turn}'`, "CommandComplete 'SELECT 1'"],
            ]
      const lines = await other.ask(parse('', `SELECT ${turn}`), ...asked, sync())
      const told = lines.filter((line) => !line.startsWith('ParameterStatus'))
      assert.deepEqual(told, ['ParseComplete', ...answers, 'ReadyForQuery I'], 'the other session')
    }
  })()
  try {
    for (let round = 0; round < rounds; round++) {
      const one = conversation(random, round)
      const [expected, got] = [await converse(direct, one), await converse(pooled, one)]
      if (expected !== got) return { round, names: one.names, direct: expected, pooled: got }
    }
    return undefined
  } finally {
    going = false
    await disturber
  }
}
