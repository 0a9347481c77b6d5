// Named prepared statements of two clients over shared links are those of two direct connections.
import assert from 'node:assert/strict'
import pg from 'pg'
import postgres from 'postgres'
import { poll } from './kit/child.ts'
import { fixedDatabase } from './kit/fixed-database.ts'
import type { RawClient } from './kit/raw-client.ts'
import {
  bind,
  closePortal,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  parse,
  query,
  sync,
  terminate,
} from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { again, ask, one, type Step, same, world } from './kit/side-by-side.ts'

const prepared = (name: string, text: string) => ask(parse(name, text), describeStatement(name), sync())
const run = (name: string, ...values: string[]) => ask(bind('', name, values), describePortal(''), execute(), sync())
const few = { max_prepared_statements: 2 }

scenario('the names of two sessions are their own, whatever their texts', async (it) => {
  for (const links of [1, 2]) {
    const traces = await same(
      it,
      [
        [0, prepared('s', "SELECT 'first' AS a")],
        [1, prepared('s', "SELECT 'second' AS b, 2")],
        [0, run('s')],
        [1, run('s')],
        [1, prepared('same', "SELECT 'first' AS a")],
        [0, ask(query(links === 1 ? '' : 'BEGIN'))],
        [1, run('same')],
        [1, run('s')],
        [0, run('s')],
        [0, ask(query(links === 1 ? '' : 'COMMIT'))],
        [0, ask(closeStatement('s'), sync())],
        [0, run('s')],
        [1, run('s')],
        [0, prepared('s', 'SELECT $1::int + 1')],
        [0, run('s', '41')],
        [0, one("SELECT 'unnamed'")],
        [1, run('same')],
        [0, again],
      ],
      links,
    )
    assert.ok(traces[2]?.includes("DataRow 'first'"))
    assert.match(String(traces[11]), /C='26000'/)
  }
})

