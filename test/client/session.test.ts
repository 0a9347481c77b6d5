// One client with a scripted server: what it holds, how it waits, and how it ends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { noticeResponse } from '../../src/wire/reply.ts'
import { flush, message, parse, query, sync } from '../kit/raw-messages.ts'
import { answered, asked, reply, SessionWorld } from '../kit/session-world.ts'

const terminate = message('X')

test('a client that leaves while it waits asks nothing', async () => {
  const { world, client } = await asked(query('SELECT 1'))
  const second = world.client()
  second.send(query('SELECT 2'))
  assert.equal(world.pool.waiting, 1)
  second.transport.lost()
  assert.deepEqual([second.closed, world.pool.waiting], ['client_lost', 0])
  world.answer(0, reply('C Z'))
  assert.equal(client.transport.letters(), 'CZ')
  assert.equal(world.backend().transport.letters(), 'Q')
})

test('waiting clients are served in order, told after a while, and refused in the end', async () => {
  const { world } = await asked(query('BEGIN'))
  const [second, third] = [world.client(), world.client()]
  second.send(query('2'))
  world.clock.advance(1000)
  third.send(query('3'))
  world.clock.advance(5000)
  world.pool.tick()
  assert.match(String(second.transport.lines()), /NoticeResponse.*No server connection available/)
  world.answer(0, reply('C Z'))
  assert.match(String(world.backend().transport.take()), /2/)
  world.clock.advance(115_000)
  world.pool.tick()
  assert.match(String(third.transport.lines().at(-1)), /FATAL.*08P01.*query_wait_timeout/)
  assert.deepEqual([third.closed, third.transport.ended], ['query_wait_timeout', true])
  assert.equal(second.closed, undefined)
})

test('a client that vanishes: settled links go back, others are cancelled and closed', async () => {
  const states: [string, Buffer[], Buffer | undefined, boolean, boolean][] = [
    ['idle', [query('SELECT 1')], reply('C Z'), true, false],
    ['running', [query('SELECT 1')], undefined, false, true],
    ['in a transaction', [query('BEGIN')], reply('C ZT'), false, false],
    ['in an open batch', [parse('', 'x'), flush()], reply('1'), false, false],
    ['in COPY', [query('COPY t FROM STDIN')], reply('G'), false, true],
    ['in the middle of a message', [query('x'.repeat(100_000)).subarray(0, 70_000)], undefined, false, true],
  ]
  for (const [name, messages, answer, reused, cancelled] of states) {
    const { world, client } = await asked(...messages)
    if (answer !== undefined) world.answer(0, answer)
    client.transport.lost()
    assert.equal(client.closed, 'client_lost', name)
    assert.equal(world.pool.lists.count('idle'), reused ? 1 : 0, name)
    assert.equal(world.pool.lists.count('closing'), reused ? 0 : 1, name)
    assert.equal(client.cancelled.length, cancelled ? 1 : 0, name)
    assert.equal(world.backend().transport.ended, !reused, name)
  }
})

test('Terminate waits for what was asked, and for nothing that cannot end', async () => {
  const { world, client } = await asked(query('INSERT'), terminate, query('never'))
  assert.equal(client.session.state, 'ending')
  world.answer(0, reply('C Z'))
  assert.deepEqual([client.closed, world.pool.lists.count('idle')], ['client_terminated', 1])
  assert.deepEqual([client.transport.letters(), client.transport.ended], ['CZ', true])
  assert.equal(world.backend().transport.letters(), 'Q')
  const endless: [Buffer[], Buffer | undefined][] = [
    [[parse('', 'x'), flush()], undefined],
    [[query('COPY t FROM STDIN')], reply('G')],
    [[query('BEGIN')], reply('C ZT')],
  ]
  for (const [messages, answer] of endless) {
    const { world, client } = await asked(...messages)
    if (answer !== undefined) world.answer(0, answer)
    client.send(terminate)
    assert.deepEqual([client.closed, world.pool.lists.count('closing')], ['client_terminated', 1])
  }
  const late = await asked(query('COPY t FROM STDIN'), terminate)
  late.world.answer(0, reply('G'))
  assert.deepEqual([late.client.closed, late.world.pool.lists.count('closing')], ['client_terminated', 1])
  const gone = await asked(query('INSERT'), terminate)
  gone.world.backend().transport.lost()
  assert.equal(gone.client.closed, 'client_terminated')
  assert.match(String(gone.client.transport.lines()), /^ErrorResponse S='FATAL' C='08006'/)
})

test('what was asked before Terminate is answered, up to the last Sync', async () => {
  const { world, client } = await asked(query('1'), parse('', 'x'), sync(), parse('', 'y'), flush(), terminate)
  world.answer(0, reply('C Z'))
  assert.equal(client.closed, undefined)
  world.answer(0, reply('1 Z'))
  assert.deepEqual([client.closed, client.transport.letters()], ['client_terminated', 'CZ1Z'])
  assert.equal(world.pool.lists.count('closing'), 1, 'its batch is open')
})

