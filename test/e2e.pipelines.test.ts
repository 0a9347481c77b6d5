// Pipelines, COPY and large messages over shared links are answered as over a direct connection.
import assert from 'node:assert/strict'
import { fixedDatabase } from './kit/fixed-database.ts'
import { bind, copyData, copyDone, copyFail, describePortal, execute, flush, functionCall, parse, query, sync } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { ask, replies, type Step, same, world } from './kit/side-by-side.ts'

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

const LOST = /^ErrorResponse S='(ERROR|FATAL)' C='08P01' M='terminating connection because protocol synchronization was lost'/

scenario(
  'a Query within a COPY: PostgreSQL ends the connection; of pglease each request gets an error, and the client goes on',
  async (run) => {
    const app = await fixedDatabase(run, { facts: { pool_size: 1 }, sql: 'CREATE TABLE t (a int); GRANT ALL ON t TO app' })
    const [copy, rest] = [query('COPY t FROM STDIN'), [copyData('1\n'), query('SELECT 1')]]
    const direct = await app.direct()
    direct.send(copy, ...rest)
    assert.match(String((await direct.rest()).at(-1)), LOST)
    const client = await app.raw()
    for (const ahead of [true, false]) {
      client.send(copy, ...(ahead ? rest : []))
      await client.until('G')
      if (!ahead) client.send(...rest)
      const [first, second] = [await client.ready(), await client.ready()]
      assert.match(String(first[0]), /^ErrorResponse S='ERROR' C='08P01' M='unexpected message type 0x51 during COPY/)
      for (const lines of [first, second]) assert.match(String(lines.at(-2)), LOST)
      assert.ok((await client.ask(query('SELECT count(*) FROM t'))).includes("DataRow '0'"))
    }
  },
)

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
