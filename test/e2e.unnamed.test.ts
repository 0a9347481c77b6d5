// What clients get over shared links is what a direct connection gives them: unnamed statements, pipelines, COPY, large messages, lost links.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { poll } from './kit/child.ts'
import type { Pglease } from './kit/pglease.ts'
import { type PostgresServer, sharedPostgres } from './kit/postgres.ts'
import { type RawClient, rawLogin } from './kit/raw-client.ts'
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
  message,
  parse,
  query,
  sync,
} from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'

const USER = 'unnamed_tester'
const PASSWORD = 'of-no-use-elsewhere'

interface World {
  readonly postgres: PostgresServer
  readonly pglease: Pglease
  readonly database: string
  /** A client through pglease. */
  pooled(): Promise<RawClient>
  /** The same, without pglease. */
  direct(): Promise<RawClient>
}

async function world(run: Scenario, poolSize = 1): Promise<World> {
  const postgres = await sharedPostgres()
  await postgres.sql(`DO $$ BEGIN CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
  const database = await postgres.createDatabase()
  run.defer(() => postgres.dropDatabase(database))
  await postgres.sql(
    `GRANT CREATE ON SCHEMA public TO ${USER}; SET ROLE ${USER};
     CREATE TABLE t (a int primary key, b text); CREATE VIEW v AS SELECT * FROM t;
     CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)`,
    database,
  )
  const { host, port } = postgres
  const settings = { host, port, dbname: database, user: USER, password: PASSWORD, pool_size: poolSize }
  const pglease = await run.pglease({ config: { databases: { app: settings } } })
  const kept = async (opening: Promise<RawClient>) => {
    const client = await opening
    run.defer(() => client.socket.destroy())
    return client
  }
  return {
    postgres,
    pglease,
    database,
    pooled: () => kept(rawLogin({ port: pglease.port }, { user: USER, database: 'app' })),
    direct: () => kept(rawLogin({ host, port }, { user: USER, database, password: PASSWORD })),
  }
}

type Step = (client: RawClient) => Promise<string[]>

/** Sends in one write; the trace up to as many ReadyForQuery as the messages have Syncs, Queries and function calls, or to `ready`. */
const ask =
  (...messages: Buffer[]): Step =>
  (client) =>
    replies(client, messages, messages.filter((one) => 'SQF'.includes(String.fromCharCode(one[0] ?? 0))).length)

async function replies(client: RawClient, messages: readonly Buffer[], ready: number): Promise<string[]> {
  client.send(...messages)
  const lines: string[] = []
  for (let count = 0; count < ready; count++) lines.push(...(await client.ready()))
  return lines
}

/** Plays the steps, each by client number 0 or 1, over pglease and directly, and compares what each got. */
async function same(run: Scenario, steps: readonly (readonly [0 | 1, Step])[], poolSize = 1): Promise<string[][]> {
  const it = await world(run, poolSize)
  const play = async (clients: readonly RawClient[]) => {
    const traces: string[][] = []
    for (const [index, step] of steps) traces.push(await step(clients[index] as RawClient))
    return traces
  }
  const wanted = await play([await it.direct(), await it.direct()])
  await it.postgres.sql('TRUNCATE t, late', it.database)
  const got = await play([await it.pooled(), await it.pooled()])
  for (const [index, trace] of wanted.entries()) assert.deepEqual(got[index], trace, `step ${index + 1}`)
  return got
}

const one = (text: string) => ask(parse('', text), bind('', ''), execute(), sync())
const again = ask(bind('', ''), execute(), sync())

scenario('(a) Parse, Describe, Sync and later Bind, Execute, Sync', async (run) => {
  const traces = await same(run, [
    [0, ask(parse('', "SELECT 'first' AS a"), describeStatement(''), sync())],
    [1, ask(parse('', "SELECT 'second' AS b, 2 AS c"), describeStatement(''), sync())],
    [0, again],
    [1, again],
    [0, ask(describeStatement(''), sync())],
    [1, ask(bind('', ''), describePortal(''), execute(), sync())],
    [0, again],
  ])
  assert.ok(traces[2]?.includes("DataRow 'first'"), String(traces[2]))
})

scenario('(b) Parse, Bind, Execute, Sync and later Bind, Execute, Sync', async (run) => {
  await same(run, [
    [0, one("SELECT 'first'")],
    [1, one("SELECT 'second'")],
    [0, again],
    [1, again],
    [0, ask(bind('p', ''), execute('p'), closePortal('p'), sync())],
    [1, ask(closeStatement('nothing'), bind('', ''), execute(), sync())],
    [0, ask(execute('missing'), sync())],
    [0, again],
  ])
})

scenario('(c) a Bind after a failed Parse, after a Query and after a Close of the statement is 26000', async (run) => {
  const traces = await same(run, [
    [1, one("SELECT 'not yours'")],
    [0, again],
    [0, ask(parse('', 'SELEC'), sync())],
    [0, again],
    [1, again],
    [0, one("SELECT 'mine'")],
    [1, again],
    [0, ask(query('SELECT 1'))],
    [1, again],
    [0, again],
    [0, one("SELECT 'mine'")],
    [0, ask(closeStatement(''), sync())],
    [1, again],
    [0, again],
    [1, ask(describeStatement(''), sync())],
  ])
  for (const index of [1, 3, 9, 13]) assert.match(String(traces[index]), /C='26000'/, `step ${index + 1}`)
  for (const index of [4, 6, 8, 12]) assert.ok(traces[index]?.includes("DataRow 'not yours'"), `step ${index + 1}`)
})

scenario('a statement that the server did not drop is not another session’s either', async (run) => {
  const notUtf8 = (type: string, ...rest: Buffer[]) => message(type, Buffer.concat([...rest, Buffer.from([0xff, 0xfe, 0])]))
  await same(run, [
    [1, one("SELECT 'not yours'")],
    // these fail before PostgreSQL drops what it holds
    [0, ask(message('P', Buffer.from([0, 0xff, 0xfe, 0, 0, 0])), sync())],
    [0, again],
    [1, again],
    [0, ask(notUtf8('Q'))],
    [0, again],
    [1, again],
    [0, ask(message('P', Buffer.from([0])), sync(), bind('', ''), execute(), sync())],
    [1, again],
    [0, ask(notUtf8('Q'), bind('', ''), execute(), sync())],
    [1, again],
    [0, ask(describeStatement('missing'), parse('', "SELECT 'skipped'"), sync(), bind('', ''), execute(), sync())],
    [0, ask(describeStatement('missing'), bind('', ''), sync(), bind('', ''), execute(), sync())],
    [1, again],
  ])
})

scenario('a statement of an earlier transaction on another link is not used again', async (run) => {
  await same(
    run,
    [
      [0, one("SELECT 'old'")],
      [1, ask(query('BEGIN'))],
      [0, one("SELECT 'new'")],
      [1, ask(query('COMMIT'))],
      [0, again],
      [1, ask(query('BEGIN'))],
      [0, again],
      [1, ask(query('COMMIT'))],
      [0, ask(query('SELECT 1'))],
      [1, ask(query('BEGIN'))],
      [0, again],
      [1, ask(query('COMMIT'))],
      [0, again],
    ],
    2,
  )
})

scenario('a kept statement that no longer parses fails each time, and comes back', async (run) => {
  const it = await world(run)
  const [first, second] = [await it.pooled(), await it.pooled()]
  await ask(query("INSERT INTO t VALUES (1, 'x')"))(first)
  assert.ok((await one('SELECT b FROM t')(first)).includes("DataRow 'x'"))
  await ask(query('ALTER TABLE t RENAME TO away'))(second)
  for (let round = 0; round < 2; round++) {
    assert.match(
      String(await ask(bind('', ''), execute(), sync(), sync())(first)),
      /^ErrorResponse [^,]*C='42P01'[^,]*,ReadyForQuery I,ReadyForQuery I$/,
    )
  }
  await ask(query('ALTER TABLE away RENAME TO t'))(second)
  assert.ok((await again(first)).includes("DataRow 'x'"))
})

scenario('statements too long to be kept stay on their link', async (run) => {
  const long = (text: string) => `SELECT '${text}' /* ${'x'.repeat(80_000)} */`
  await same(run, [
    [0, one(long('first'))],
    [0, again],
    [0, ask(query('SELECT 1'))],
    [1, one(long('second'))],
    [1, again],
  ])
})

scenario('pipelines, whole and byte by byte, with errors inside', async (run) => {
  const insert = (value: number) => [parse('', `INSERT INTO t VALUES (${value}, 'x')`), bind('', ''), execute()]
  const pipelines = [
    ask(...insert(1), ...insert(2), sync(), ...insert(1), ...insert(3), sync(), query('SELECT count(*) FROM t')),
    ask(query('SELECT 1; SELECT 2'), query('SELEC'), query(''), query('SELECT 3')),
    ask(
      parse('', 'SELECT $1::int'),
      bind('', '', ['1']),
      execute(),
      bind('', '', ['no']),
      execute(),
      bind('', '', ['2']),
      execute(),
      sync(),
    ),
    ask(query('BEGIN'), ...insert(5), sync(), ...insert(5), sync(), query('SELECT 1'), query('ROLLBACK'), query('SELECT count(*) FROM t')),
    ask(parse('', 'INSERT INTO late VALUES (1), (1)'), bind('', ''), execute(), sync(), query('SELECT count(*) FROM late')),
    ask(parse('', ''), bind('', ''), describePortal(''), execute(), sync(), sync(), query(' ')),
    ask(parse('', 'SELECT generate_series(1, 5)'), bind('', ''), execute('', 2), execute('', 2), execute('', 2), flush(), sync()),
    ask(functionCall(1597, []), functionCall(0, ['x']), query('SELECT 1')),
    ask(
      query("SET application_name = 'abc'"),
      query('SHOW application_name'),
      query("SET DateStyle = 'german'"),
      query('SELECT date $$2026-02-01$$'),
    ),
    ask(query('LISTEN x; NOTIFY x'), query("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'there'; END $$")),
  ]
  // a Query in the stretch that the server skips gets no ReadyForQuery
  const skipped: Step = (client) => replies(client, [parse('', 'SELEC'), query('SELECT 1'), functionCall(0, []), sync()], 1)
  await same(
    run,
    [...pipelines, skipped].flatMap((step) => [[0, step] as const, [1, ask(query('SELECT 1'))] as const]),
  )
  const it = await world(run)
  const bytes = Buffer.concat([...insert(7), sync(), ...insert(7), sync(), query('SELECT b FROM t'), copyDone(), ...insert(8), sync()])
  const wanted = await replies(await it.direct(), [bytes], 4)
  await it.postgres.sql('TRUNCATE t', it.database)
  const client = await it.pooled()
  await client.sendByteByByte(bytes)
  assert.deepEqual(await replies(client, [], 4), wanted)
})

/** Sends `start`, waits for CopyInResponse, sends the rest; the trace up to `ready` ReadyForQuery. */
const copyIn =
  (start: readonly Buffer[], rest: readonly Buffer[], ready: number): Step =>
  async (client) => {
    client.send(...start)
    const begin = (await client.until('G')).map(String)
    return [...begin, ...(await replies(client, rest, ready))]
  }

const EXTENDED_COPY = [parse('', 'COPY t FROM STDIN'), bind('', ''), describePortal(''), execute()]

scenario('COPY in and out, and every way in which it fails', async (run) => {
  const [good, bad] = [copyData('1\tone\n2\ttwo\n'), copyData('three\tx\n')]
  const trailing = [copyData('9\tnine\n'), copyData('8\t'), copyDone()]
  const copy = query('COPY t FROM STDIN')
  const steps: Step[] = [
    copyIn([copy], [good, copyDone()], 1),
    ask(query('COPY (SELECT * FROM t ORDER BY a) TO STDOUT')),
    ask(parse('', 'COPY t TO STDOUT'), bind('', ''), execute(), sync()),
    copyIn([copy], [copyFail('enough')], 1),
    copyIn([copy], [bad, ...trailing], 1),
    copyIn([copy], [copyData('3\tthree\n'), sync(), flush(), copyDone()], 1),
    copyIn([query('BEGIN'), copy], [bad, ...trailing, query('SELECT 1'), query('ROLLBACK')], 3),
    copyIn(EXTENDED_COPY, [copyData('4\tfour\n'), copyDone(), sync()], 1),
    copyIn([...EXTENDED_COPY, sync()], [copyData('5\tfive\n'), copyDone(), sync()], 1),
    copyIn([...EXTENDED_COPY, sync()], [copyFail('enough'), sync()], 1),
    copyIn([...EXTENDED_COPY, sync()], [bad, ...trailing, sync()], 1),
    copyIn([...EXTENDED_COPY], [bad, ...trailing, sync(), query('SELECT 1')], 2),
    // all ahead, without waiting for the server
    (client) => replies(client, [copy, copyData('6\tsix\n'), copyDone(), query('SELECT count(*) FROM t')], 2),
    (client) => replies(client, [...EXTENDED_COPY, sync(), copyData('7\tseven\n'), copyDone(), sync(), query('SELECT 1')], 2),
    // both fail before data are read: the second Sync is answered too
    (client) =>
      replies(client, [parse('', 'COPY missing FROM STDIN'), bind('', ''), execute(), sync(), copyData('x'), copyDone(), sync()], 2),
    (client) => replies(client, [parse('', 'COPY v FROM STDIN'), bind('', ''), execute(), sync(), copyDone(), sync()], 2),
    ask(copyData('stray'), copyDone(), sync()),
    ask(query('SELECT * FROM t ORDER BY a')),
  ]
  await same(
    run,
    steps.flatMap((step) => [[0, step] as const, [1, ask(query('SELECT count(*) FROM t'))] as const]),
  )
})

scenario('large messages in both directions, and errors of any length', async (run) => {
  const big = 'x'.repeat(1_000_000)
  await same(run, [
    [0, ask(query(`SELECT length('${big}')`))],
    [1, ask(parse('', 'SELECT length($1), md5($1)', [25]), bind('', '', [big]), execute(), sync())],
    [0, ask(query(`SELECT repeat('y', 2000000)`), query('SELECT 1'))],
    [1, ask(query(`SELECT '${'z'.repeat(200_000)}'::int`))],
    [0, ask(query(`DO $$ BEGIN RAISE NOTICE '%', repeat('n', 300000); END $$`), query('SELECT 2'))],
    [1, copyIn([query('COPY t FROM STDIN')], [copyData(`1\t${big}\n`), copyDone()], 1)],
    [0, ask(query('COPY t TO STDOUT'))],
    [1, copyIn([query('COPY t FROM STDIN')], [copyData(`no\t${big}\n`), copyData(`2\t${big}\n`), copyDone()], 1)],
    [0, ask(query('SELECT count(*) FROM t'))],
  ])
})

scenario('a client that never stops pipelining leaves the link to others', async (run) => {
  const it = await world(run)
  const [busy, other] = [await it.pooled(), await it.pooled()]
  let going = true
  const pipelining = (async () => {
    busy.send(...Array.from({ length: 8 }, sync))
    let answered = 0
    for (; going; answered++) {
      await busy.ready()
      busy.send(sync())
    }
    return answered
  })()
  for (let round = 0; round < 20; round++) assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
  going = false
  assert.ok((await pipelining) > 20)
})

scenario('Terminate: what was asked is done, what was left open is not, and the link goes on', async (run) => {
  const it = await world(run)
  const count = async () => (await it.postgres.sql('SELECT count(*)::int AS n FROM t', it.database))[0]?.n
  const leave = async (...messages: Buffer[]) => {
    const client = await it.pooled()
    client.send(...messages, message('X'))
    await client.rest()
  }
  const other = await it.pooled()
  const alive = async () => assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
  await leave(query('SELECT pg_sleep(0.2)'), query("INSERT INTO t VALUES (1, 'x')"))
  await alive()
  assert.equal(await count(), 1)
  await leave(query('BEGIN'), query("INSERT INTO t VALUES (2, 'x')"))
  await alive()
  await leave(parse('', "INSERT INTO t VALUES (3, 'x')"), bind('', ''), execute())
  await alive()
  await leave(query('COPY t FROM STDIN'))
  await alive()
  await leave(query('COPY t FROM STDIN'), copyData('4\tx\n'))
  await alive()
  await leave(parse('', 'SELEC'), flush())
  await alive()
  await leave()
  assert.equal(await count(), 1)
})

scenario('a client that vanishes: its query is cancelled, its transaction undone, its link free', async (run) => {
  const it = await world(run)
  const other = await it.pooled()
  const alive = async () => assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
  for (const messages of [
    [query('SELECT pg_sleep(300)')],
    [query('BEGIN'), query("INSERT INTO t VALUES (1, 'x')")],
    [query('COPY t FROM STDIN'), copyData('1\tx\n')],
    [parse('', 'SELECT 1'), bind('', ''), execute(), flush()],
    [query('SELECT 1').subarray(0, 4)],
    [query(`SELECT '${'x'.repeat(100_000)}'`).subarray(0, 90_000)],
  ]) {
    const client = await it.pooled()
    client.send(...messages)
    if (messages.length > 1 || messages[0]?.includes('sleep'))
      await poll('the server has it', async () => {
        const rows = await it.postgres.sql(
          `SELECT 1 FROM pg_stat_activity WHERE usename = '${USER}' AND (state <> 'idle' OR query LIKE '%sleep%')`,
        )
        return rows.length > 0 || client.received.length > 20 ? true : undefined
      })
    client.vanish()
    await alive()
  }
  await poll('nothing is left', async () => {
    const rows = await it.postgres.sql(`SELECT query FROM pg_stat_activity WHERE usename = '${USER}' AND state <> 'idle'`)
    return rows.length === 0 ? true : undefined
  })
})

scenario('a server that ends a link: outside a transaction an ERROR and the client stays, inside FATAL', async (run) => {
  const it = await world(run)
  const suicide = 'SELECT pg_terminate_backend(pg_backend_pid())'
  const client = await it.pooled()
  const lost = ["ErrorResponse S='ERROR' C='57P01' M='terminating connection due to administrator command'", 'ReadyForQuery I']
  const ends = (trace: readonly string[]) => trace.filter((line) => /^(Error|Ready)/.test(line))
  assert.deepEqual(ends(await ask(query(suicide))(client)), lost)
  assert.ok((await ask(query('SELECT 1'))(client)).includes("DataRow '1'"))
  assert.deepEqual(ends(await ask(parse('', suicide), bind('', ''), execute(), sync(), query('SELECT 1'))(client)), [...lost, ...lost])
  assert.ok((await one('SELECT 5')(client)).includes("DataRow '5'"))
  await it.postgres.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${USER}'`)
  await poll('the idle link is gone', async () => {
    const rows = await it.postgres.sql(`SELECT 1 FROM pg_stat_activity WHERE usename = '${USER}'`)
    return rows.length === 0 ? true : undefined
  })
  assert.ok((await again(client)).includes("DataRow '5'"), 'the statement is kept')
  await ask(query('BEGIN'))(client)
  client.send(query(suicide))
  assert.match(String((await client.rest()).at(-1)), /^ErrorResponse S='FATAL' C='57P01'/)
})

