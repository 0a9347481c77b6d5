// Named statements over shared links, against a model of how PostgreSQL keeps them: each session gets what a link of its own would give.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NamedServer } from '../kit/named-server.ts'
import { bind, closeStatement, describeStatement, execute, message, parse, query, sync } from '../kit/raw-messages.ts'
import { answered, reply, SessionWorld, silent } from '../kit/session-world.ts'
import { direct, plays, SharedLinks } from '../kit/shared-links.ts'
import { arrivals } from '../kit/splits.ts'

const NAMES = ['a', 'b', 'c'] as const
const MESSAGES: Record<string, () => Buffer> = {
  ...Object.fromEntries(
    NAMES.flatMap((name, index): [string, () => Buffer][] => [
      [`parse ${name}`, () => parse(name, `text ${index}`)],
      [`parse ${name} as other`, () => parse(name, `text ${(index + 1) % NAMES.length}`)],
      [`failing parse ${name}`, () => parse(name, `fail ${index}`)],
      [`bind ${name}`, () => bind('', name)],
      [`describe ${name}`, () => describeStatement(name)],
      [`close ${name}`, () => closeStatement(name)],
      [`deallocate ${name}`, () => query(`DEALLOCATE ${name}`)],
    ]),
  ),
  'parse unnamed': () => parse('', 'text unnamed'),
  'bind unnamed': () => bind('', ''),
  execute: () => execute(),
  missing: () => execute('missing'),
  sync: () => sync(),
  query: () => query('text query'),
  'failing query': () => query('fail query'),
  begin: () => query('begin'),
  commit: () => query('commit'),
  'deallocate all': () => query('DEALLOCATE ALL'),
}

/** What drivers send together. */
const PARTS: readonly (readonly string[])[] = [
  ...NAMES.flatMap((name) => [
    [`parse ${name}`, `describe ${name}`, 'sync'],
    [`parse ${name}`, `bind ${name}`, 'execute', 'sync'],
    [`parse ${name} as other`, 'sync'],
    [`failing parse ${name}`, 'sync'],
    [`bind ${name}`, 'execute', 'sync'],
    [`bind ${name}`, 'execute', 'sync'],
    [`bind ${name}`, 'execute', 'sync'],
    [`close ${name}`, 'sync'],
    [`close ${name}`, `parse ${name}`, 'sync'],
    ['missing', `parse ${name}`, 'sync'],
    ['missing', `close ${name}`, 'sync'],
    ['missing', `bind ${name}`, 'sync'],
    [`deallocate ${name}`],
  ]),
  ['parse a', 'parse b', 'parse c', 'bind a', 'execute', 'bind b', 'execute', 'bind c', 'execute', 'sync'],
  ['parse unnamed', 'bind unnamed', 'execute', 'sync'],
  ['query'],
  ['failing query'],
  ['begin'],
  ['commit'],
  ['deallocate all'],
]

/** Every script ends settled: its last batch is synced, its transaction over. */
const bytesOf = (script: readonly string[]): Buffer[] =>
  [...script, 'sync', 'commit'].map((name) => MESSAGES[name]?.() ?? assert.fail(name))

const part = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...PARTS).map((names) => [...names]) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...Object.keys(MESSAGES).filter((name) => !/query|begin|commit|deallocate/.test(name)))
      .map((name) => [name]),
  },
)

for (const most of [1, 2, 100]) {
  test(`property: each session gets what a connection of its own gives (max_prepared_statements ${most})`, async () => {
    await fc.assert(
      fc.asyncProperty(plays(part, 12), async ({ scripts, moves }) => {
        const shared = await SharedLinks.of(scripts.map(bytesOf), () => new NamedServer(), most)
        await shared.play(moves)
        for (const [index, { session, transport }] of shared.clients.entries()) {
          const script = scripts[index] ?? []
          assert.equal(session.state, 'idle')
          assert.equal(String(transport.take()), String(direct(new NamedServer(), bytesOf(script))), `client ${index}: ${script}`)
        }
        shared.checkStatements(most, (server) => server.statements.keys())
      }),
      { numRuns: 600 },
    )
  })
}

test('messages with a name arrive under the pool’s, however they are cut, and their neighbours in the same write', async () => {
  const sent = [
    parse('mine', 'SELECT $1'),
    describeStatement('mine'),
    bind('p', 'mine', ['x']),
    execute('p'),
    closeStatement('mine'),
    sync(),
  ]
  const wanted = [
    parse('PGLEASE_1', 'SELECT $1'),
    describeStatement('PGLEASE_1'),
    bind('p', 'PGLEASE_1', ['x']),
    execute('p'),
    closeStatement('mine'),
    sync(),
  ]
  for (const chunks of arrivals(Buffer.concat(sent))) {
    const { world, client } = await silent({}, 10)
    for (const chunk of chunks) client.session.data(chunk)
    const { transport } = world.backend()
    if (chunks.length === 1) assert.equal(transport.writes.length, 1)
    assert.deepEqual(transport.take(), Buffer.concat(wanted))
    world.answer(0, reply('1 t n 2 D C 3 Z'))
    assert.equal(client.transport.letters(), '1tn2DC3Z')
    assert.equal(client.session.state, 'idle')
  }
})

