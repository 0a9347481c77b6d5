// Unnamed statements over shared links, against a model of how PostgreSQL keeps one: each session gets what a link of its own would give.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bind, closeStatement, describeStatement, execute, parse, query, sync } from '../kit/raw-messages.ts'
import { reply, SessionWorld, two } from '../kit/session-world.ts'
import { direct, type Play, plays, SharedLinks } from '../kit/shared-links.ts'
import { StatementServer } from '../kit/statement-server.ts'

/** A Close of a statement that nobody has: the model must not take it for the unnamed one's. */
const MESSAGES: Record<string, (mark: string) => Buffer> = {
  parse: (mark) => parse('', mark),
  failingParse: (mark) => parse('', `fail ${mark}`),
  garbledParse: (mark) => parse('', `garbled ${mark}`),
  bind: () => bind('', ''),
  execute: () => execute(),
  describe: () => describeStatement(''),
  missing: () => execute('missing'),
  close: () => closeStatement(''),
  sync: () => sync(),
  query: (mark) => query(mark),
  failingQuery: (mark) => query(`fail ${mark}`),
  garbledQuery: (mark) => query(`garbled ${mark}`),
  begin: () => query('begin'),
  commit: () => query('commit'),
}

/** What drivers send together; every part but the lone messages ends with its Sync. */
const PARTS: readonly (readonly string[])[] = [
  ['parse', 'sync'],
  ['parse', 'describe', 'sync'],
  ['parse', 'bind', 'execute', 'sync'],
  ['bind', 'execute', 'sync'],
  ['bind', 'execute', 'sync'],
  ['bind', 'execute', 'sync'],
  ['describe', 'sync'],
  ['missing', 'parse', 'sync'],
  ['missing', 'bind', 'sync'],
  ['missing', 'close', 'sync'],
  ['missing', 'query', 'sync'],
  ['close', 'sync'],
  ['failingParse', 'sync'],
  ['query'],
  ['failingQuery'],
  ['begin'],
  ['commit'],
]
const GARBLED_PARTS: readonly (readonly string[])[] = [
  ['garbledParse', 'sync'],
  ['garbledQuery'],
  ['garbledQuery', 'bind', 'execute', 'sync'],
]

/** Every script ends settled: its last batch is synced, its transaction over. */
const bytesOf = (script: readonly string[], client: number): Buffer[] =>
  [...script, 'sync', 'commit'].map((name, index) => MESSAGES[name]?.(`client ${client} message ${index}`) ?? assert.fail(name))

/** Plays the scripts over shared links; what each client received. */
async function pooled({ scripts, moves }: Play<string>): Promise<Buffer[]> {
  const shared = await SharedLinks.of(scripts.map(bytesOf), () => new StatementServer())
  await shared.play(moves)
  for (const { session } of shared.clients) assert.equal(session.state, 'idle')
  return shared.clients.map(({ transport }) => transport.take())
}

const conversations = (parts: readonly (readonly string[])[]) => {
  const lone = Object.keys(MESSAGES).filter((name) => parts.some((part) => part.includes(name)))
  const part = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...parts).map((names) => [...names]) },
    { weight: 1, arbitrary: fc.constantFrom(...lone).map((name) => [name]) },
  )
  return plays(part, 10)
}

test('property: each session gets what a connection of its own gives', async () => {
  await fc.assert(
    fc.asyncProperty(conversations(PARTS), async (conversation) => {
      const got = await pooled(conversation)
      for (const [index, script] of conversation.scripts.entries()) {
        assert.equal(String(got[index]), String(direct(new StatementServer(), bytesOf(script, index))), `client ${index}`)
      }
    }),
    { numRuns: 500 },
  )
})

test('property: no session ever gets a row of another one’s statement, and none is left waiting', async () => {
  await fc.assert(
    fc.asyncProperty(conversations([...PARTS, ...GARBLED_PARTS]), async (conversation) => {
      for (const [index, answers] of (await pooled(conversation)).entries()) {
        for (const [, owner] of answers.toString('latin1').matchAll(/client (\d)/g)) assert.equal(owner, String(index))
      }
    }),
    { numRuns: 500 },
  )
})

test('a pipeline of many statements keeps the last that succeeded', async () => {
  const { world, client, other, transport } = await two()
  const texts = Array.from({ length: 100 }, (_, index) => `SELECT ${index} /* ${'x'.repeat(index * 50)} */`)
  client.send(...texts.map((text) => parse('', text)), execute('missing'), parse('', 'skipped'), sync())
  world.answer(0, ...texts.map(() => reply('1')), reply('E Z'))
  other.send(query('SELECT 1'))
  world.answer(0, reply('C Z'))
  transport.take()
  client.send(bind('', ''), execute(), sync())
  assert.deepEqual(transport.take(), Buffer.concat([parse('', texts[99] ?? ''), bind('', ''), execute(), sync()]))
  world.answer(0, reply('1 2 C Z'))
  assert.match(client.transport.letters(), /EZ2CZ$/)
})

test('the link of a dead session’s statement is cleaned for a session that has none', async () => {
  const { world, client, other, transport } = await two()
  client.send(parse('', 'SELECT 1'), sync())
  world.answer(0, reply('1 Z'))
  client.transport.lost()
  transport.take()
  other.send(bind('', ''), execute(), sync())
  assert.equal(transport.letters(), 'CBES')
  world.answer(0, reply('3 E Z', '26000'))
  assert.deepEqual(other.transport.lines(), ["ErrorResponse S='ERROR' C='26000' M='no'", 'ReadyForQuery I'])
})

test('a link on which a session left an older statement is given the newer one', async () => {
  const world = await SessionWorld.ready({ pool_size: 2 })
  const [client, other] = [world.client(), world.client()]
  client.send(parse('', 'SELECT old'), sync())
  world.answer(0, reply('1 Z'))
  // a batch that touches no unnamed statement, open for a while
  other.send(closeStatement('x'))
  client.send(parse('', 'SELECT new'), sync())
  await world.settle()
  world.answer(1, reply('1 Z'))
  other.send(sync())
  world.answer(0, reply('3 Z'))
  world.backend().transport.take()
  // the link that was used last comes first
  client.send(bind('', ''), execute(), sync())
  assert.deepEqual(world.backend().transport.take(), Buffer.concat([parse('', 'SELECT new'), bind('', ''), execute(), sync()]))
})

test('behind a Parse that may fail before the old statement is dropped, a later batch waits', async () => {
  const { world, client, other, transport } = await two()
  other.send(parse('', 'SELECT secret'), sync())
  world.answer(0, reply('1 Z'))
  transport.take()
  client.send(parse('', 'garbled'), sync(), bind('', ''), execute(), sync())
  assert.equal(transport.letters(), 'PS')
  world.answer(0, reply('E', '22021'))
  assert.equal(transport.letters(), '')
  world.answer(0, reply('Z'))
  assert.equal(transport.letters(), 'CBES')
})

test('a kept Parse that fails is tried again', async () => {
  const { world, client, other, transport } = await two()
  client.send(parse('', 'SELECT 1'), sync())
  world.answer(0, reply('1 Z'))
  other.send(query('ALTER TABLE'))
  world.answer(0, reply('C Z'))
  for (let round = 0; round < 2; round++) {
    transport.take()
    client.send(bind('', ''), execute(), sync())
    assert.equal(transport.letters(), 'PBES')
    world.answer(0, reply('E Z', '42P01'))
  }
  assert.equal(client.transport.letters(), '1ZEZEZ')
})
