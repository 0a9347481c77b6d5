// Unnamed statements of two clients over shared links are those of two direct connections.
import assert from 'node:assert/strict'
import {
  bind,
  closePortal,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  message,
  parse,
  query,
  sync,
} from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { again, ask, one, same, world } from './kit/side-by-side.ts'

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