test('a message whose name has no end goes out as it is, though the bytes behind it end a name that the session has', async () => {
  // as long as it says, without the zero
  const endless = (type: string, body: string) => Buffer.concat([message(type, Buffer.from(body)), sync()])
  const long = 'n'.repeat(1_000)
  const cases: [string, Buffer][] = [
    ['S', endless('D', 'S')],
    ['S', endless('C', 'S')],
    ['S', endless('B', '\0')],
    ['S', endless('P', '')],
    // the portal's name has none either: the one that is found is longer than the message
    [long, Buffer.concat([message('B', Buffer.from('a')), Buffer.from(`Q\0${long}\0`)])],
  ]
  for (const [name, bytes] of cases) {
    const { world, client } = await answered(Buffer.concat([parse(name, 'SELECT 1'), sync()]), reply('1 t n Z'), {}, 10)
    const { transport } = world.backend()
    client.transport.take()
    transport.take()
    client.send(bytes)
    const sent = transport.take()
    assert.deepEqual(sent, bytes.subarray(0, sent.length), bytes.toString('latin1', 0, 10))
    assert.ok(sent.length >= bytes.length - long.length - 3)
    world.answer(0, reply('E', '08P01'))
    assert.equal(client.transport.letters(), 'E')
  }
})

test('a Parse is not kept back for a Describe of a shorter name', async () => {
  const { world, client } = await silent({}, 10)
  client.send(parse('statement_1', 'SELECT 1'), describeStatement('b'), sync())
  assert.equal(world.backend().transport.letters(), 'PDDS')
})

test('a Parse of what the link holds is a Parse all the same, described for pglease alone, at every split', async () => {
  for (const chunks of arrivals(reply('3 1 t T 2 D C Z'))) {
    const world = await SessionWorld.ready({}, 10)
    const [first, second] = [world.client(), world.client()]
    first.send(parse('a', 'SELECT 1'), sync())
    world.answer(0, reply('1 t n Z'))
    world.backend().transport.take()
    second.send(parse('b', 'SELECT 1'), bind('', 'b'), execute(), sync())
    assert.deepEqual(
      world.backend().transport.take(),
      Buffer.concat([
        closeStatement('PGLEASE_1'),
        parse('PGLEASE_1', 'SELECT 1'),
        describeStatement('PGLEASE_1'),
        bind('', 'PGLEASE_1'),
        execute(),
        sync(),
      ]),
    )
    for (const chunk of chunks) world.backend().link.data(chunk)
    assert.equal(second.transport.letters(), '12DCZ')
    assert.equal(second.session.state, 'idle')
  }
})

test('a Bind longer than what is kept streams under the pool’s name', async () => {
  const { world, client } = await silent({}, 10)
  const value = 'x'.repeat(300_000)
  client.send(parse('a', 'SELECT $1'), sync())
  world.answer(0, reply('1 t n Z'))
  world.backend().transport.take()
  const bytes = Buffer.concat([bind('', 'a', [value]), execute(), sync()])
  for (let at = 0; at < bytes.length; at += 50_000) client.session.data(bytes.subarray(at, at + 50_000))
  assert.deepEqual(world.backend().transport.take(), Buffer.concat([bind('', 'PGLEASE_1', [value]), execute(), sync()]))
})

test('a link that dies owes nothing more: what it did not confirm is not there', async () => {
  const { world, client } = await silent({ pool_size: 1 }, 10)
  client.send(parse('a', 'SELECT 1'), sync())
  world.answer(0, reply('1 t n Z'))
  client.send(parse('b', 'SELECT 2'), sync())
  world.backend().link.close({ kind: 'closed' } as never)
  client.transport.take()
  await world.settle()
  client.send(bind('', 'a'), execute(), bind('', 'b'), execute(), sync())
  await world.settle()
  const sent = world.backends.at(-1)?.transport.take() ?? assert.fail()
  assert.deepEqual(
    sent,
    Buffer.concat([
      parse('PGLEASE_1', 'SELECT 1'),
      describeStatement('PGLEASE_1'),
      bind('', 'PGLEASE_1'),
      execute(),
      bind('', 'b'),
      execute(),
      sync(),
    ]),
  )
})
