// A client whose link dies: what it is told, and whether it stays.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { parameterStatus } from '../../src/wire/reply.ts'
import { bind, execute, parse, query, sync } from '../kit/raw-messages.ts'
import { answered, asked, reply, silent } from '../kit/session-world.ts'

test('a link that dies outside a transaction: one ERROR and one ReadyForQuery for each request, and the client stays', async () => {
  const { world, client } = await asked(query('1'), parse('', '2'), bind('', ''), execute(), sync(), query('3').subarray(0, 6))
  world.answer(0, reply('C Z 1 FATAL', '57P01'))
  assert.deepEqual(client.transport.lines(), [
    "CommandComplete 'SELECT 1'",
    'ReadyForQuery I',
    'ParseComplete',
    "ErrorResponse S='ERROR' C='57P01' M='the end'",
    'ReadyForQuery I',
  ])
  assert.equal(client.session.state, 'idle')
  world.backend().transport.lost()
  client.session.data(query('3').subarray(6))
  await world.settle()
  assert.match(String(world.backend(1).transport.take()), /3/)
  world.backend(1).transport.lost()
  assert.match(String(client.transport.lines()), /^ErrorResponse S='ERROR' C='08006' M='server conn crashed\?',ReadyForQuery I$/)
})

test('what was sent behind a request that is lost is lost with it: of a transaction none runs by itself', async () => {
  const { world, client } = await asked(query('BEGIN; SELECT slow()'))
  const other = world.client()
  other.send(query('other'))
  client.send(query('INSERT'), parse('', 'x'), bind('', ''), execute(), sync(), query('COM').subarray(0, 7))
  assert.equal(world.backend().transport.letters(), 'Q', 'it holds back what may go to another link')
  world.answer(0, reply('FATAL', '57P01'))
  assert.equal(client.transport.letters(), 'EZEZEZ')
  world.backend().transport.lost()
  await world.settle()
  assert.match(String(world.backend(1).transport.take()), /other/)
  world.answer(1, reply('C Z'))
  client.session.data(query('COM').subarray(7))
  assert.equal(world.backend(1).transport.letters(), 'Q')
  world.answer(1, reply('C Z'))
  assert.equal(client.transport.letters(), 'CZ')
})

test('a link that dies inside a transaction, a batch, COPY or a message ends the client with FATAL', async () => {
  const states: [string, Buffer[], Buffer | undefined][] = [
    ['in a transaction', [query('BEGIN')], reply('C ZT')],
    ['in a failed transaction', [query('BEGIN')], reply('E ZE')],
    ['in an open batch', [parse('', 'x')], undefined],
    ['in a skipped stretch', [parse('', 'x')], reply('E')],
    ['in COPY', [query('COPY t FROM STDIN')], reply('G')],
    ['within its message', [query('x'.repeat(100_000)).subarray(0, 70_000)], undefined],
  ]
  for (const [name, messages, answer] of states) {
    const { world, client } = await asked(...messages)
    if (answer !== undefined) world.answer(0, answer)
    client.transport.take()
    world.backend().transport.lost()
    const last = client.transport.take()
    assert.match(last.toString(), /SFATAL.*C08006/, name)
    assert.equal(client.closed, 'server_lost_in_transaction', name)
  }
})

test('a request within a COPY is answered when the server has ended the link for it, sent ahead or in time', async () => {
  for (const ahead of [true, false]) {
    const [copy, within] = [query('COPY t FROM STDIN'), query('SELECT 1')]
    const { world, client } = await asked(copy, ...(ahead ? [within] : []))
    world.answer(0, reply('G'))
    if (!ahead) client.send(within)
    world.answer(0, reply('E FATAL', '08P01'))
    assert.deepEqual([client.transport.letters(), client.session.state], ['GEEZEZ', 'idle'])
  }
})

test('within a reply a client is told nothing, which it would take for the rest of a row', async () => {
  const ends: [string, (of: Awaited<ReturnType<typeof asked>>) => void][] = [
    ['server_lost_in_transaction', ({ world }) => world.backend().transport.lost()],
    ['query_timeout', ({ client }) => client.session.fail(new PgleaseError('query_timeout'), 'query_timeout')],
    ['client_protocol_violation', ({ client }) => client.send(Buffer.from('?    '))],
  ]
  for (const [reason, end] of ends) {
    const world = await asked(query('x'))
    world.world.answer(0, reply('T D').subarray(0, -1))
    const told = world.client.transport.take().length
    end(world)
    assert.deepEqual([world.client.closed, told, world.client.transport.take().length], [reason, reply('T D').length - 1, 0])
  }
})

test('a link that dies while it is prepared: the request goes to the next one', async () => {
  const { world, client } = await silent()
  client.session.parts.parameters.set('TimeZone', 'Europe/Vienna')
  client.send(query('SELECT 1'))
  assert.equal(client.session.state, 'preparing')
  world.backend().transport.lost()
  assert.deepEqual([client.session.state, client.transport.take().length], ['waiting', 0])
  await world.settle()
  assert.match(String(world.backend(1).transport.take()), /SET "TimeZone" TO 'Europe\/Vienna'/)
  world.answer(1, parameterStatus('TimeZone', 'Europe/Vienna'), reply('C Z'))
  assert.match(String(world.backend(1).transport.take()), /SELECT 1/)
  world.answer(1, reply('C Z'))
  assert.equal(client.transport.letters(), 'CZ')
})

test('a link that dies while it is cleansed owes its client nothing; a client that leaves meanwhile takes it along', async () => {
  const messages = [parse('', 'x'), query('q'), sync()]
  const dying = await asked(...messages)
  dying.world.answer(0, reply('1 C Z Z'))
  dying.client.transport.take()
  dying.world.backend().transport.lost()
  assert.deepEqual([dying.client.session.state, dying.client.transport.letters()], ['idle', ''])
  const leaving = await asked(...messages)
  leaving.world.answer(0, reply('1 C Z Z'))
  leaving.client.transport.lost()
  assert.deepEqual([leaving.world.pool.lists.count('closing'), leaving.client.cancelled.length], [1, 0])
})

test('a link that is closed under its client, because a cancel request did not end, is lost like any other', async () => {
  const { world, client } = await asked(query('1'))
  const { link } = world.backend()
  world.pool.beginCancel(link)
  world.pool.endCancel(link, false)
  assert.deepEqual(client.transport.lines(), ["ErrorResponse S='ERROR' C='08006' M='server conn crashed?'", 'ReadyForQuery I'])
  assert.deepEqual([client.session.state, client.closed], ['idle', undefined])
  world.backend().transport.lost()
  client.send(query('2'))
  await world.settle()
  assert.match(String(world.backend(1).transport.take()), /2/)
})

test('a session of session mode whose link is closed under it ends', async () => {
  const { world, client } = await answered(query('1'), reply('C Z'), { pool_mode: 'session' })
  world.pool.beginCancel(world.backend().link)
  world.pool.endCancel(world.backend().link, false)
  assert.equal(client.closed, 'server_lost_in_session')
})