/** Resident kilobytes. */
const resident = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

scenario('memory stays bounded with a client that does not read, and with a server that does not', async (run) => {
  const it = await world(run, 2)
  const [reader, writer, other] = [await it.pooled(), await it.pooled(), await it.pooled()]
  const before = resident(it.pglease.pid)
  reader.socket.pause()
  reader.send(query(`SELECT repeat('x', 100000) FROM generate_series(1, 3000)`), ...Array.from({ length: 50 }, () => query('SELECT 1')))
  const lock = await it.direct()
  await ask(query('BEGIN; LOCK TABLE t'))(lock)
  writer.send(query('COPY t FROM STDIN'))
  const line = copyData(`1\t${'y'.repeat(100_000)}\n`)
  let sent = 0
  const pump = () => {
    while (sent < 1000 && writer.socket.writableLength < 1_000_000) {
      writer.send(line)
      sent++
    }
  }
  writer.socket.on('drain', pump)
  pump()
  await poll('the server waits for its client', async () => {
    const rows = await it.postgres.sql(`SELECT 1 FROM pg_stat_activity WHERE usename = '${USER}' AND wait_event = 'ClientWrite'`)
    return rows.length > 0 ? true : undefined
  })
  const sentThen = await poll('the writer is stopped', async () => {
    const seen = sent
    await it.postgres.sql('SELECT pg_sleep(0.5)')
    return seen === sent ? seen : undefined
  })
  assert.ok(sentThen < 1000)
  const grown = resident(it.pglease.pid) - before
  assert.ok(grown < 64_000, `${grown} kB more`)
  reader.socket.resume()
  const replies: string[] = []
  for (let count = 0; count < 51; count++) replies.push(...(await reader.until('Z')).map((one) => one.type))
  assert.equal(replies.filter((type) => type === 'D').length, 3050)
  await ask(query('ROLLBACK'))(lock)
  await poll('all is sent', async () => (sent === 1000 ? true : undefined))
  writer.send(copyFail('enough'))
  assert.match(String(await writer.ready()), /C='(23505|57014)'/)
  assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
})
