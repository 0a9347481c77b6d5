// What session and statement mode change for a client: how long it keeps its link, what passes, and how it ends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PoolSettings } from '../../src/pool/pool_parts.ts'
import { bind, describeStatement, execute, flush, parse, query, sync, terminate } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { answered, type Conversation, reply, silent } from '../kit/session-world.ts'

/** A client that holds link 0 with a first query answered, in a world of `settings`. */
async function served(settings: Partial<PoolSettings> = { pool_mode: 'session' }): Promise<Conversation> {
  const conversation = await answered(query('SET search_path = a'), reply('C Z'), settings)
  conversation.client.transport.take()
  conversation.world.backend().transport.take()
  return conversation
}

test('session mode: the link stays until the client leaves, and is reset before the next client has it', async () => {
  const { world, client } = await served()
  const next = world.client()
  next.send(query('SELECT 2'))
  assert.deepEqual([client.session.state, next.session.state, world.pool.waiting], ['active', 'waiting', 1])
  client.send(query('SELECT 1'))
  world.answer(0, reply('C Z'))
  assert.equal(client.transport.letters(), 'CZ')
  world.backend().transport.take()
  client.send(terminate())
  assert.deepEqual([client.closed, world.pool.lists.count('tested')], ['client_terminated', 1])
  assert.match(String(world.backend().transport.take()), /^Q.*DISCARD ALL/s)
  assert.equal(next.session.state, 'waiting')
  world.answer(0, reply('C Z'))
  assert.equal(next.session.state, 'active')
  assert.match(String(world.backend().transport.take()), /SELECT 2/)
  assert.equal(next.transport.letters(), '')
})

test('session mode: a reset that fails closes the link, as a client does that leaves in a transaction', async () => {
  const { world, client } = await served()
  client.transport.lost()
  world.answer(0, reply('E Z'))
  assert.equal(world.backend().link.closeReason, 'reset_failed')
  const open = await served()
  open.client.send(query('BEGIN'))
  open.world.answer(0, reply('C ZT'))
  open.client.send(terminate())
  assert.equal(open.world.backend().link.closeReason, 'client_gone_with_query')
  assert.doesNotMatch(String(open.world.backend().transport.take()), /DISCARD/)
})

test('session mode: an empty server_reset_query hands the link on as it is; in other modes it runs only with server_reset_query_always', async () => {
  const cases: [Partial<PoolSettings>, boolean][] = [
    [{ pool_mode: 'session', server_reset_query: '' }, false],
    [{ pool_mode: 'session', server_reset_query: 'RESET ALL' }, true],
    [{ pool_mode: 'transaction' }, false],
    [{ pool_mode: 'transaction', server_reset_query_always: true }, true],
    [{ pool_mode: 'statement', server_reset_query_always: true }, true],
  ]
  for (const [settings, resets] of cases) {
    const { world, client } = await silent(settings)
    client.send(query('SELECT 1'))
    world.backend().transport.take()
    world.answer(0, reply('C Z'))
    client.send(terminate())
    const name = JSON.stringify(settings)
    assert.equal(world.backend().transport.letters(), resets ? 'Q' : '', name)
    assert.equal(world.pool.lists.count('idle'), resets ? 0 : 1, name)
    if (resets) world.answer(0, reply('C Z'))
    assert.equal(world.pool.lists.count('idle'), 1, name)
  }
})

test('a reset ends what was set and is not reported by the server', async () => {
  const { world, client } = await served()
  const { link } = world.backend()
  link.parameters.set('TimeZone', 'CET')
  link.parameters.set('application_name', 'mine')
  client.send(terminate())
  world.answer(0, reply('C Z'))
  const { names } = world
  assert.equal(link.parameters.values[names.index('application_name')], undefined)
  // the server tells of this one itself
  assert.equal(link.parameters.values[names.index('TimeZone')], 'CET')
})

test('session mode: named statements pass as they are', async () => {
  const { world, client } = await served()
  const bytes = Buffer.concat([parse('s1', 'SELECT $1'), describeStatement('s1'), bind('', 's1', ['x']), execute(), sync()])
  client.send(bytes)
  assert.deepEqual(world.backend().transport.take(), bytes)
  world.answer(0, reply('1 t n 2 C Z'))
  assert.equal(client.transport.letters(), '1tn2CZ')
  client.send(bind('', 's1', ['y']), execute(), sync())
  assert.equal(world.backend().transport.letters(), 'BES')
  const refused = await silent({ pool_mode: 'statement' })
  refused.client.send(parse('s1', 'SELECT 1'), sync())
  assert.equal(refused.client.closed, 'client_protocol_violation')
})

test('session mode: a notification reaches the client at any time', async () => {
  const { world, client } = await served()
  world.answer(0, wireMessage('A', '\0\0\0\x01channel\0payload\0'))
  assert.equal(client.transport.letters(), 'A')
  client.send(terminate())
  world.answer(0, wireMessage('A', '\0\0\0\x01channel\0payload\0'), reply('C Z'))
  assert.equal(client.transport.letters(), '')
})

