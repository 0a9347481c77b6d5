// One client with a scripted server: what it holds, how it waits, and how it ends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { parameterStatus } from '../../src/wire/reply.ts'
import { bind, copyData, copyDone, execute, flush, message, parse, query, sync } from '../kit/raw-messages.ts'
import { reply, SessionWorld, type TestClient } from '../kit/session-world.ts'

const terminate = message('X')

/** A client in the middle of something on link 0. */
async function asked(...messages: Buffer[]): Promise<{ world: SessionWorld; client: TestClient }> {
  const world = await SessionWorld.ready()
  const client = world.client()
  client.send(...messages)
  return { world, client }
}

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

test('a link that dies inside a transaction, a batch, COPY or a message ends the client with FATAL', async () => {
  const states: [string, Buffer[], Buffer | undefined][] = [
    ['in a transaction', [query('BEGIN')], reply('C ZT')],
    ['in a failed transaction', [query('BEGIN')], reply('E ZE')],
    ['in an open batch', [parse('', 'x')], undefined],
    ['in a skipped stretch', [parse('', 'x')], reply('E')],
    ['in COPY', [query('COPY t FROM STDIN')], reply('G')],
    ['within its message', [query('x'.repeat(100_000)).subarray(0, 70_000)], undefined],
    ['within a reply', [query('x')], reply('T D').subarray(0, -2)],
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

test('a link that dies while it is prepared: the request goes to the next one', async () => {
  const world = await SessionWorld.ready()
  const client = world.client()
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

test('a parameter is told to the client in the spelling of the server; one that is refused ends it', async () => {
  const world = await SessionWorld.ready()
  const client = world.client()
  client.session.parts.parameters.set('TimeZone', 'utc-ish')
  client.send(query('SELECT 1'))
  world.answer(0, parameterStatus('TimeZone', 'UTC-ish'), reply('C Z'))
  assert.deepEqual(client.transport.lines(), ["ParameterStatus 'TimeZone' 'UTC-ish'"])
  world.answer(0, reply('C Z'))
  client.transport.take()
  client.send(query('SELECT 2'))
  assert.equal(world.backend().transport.letters(), 'QQQ', 'no second SET')
  world.answer(0, reply('C Z'))
  client.session.parts.parameters.set('TimeZone', 'nowhere')
  client.send(query('SELECT 3'))
  world.answer(0, reply('E Z', '22023'))
  assert.match(String(client.transport.lines().at(-1)), /FATAL.*cannot set a session parameter.*22023/)
  assert.deepEqual([client.closed, world.pool.lists.count('idle')], ['parameters_failed', 1])
})

test('a cancel request that hits our own SET does not end the client', async () => {
  const world = await SessionWorld.ready()
  const client = world.client()
  client.session.parts.parameters.set('TimeZone', 'CET')
  client.send(query('SELECT 1'))
  world.answer(0, reply('E Z', '57014'))
  world.answer(0, parameterStatus('TimeZone', 'CET'), reply('C Z'))
  world.answer(0, reply('C Z'))
  assert.equal(client.transport.letters(), 'CZ')
  assert.equal(world.backend().transport.letters(), 'QQQ')
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

test('a client that does not read gets no more: the link stops, and its requests are not carried out', async () => {
  const { world, client } = await asked(query('1'))
  const { transport } = world.backend()
  client.transport.full = true
  world.answer(0, reply('T D'))
  assert.deepEqual([client.transport.paused, transport.paused], [true, true])
  // one more chunk may come after a pause, on either side
  world.answer(0, reply('D C Z'))
  client.send(query('2'))
  assert.equal(transport.paused, false, 'it went back to the pool')
  transport.take()
  assert.equal(client.session.state, 'idle')
  assert.equal(transport.letters(), '')
  assert.equal(client.transport.paused, true)
  client.transport.drained()
  assert.equal(transport.letters(), 'Q')
  assert.equal(client.transport.paused, false)
  world.answer(0, reply('C Z'))
  assert.equal(client.transport.letters(), 'TDDCZCZ')
})

test('a server that does not read stops the client until it does, or until the link is gone', async () => {
  const { world, client } = await asked(query('COPY t FROM STDIN'))
  const { transport } = world.backend()
  world.answer(0, reply('G'))
  transport.full = true
  client.send(copyData('1\n'))
  assert.equal(client.transport.paused, true)
  transport.drained()
  assert.equal(client.transport.paused, false)
  transport.full = true
  client.send(copyData('2\n'))
  // it fails meanwhile
  world.answer(0, reply('E Z'))
  assert.equal(client.transport.paused, false)
  client.send(copyDone())
  const second = await asked(query('x'))
  second.world.backend().transport.full = true
  second.client.send(query('y'))
  assert.equal(second.client.transport.paused, true)
  second.world.backend().transport.lost()
  assert.equal(second.client.transport.paused, false)
  assert.equal(second.client.session.state, 'idle')
})

test('a link with a doubtful Sync is asked before it serves the next', async () => {
  const { world, client } = await asked(parse('', 'COPY t FROM STDIN'), bind('', ''), execute(), sync())
  const other = world.client()
  const { transport } = world.backend()
  world.answer(0, reply('1 2 G E'))
  client.send(copyDone(), sync())
  other.send(query('other'))
  transport.take()
  world.answer(0, reply('Z'))
  assert.equal(client.transport.letters(), '12GEZ')
  assert.deepEqual(transport.take(), query(''))
  // what the client asks meanwhile waits
  client.send(query('next'))
  assert.equal(transport.letters(), '')
  // the late one, then the answer to the question
  world.answer(0, reply('Z I Z'))
  assert.equal(client.transport.letters(), 'Z')
  assert.match(String(transport.take()), /other/)
  world.answer(0, reply('C Z'))
  assert.equal(other.transport.letters(), 'CZ')
  assert.match(String(transport.take()), /next/)
})

test('a link on which a Query came into an open batch is cleansed before it serves the next', async () => {
  const { world, client } = await asked(parse('', 'x'), bind('', ''), execute(), query('q'), sync())
  const other = world.client()
  const { transport } = world.backend()
  other.send(query('other'))
  transport.take()
  world.answer(0, reply('1 2 C C ZT Z'))
  assert.deepEqual(transport.take(), query(''))
  world.answer(0, reply('E', 'XX000'))
  world.answer(0, reply('Z'))
  assert.equal(client.transport.letters(), '12CCZZ', 'nobody hears of the error')
  assert.match(String(transport.take()), /other/)
  world.answer(0, reply('C Z'))
  assert.equal(other.transport.letters(), 'CZ')
  assert.equal(transport.letters(), '', 'once is enough')
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
