// The steps of random programs of client messages: queries, statements, portals, pipelines, COPY and protocol errors.
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
  int16,
  int32,
  message,
  parse,
  query,
  sync,
} from '../kit/raw-messages.ts'

export type Random = () => number
/** Messages with their names, for the report of a difference. */
export type Item = readonly [name: string, bytes: Buffer]
type Step = (random: Random) => Item[]

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
  ' ; ; ',
  'SELECT 1; COMMIT; SELECT 2',
  'BEGIN; SELECT 1/0; COMMIT',
  'INSERT INTO t VALUES (3); SELECT 1/(random() * 0)::int',
  'ROLLBACK; BEGIN; SELECT 1',
  "COPY (SELECT repeat('x', 999) FROM generate_series(1, 99)) TO STDOUT; SELECT 2; COPY (SELECT 1) TO STDOUT",
  'DECLARE c CURSOR FOR SELECT generate_series(1, 9); FETCH 2 FROM c; MOVE 1 IN c',
  'FETCH 2 FROM c',
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
  'SELECT 1/(random() * 0)::int',
  'SELECT $1::int + 1',
  'SELECT $1::int + 2',
  'INSERT INTO t SELECT generate_series(1, 3) RETURNING a',
]

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
const perhaps = (random: Random, share: number, ...items: Item[]): Item[] => (random() < share ? items : [])
const values = (sql: string): string[] => (sql.includes('$1') ? ['7'] : [])

function copyIn(random: Random): Item[] {
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
  return [first, ['Bind', bind('', '', values(sql))], ['Execute', execute()], ...perhaps(random, 0.7, ['Sync', sync()])]
}

/** A portal that is read in pieces: PortalSuspended, and on after a Flush, or after a Sync, which ends it outside a transaction. */
function pieces(random: Random): Item[] {
  const portal = pick(random, ['', 'p'])
  const read = (rows: number): Item => [portal === '' ? 'Execute' : `Execute ${portal}`, execute(portal, rows)]
  const between = () =>
    perhaps(
      random,
      0.5,
      pick<Item>(random, [
        ['Flush', flush()],
        ['Sync', sync()],
        ['Describe', describePortal(portal)],
      ]),
    )
  return [
    ...perhaps(random, 0.4, ['Query BEGIN', query('BEGIN')]),
    ['Parse series', parse('', 'SELECT generate_series(1, 5)')],
    ['Bind', bind(portal, '')],
    read(2),
    ...between(),
    read(pick(random, [1, 2, 0])),
    ...between(),
    read(pick(random, [0, 3])),
    ...perhaps(random, 0.5, ['Close portal', closePortal(portal)]),
    ...perhaps(random, 0.7, ['Sync', sync()]),
  ]
}

/** What PostgreSQL answers with ERROR and goes on after. */
const WRONG: readonly Item[] = [
  ['Describe of neither kind', message('D', Buffer.from('X'), '')],
  ['Close of neither kind', message('C', Buffer.from('X'), '')],
  ['Bind with two formats', message('B', '', '', 2, int16(0), int16(0), 1, int32(1), Buffer.from('5'), 0)],
  ['Bind in an unknown format', message('B', '', '', 1, int16(7), 1, int32(1), Buffer.from('5'), 0)],
  ['Bind with half an int', message('B', '', '', 1, int16(1), 1, int32(2), Buffer.from('55'), 0)],
  ['Bind that ends early', message('B', '', '', 0, 1, int32(9))],
  ['Parse a with bytes too many', message('P', 'a', 'SELECT 1', 0, Buffer.from('more'))],
  ['Parse of an unknown type', parse('', 'SELECT $1', [999_999])],
  ['Parse a of bytes that are no text', message('P', 'a', Buffer.from([0x53, 0xff, 0]), 0)],
  ['Execute of too few rows', execute('', -1)],
  ['Sync', sync()],
]

export const STEPS: readonly Step[] = [
  (random) => {
    const sql = pick(random, QUERIES)
    return [[`Query ${sql}`, query(sql)]]
  },
  statement,
  copyIn,
  pieces,
  (random) => [['Bind', bind(pick(random, ['', '', 'p']), '', pick(random, [[], [], ['5'], ['x']]))]],
  (random) => {
    const portal = pick(random, ['', '', 'p'])
    return [[portal === '' ? 'Execute' : `Execute ${portal}`, execute(portal, pick(random, [0, 0, 1]))]]
  },
  (random) => [['Describe', pick(random, [describeStatement(''), describePortal(''), describePortal('p')])]],
  (random) => [['Close', pick(random, [closeStatement(''), closePortal(''), closePortal('p')])]],
  () => [['Sync', sync()]],
  () => [['Flush', flush()]],
  (random) => [['FunctionCall', functionCall(pick(random, [882, 1]), pick(random, [['a '], []]))]],
  (random) => [pick(random, WRONG)],
]

const NAMES = ['a', 'b', 'c']

function namedParse(name: string, sql: string): Item {
  return [`Parse ${name}: ${sql.slice(0, 30)}`, parse(name, sql)]
}

/** Several statements in one batch, as a driver with a pipeline sends them; what comes behind a failure is skipped. */
function pipeline(random: Random): Item[] {
  const whole = Array.from({ length: 2 + Math.floor(random() * 4) }, (): Item[] => {
    const [name, sql] = [pick(random, NAMES), pick(random, STATEMENTS)]
    return [
      ...perhaps(random, 0.3, [`Close ${name}`, closeStatement(name)]),
      ...perhaps(random, 0.7, namedParse(name, sql)),
      [`Bind ${name}`, bind('', name, values(sql))],
      ['Execute', execute('', pick(random, [0, 0, 1]))],
    ]
  })
  return [...whole.flat(), ['Sync', sync()]]
}

/** Named statements: made, used with matching and other parameters, described, closed, all of them dropped. */
export const NAMED_STEPS: readonly Step[] = [
  (random) => [namedParse(pick(random, NAMES), pick(random, STATEMENTS))],
  (random) => {
    const [name, parameters] = [pick(random, NAMES), pick(random, [[], [], ['5'], ['x']])]
    const portal = pick(random, ['', '', 'p'])
    return [[`Bind ${name} (${parameters})`, bind(portal, name, parameters)], ...perhaps(random, 0.8, ['Execute', execute()])]
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
      namedParse(name, sql),
      [`Describe ${name}`, describeStatement(name)],
      ['Sync', sync()],
      [`Bind ${name}`, bind('', name, values(sql))],
      ['Execute', execute()],
      ['Sync', sync()],
    ]
    return random() < 0.5 ? [[`Close ${name}`, closeStatement(name)], ...whole] : whole
  },
  pipeline,
  (random) => {
    const sql = pick(random, ['DEALLOCATE ALL', 'DISCARD ALL', 'DISCARD ALL', `DEALLOCATE ${pick(random, NAMES)}`])
    return [
      ['Sync', sync()],
      [`Query ${sql}`, query(sql)],
    ]
  },
]