test('a client that closed after Terminate stops nothing: its request is carried out, and the link goes back', async () => {
  const { world, client } = await asked(query('1'), terminate)
  client.transport.full = true
  world.answer(0, reply('T D'))
  assert.equal(world.backend().transport.paused, true)
  client.transport.lost()
  assert.equal(world.backend().transport.paused, false)
  world.answer(0, reply('D'.repeat(3).split('').join(' ')), reply('C Z'))
  assert.deepEqual([client.closed, world.pool.lists.count('idle')], ['client_terminated', 1])
  assert.equal(client.transport.letters(), 'TD')
})

test('a client that closed after Terminate while its requests waited: they are carried out all the same', async () => {
  const { world, client: holder } = await asked(query('BEGIN'))
  world.answer(0, reply('C ZT'))
  const [client, gone, cut] = [world.client(), world.client(), world.client()]
  client.send(query('1'), parse('', 'x'), sync(), terminate)
  gone.send(query('2'))
  cut.send(query('3'), terminate.subarray(0, 4))
  for (const one of [client, gone, cut]) one.session.end()
  assert.deepEqual([client.closed, gone.closed, cut.closed], [undefined, 'client_lost', 'client_lost'])
  world.backend().transport.take()
  holder.send(query('COMMIT'))
  world.answer(0, reply('C Z'))
  assert.equal(world.backend().transport.letters(), 'QQPS')
  world.answer(0, reply('C Z 1 Z'))
  assert.deepEqual([client.closed, client.transport.letters()], ['client_terminated', 'CZ1Z'])
  assert.equal(world.pool.lists.count('idle'), 1)
})

test('a session that stays on its link for a long statement rests between transactions', async () => {
  const { world, client } = await asked(parse('', 'x'.repeat(70_000)), sync())
  assert.equal(client.session.endIfIdle(), false)
  world.answer(0, reply('1 Z'))
  assert.equal(client.session.state, 'active')
  const other = world.client()
  other.send(query('SELECT 1'))
  assert.equal(other.session.state, 'waiting')
  assert.equal(client.session.endIfIdle(), true)
  assert.equal(world.backend().transport.letters(), 'PSQ')
})

test('a login that fails for good refuses those who wait', async () => {
  const world = new SessionWorld()
  world.loginFailure = new PgleaseError('database_missing', 'app')
  const client = world.client()
  client.send(query('SELECT 1'))
  world.source.offer(1)
  await world.settle()
  assert.match(String(client.transport.lines()), /FATAL.*08P01/)
  assert.equal(client.closed, 'login_failed')
})

test('each wait for a link is told once: a refusal without a wait is none', async () => {
  const { world } = await asked(query('SELECT 1'))
  const client = world.client()
  client.send(query('SELECT 2'))
  world.clock.advance(500)
  world.answer(0, reply('C Z'))
  world.answer(0, reply('C Z'))
  assert.deepEqual(client.waits, [500])
  world.loginFailure = new PgleaseError('database_missing', 'app')
  world.backend().transport.lost()
  world.client().send(query('SELECT 1'))
  await world.settle()
  world.clock.advance(1_000)
  client.send(query('SELECT 3'))
  assert.equal(client.closed, 'login_failed')
  assert.deepEqual(client.waits, [500])
})

test('when pglease ends, a session ends with its transaction', async () => {
  const { world, client } = await asked(query('BEGIN'))
  world.answer(0, reply('C ZT'))
  assert.equal(client.session.endIfIdle(), false)
  world.leaving = true
  client.send(query('COMMIT'))
  world.answer(0, reply('C Z'))
  assert.match(String(client.transport.lines().at(-1)), /FATAL.*57P01/)
  assert.equal(client.closed, 'idle_at_shutdown')
  const idle = world.client()
  assert.equal(idle.session.endIfIdle(), true)
  assert.equal(idle.closed, 'idle_at_shutdown')
})

test('what pglease itself tells a client is logged, unless log_pooler_errors is off', () => {
  for (const logErrors of [true, false]) {
    const world = new SessionWorld()
    world.logErrors = logErrors
    const client = world.client()
    client.send(message('?'))
    assert.equal(client.closed, 'client_protocol_violation')
    assert.deepEqual(client.logged, logErrors ? ['pooler_error'] : [])
  }
})

test('a link within a message is not at rest, and no other session gets the end of what one got the begin of', async () => {
  const notice = noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'late' })
  const { world, client } = await answered(query('SELECT 1'), reply('C Z'), { pool_mode: 'session' })
  world.answer(0, notice.subarray(0, 10))
  assert.deepEqual([client.session.endIfIdle(), world.backend().link.recycle()], [false, false])
  client.transport.lost()
  assert.equal(world.pool.lists.count('closing'), 1)
})