test('session mode: a client whose link dies is told so and closed, since its session is gone', async () => {
  const { world, client } = await served()
  world.answer(0, reply('FATAL', '57P01'))
  assert.match(String(client.transport.lines()), /^ErrorResponse S='FATAL' C='57P01' M='the end'/)
  assert.equal(client.closed, 'server_lost_in_session')
})

test('session mode: an unnamed statement outlives a question of pglease on its link', async () => {
  const { world, client } = await served()
  client.send(parse('', 'SELECT 1'), sync())
  world.answer(0, reply('1 Z'))
  world.source.overdue(1)
  client.send(query('x'))
  world.answer(0, reply('E Z', '42501'))
  assert.match(String(world.backend().transport.take()), /session_user/)
  world.answer(0, reply('T D C Z'))
  client.transport.take()
  client.send(bind('', ''), execute(), sync())
  // the Query ended the client's statement, as in PostgreSQL: nothing is invented for it
  assert.equal(world.backend().transport.letters(), 'BES')
  world.answer(0, reply('E Z', '42501'))
  assert.match(String(world.backend().transport.take()), /session_user/)
  world.answer(0, reply('T D C Z'))
  client.send(parse('', 'SELECT 2'), sync())
  world.answer(0, reply('1 Z'))
  client.send(bind('', ''), execute(), sync())
  world.answer(0, reply('E Z', '42501'))
  world.answer(0, reply('T D C Z'))
  world.backend().transport.take()
  client.send(bind('', ''), execute(), sync())
  assert.equal(world.backend().transport.letters(), 'PBES')
})

test('statement mode: the link goes back after each statement, and a transaction block ends client and link', async () => {
  const { world, client } = await answered(query('BEGIN; SELECT 1; COMMIT'), reply('C C C Z'), { pool_mode: 'statement' })
  assert.deepEqual([client.session.state, client.transport.letters()], ['idle', 'CCCZ'])
  client.send(query('BEGIN'), query('SELECT 1'))
  world.answer(0, reply('C ZT C ZT'))
  assert.deepEqual(client.transport.lines(), [
    "CommandComplete 'SELECT 1'",
    "ErrorResponse S='FATAL' C='08P01' M='transaction blocks not allowed in statement pooling mode' H='Set pool_mode to transaction or session for this database.'",
  ])
  assert.deepEqual([client.closed, world.backend().link.closeReason], ['transaction_block', 'transaction_block'])
  assert.deepEqual(client.cancelled, [world.backend().link])
})

test('a session that is recycled gets a NOTICE and 57P01, and only when it is in the middle of nothing', async () => {
  const busy: [string, Buffer[], Buffer | undefined][] = [
    ['a query runs', [query('x')], undefined],
    ['in a transaction', [query('BEGIN')], reply('C ZT')],
    ['in a failed transaction', [query('BEGIN')], reply('E ZE')],
    ['in a batch', [parse('', 'x'), flush()], reply('1')],
    ['in COPY', [query('COPY t FROM STDIN')], reply('G')],
    ['half of a message came', [query('x').subarray(0, 6)], undefined],
  ]
  for (const [name, messages, answer] of busy) {
    const { world, client } = await served()
    client.send(...messages)
    if (answer !== undefined) world.answer(0, answer)
    assert.equal(world.backend().link.recycle(), false, name)
    assert.equal(client.closed, undefined, name)
  }
  const { world, client } = await served()
  assert.equal(world.backend().link.recycle(), true)
  const [notice, error] = client.transport.lines()
  assert.match(String(notice), /^NoticeResponse S='NOTICE' C='00000' M='the credential of this server connection is being replaced/)
  assert.match(String(error), /^ErrorResponse S='FATAL' C='57P01' M='terminating connection because the credential/)
  assert.deepEqual([client.closed, client.transport.ended], ['session_recycled', true])
})

test('a rotation in session mode ends a busy session when it settles, with requests that came meanwhile not begun', async () => {
  const { world, client } = await served({ pool_mode: 'session', pool_size: 2 })
  client.send(query('SELECT 1'))
  world.source.left = 10_000
  world.source.offer(2)
  await world.settle()
  assert.equal(world.pool.currentGeneration, 2)
  assert.equal(client.closed, undefined)
  client.send(query('SELECT 2'))
  assert.equal(world.backend().transport.letters(), 'Q')
  world.answer(0, reply('C Z'))
  assert.equal(client.closed, 'session_recycled')
  assert.equal(client.transport.letters(), 'CZNE')
  assert.equal(world.backend().link.closeReason, 'rotated')
  assert.doesNotMatch(String(world.backend().transport.take()), /SELECT 2|DISCARD/)
})