scenario('the same text is prepared once; a link that lacks it is given it, and one that has too many closes the oldest', async (it) => {
  const there = await world(it, 1, few)
  const [first, second] = [await there.pooled(), await there.pooled()]
  const held = async () =>
    String(await ask(query("SELECT string_agg(name || ' ' || statement, ',' ORDER BY name) FROM pg_prepared_statements"))(first))
  await prepared('a', "SELECT 'a'")(first)
  await prepared('mine', "SELECT 'a'")(second)
  assert.match(await held(), /DataRow "?'?PGLEASE_1 SELECT 'a'/)
  await prepared('b', "SELECT 'b'")(second)
  await run('a')(first)
  await prepared('c', "SELECT 'c'")(second)
  const names = await held()
  assert.ok(names.includes("SELECT 'a'") && names.includes("SELECT 'c'") && !names.includes("SELECT 'b'"), names)
  assert.ok((await run('b')(second)).includes("DataRow 'b'"))
})

scenario('errors, duplicates and unknown names are answered as PostgreSQL does', async (it) => {
  const traces = await same(
    it,
    [
      [0, prepared('s', 'SELEC')],
      [0, run('s')],
      [0, prepared('s', "SELECT 's'")],
      [0, prepared('s', "SELECT 'other'")],
      [0, prepared('s', 'SELEC')],
      [1, run('s')],
      [1, prepared('t', "SELECT 's'")],
      [1, ask(describeStatement('nothing'), parse('u', "SELECT 's'"), sync())],
      [1, run('u')],
      [
        1,
        ask(
          parse('u', "SELECT 's'"),
          sync(),
          bind('', 'u'),
          execute(),
          sync(),
          closeStatement('u'),
          sync(),
          bind('', 'u'),
          execute(),
          sync(),
        ),
      ],
      [1, ask(describeStatement('nothing'), closeStatement('t'), sync(), bind('', 't'), execute(), sync())],
      [0, ask(query('BEGIN'))],
      [0, ask(query('SELECT 1/0'))],
      [0, prepared('v', "SELECT 's'")],
      [0, run('s')],
      [0, ask(closeStatement('s'), sync())],
      [0, ask(query('ROLLBACK'))],
      [0, run('s')],
      [0, run('v')],
      [
        0,
        ask(
          parse('a', 'SELECT 1'),
          parse('b', 'SELECT 2'),
          parse('c', 'SELECT 3'),
          bind('p', 'a'),
          execute('p'),
          bind('', 'b'),
          execute(),
          closePortal('p'),
          bind('', 'c'),
          execute(),
          sync(),
        ),
      ],
      [1, ask(parse('x', 'SELECT 1/0'), bind('', 'x'), execute(), parse('y', "SELECT 's'"), sync(), bind('', 'x'), execute(), sync())],
      [1, run('y')],
    ],
    1,
    few,
  )
  assert.match(String(traces[3]), /C='42P05'/)
})

scenario('a text too long to be kept stays on its link', async (it) => {
  const long = (text: string) => `SELECT '${text}' /* ${'x'.repeat(80_000)} */`
  const step: Step = ask(parse('long', long('mine')), sync())
  await same(it, [
    [0, step],
    [0, run('long')],
    [0, ask(query('SELECT 1'))],
    [0, run('long')],
    [0, ask(closeStatement('long'), sync())],
    [0, run('long')],
  ])
})

scenario('DEALLOCATE and DISCARD, in SQL, end statements of the protocol', async (it) => {
  const extended = (text: string) => ask(parse('', text), bind('', ''), execute(), sync())
  const traces = await same(
    it,
    [
      [0, prepared('s', "SELECT 's'")],
      [1, prepared('t', "SELECT 's'")],
      [0, ask(query('DEALLOCATE ALL'))],
      [0, run('s')],
      [1, run('t')],
      [0, prepared('s', "SELECT 's'")],
      [0, run('s')],
      [0, ask(query('DISCARD ALL'), parse('s', "SELECT 's'"), bind('', 's'), execute(), sync())],
      [0, ask(query('DEALLOCATE "s"'))],
      [0, run('s')],
      [1, run('t')],
      [0, ask(parse('S', "SELECT 'upper'"), parse('s', "SELECT 'lower'"), sync())],
      [0, extended('deallocate prepare S ;')],
      [0, run('s')],
      [0, run('S')],
      [0, ask(query('BEGIN'))],
      [0, ask(query('SELECT 1/0'))],
      [0, ask(query('DEALLOCATE "S"'))],
      [0, extended('DEALLOCATE "S"')],
      [0, ask(query('ROLLBACK'))],
      [0, run('S')],
      [0, ask(describeStatement('nothing'), parse('', 'DEALLOCATE "S"'), bind('', ''), execute(), sync())],
      [0, run('S')],
      [0, ask(query('DEALLOCATE nothing'))],
      [0, ask(query('DEALLOCATE "S"'), query('DEALLOCATE "S"'))],
      [0, extended('DEALLOCATE ALL')],
      [1, run('t')],
      [0, run('S')],
    ],
    2,
  )
  assert.match(String(traces[3]), /C='26000'/)
})

scenario("SQL's PREPARE keeps the link until DEALLOCATE ALL or the end of the client", async (it) => {
  const there = await world(it, 2)
  const [first, second] = [await there.pooled(), await there.pooled()]
  await ask(query("PREPARE p AS SELECT 'mine'"))(first)
  for (let round = 0; round < 3; round++) {
    assert.ok((await ask(query('EXECUTE p'))(first)).includes("DataRow 'mine'"))
    assert.match(String(await ask(query('EXECUTE p'))(second)), /C='26000'/)
  }
  assert.ok((await run('p')(first)).includes("DataRow 'mine'"))
  await ask(query('DEALLOCATE ALL'))(first)
  await ask(query('BEGIN'))(first)
  await ask(query('BEGIN'))(second)
  await ask(query("PREPARE p AS SELECT 'mine'"))(first)
  await ask(query('COMMIT'))(first)
  await ask(query('COMMIT'))(second)
  first.send(terminate())
  await first.rest()
  const left = await there.pooled()
  const own = 'SELECT count(*)::int FROM pg_prepared_statements'
  for (const client of [left, second]) await ask(query('BEGIN'))(client)
  for (const client of [left, second]) assert.ok((await ask(query(own))(client)).includes("DataRow '0'"))
})

scenario('drivers that prepare by name: pg and postgres.js, with more statements than a link may hold', async (it) => {
  const app = await fixedDatabase(it, { facts: { pool_size: 3 }, settings: { max_prepared_statements: 5 } })
  const pool = new pg.Pool({ ...app.pglease.connection('app'), max: 6 })
  it.defer(() => pool.end())
  const sql = postgres({ host: '127.0.0.1', port: app.pglease.port, database: 'app', user: 'me', password: 'any', max: 6 })
  it.defer(() => sql.end({ timeout: 1 }))
  const named = async (index: number) => {
    const kind = index % 11
    const { rows } = await pool.query({ name: `q${kind}`, text: `SELECT $1::int + ${kind} AS sum`, values: [index] })
    assert.equal(rows[0].sum, index + kind)
  }
  const tagged = async (index: number) => {
    const kind = index % 11
    const [row] = await sql.unsafe(`SELECT $1::int + ${kind} AS sum`, [index], { prepare: true })
    assert.equal(row?.sum, index + kind)
  }
  await Promise.all(Array.from({ length: 600 }, (_, index) => (index % 2 === 0 ? named(index) : tagged(index))))
  await sql.begin(async (transaction) => {
    for (let index = 0; index < 20; index++) {
      const [row] = await transaction.unsafe(`SELECT $1::int * ${index % 7} AS product`, [index], { prepare: true })
      assert.equal(row?.product, index * (index % 7))
    }
  })
})

scenario(
  'a result type that changes is told once to each session that knew the old one, and never to a new one behind that',
  async (it) => {
    const there = await world(it, 2)
    const [first, second, other] = [await there.pooled(), await there.pooled(), await there.pooled()]
    const text = 'SELECT * FROM t'
    const both = async (what: Step, clients: readonly [RawClient, RawClient]) => {
      for (const client of clients) await ask(query('BEGIN'))(client)
      for (const client of clients) await what(client)
      for (const client of clients) await ask(query('COMMIT'))(client)
    }
    await prepared('s', text)(first)
    await prepared('mine', text)(second)
    // both links hold it
    await both(ask(query('SELECT 1')), [first, second])
    for (const [client, name] of [
      [first, 's'],
      [second, 'mine'],
    ] as const)
      await ask(query('BEGIN'), ...[])(client).then(() => run(name)(client))
    for (const client of [first, second]) await ask(query('COMMIT'))(client)
    await ask(query('ALTER TABLE t ADD c int'))(other)
    await ask(query("INSERT INTO t VALUES (1, 'x', 7)"))(other)
    assert.match(String(await run('s')(first)), /C='0A000' M='cached plan must not change result type'/)
    assert.ok((await run('s')(first)).includes("DataRow '1' 'x' '7'"))
    await both(
      async (client) => {
        const name = client === other ? 'new' : 's'
        if (client === other) assert.match(String(await prepared('new', text)(client)), /RowDescription [^,]*'c':23/)
        const got = await run(name)(client)
        assert.ok(got.includes("DataRow '1' 'x' '7'"), String(got))
        return got
      },
      [first, other],
    )
    // without a Describe its rows would be decoded as they were: refused as often as it is tried, as PostgreSQL does
    const blindly = ask(bind('', 'mine'), execute(), sync())
    for (let count = 0; count < 2; count++)
      assert.match(String(await blindly(second)), /C='0A000' M='cached plan must not change result type'/)
    assert.ok((await run('mine')(second)).includes("DataRow '1' 'x' '7'"))
    assert.ok((await blindly(second)).includes("DataRow '1' 'x' '7'"))
  },
)

scenario('beyond max_pinned_connections a client that prepares in SQL is told so, when its transaction ends', async (it) => {
  const app = await fixedDatabase(it, { http: true, facts: { pool_size: 3, max_pinned_connections: 1 } })
  const [first, second, third] = [await app.raw(), await app.raw(), await app.raw()]
  // what a client leaves is dropped behind its back
  const pinned = async (wanted: number) => (await app.pglease.metrics()).sum('pglease_pinned_connections', { database: 'app' }) === wanted
  const pinnedAre = (wanted: number) => poll(`${wanted} kept connections`, async () => (await pinned(wanted)) || undefined)
  await first.ask(query("PREPARE p AS SELECT 'mine'"))
  for (let round = 0; round < 2; round++) assert.ok((await first.ask(query('EXECUTE p'))).includes("DataRow 'mine'"))
  await pinnedAre(1)
  // lines are gathered for some milliseconds before they are written
  await app.pglease.waitForLog('link_pinned')
  assert.equal(app.pglease.logged('link_pinned').length, 1)
  await second.ask(query('BEGIN'))
  assert.equal((await second.ask(query('PREPARE p AS SELECT 2'))).at(-1), 'ReadyForQuery T')
  assert.ok((await second.ask(query('EXECUTE p'))).includes("DataRow '2'"))
  second.send(query('COMMIT'))
  const words = (await second.rest()).filter((line) => /^(CommandComplete|ErrorResponse)/.test(line))
  assert.equal(words[0], "CommandComplete 'COMMIT'")
  assert.match(
    words[1] ?? '',
    /^ErrorResponse S='FATAL' C='53400' M='too many server connections are kept by prepared statements \(max_pinned_connections\)' H=/,
  )
  await pinnedAre(1)
  // the place is free again, and nothing of theirs is left
  await first.ask(query('DEALLOCATE ALL'))
  await pinnedAre(0)
  for (let round = 0; round < 2; round++) {
    assert.equal((await third.ask(query('PREPARE p AS SELECT 3'))).at(-1), 'ReadyForQuery I')
    await third.ask(query('DEALLOCATE ALL'))
  }
  assert.match(String(await first.ask(query('EXECUTE p'))), /C='26000'/)
})

scenario('a client whose statements were prepared in SQL ends with its server connection; others stay', async (it) => {
  const app = await fixedDatabase(it, { facts: { pool_size: 2 } })
  const [kept, other] = [await app.raw(), await app.raw()]
  await kept.ask(query('PREPARE p AS SELECT 1'))
  await other.ask(query('SELECT 1'))
  await app.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${app.user}'`)
  assert.match(String((await kept.rest()).at(-1)), /^ErrorResponse S='FATAL' C='57P01'/)
  // its query may still meet the connection that ends
  await poll('the other is served', async () => (await other.ask(query('SELECT 1'))).includes("DataRow '1'") || undefined)
})
