// The data path from the client: boundaries, one write a run, what is held, streamed, dropped and refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bind, copyData, copyDone, describePortal, execute, flush, parse, query, sync } from '../kit/raw-messages.ts'
import { asked, reply, silent, two } from '../kit/session-world.ts'
import { arrivals, offsetCopy } from '../kit/splits.ts'

test('messages arrive at the server as they were sent, however they are cut', async () => {
  const parts = [parse('', 'SELECT $1'), bind('', '', ['x']), execute(), sync(), query('COPY t FROM STDIN'), copyData('1\n'), copyDone()]
  const bytes = Buffer.concat(parts)
  for (const chunks of arrivals(bytes)) {
    const { world, client } = await silent()
    for (const chunk of chunks) client.session.data(chunk)
    const { transport, link } = world.backend()
    assert.deepEqual(transport.take(), bytes)
    assert.equal(link.ledger.owed, 2)
    world.answer(0, reply('1 2 D C Z G C Z'))
    assert.equal(link.ledger.settled, true)
    assert.equal(client.transport.letters(), '12DCZGCZ')
  }
})

test('what came in one chunk goes out in one write, the chunk itself', async () => {
  const { world, client } = await silent()
  const { transport } = world.backend()
  client.send(parse('', 'SELECT 1'), bind('', ''), execute(), sync())
  assert.equal(transport.writes.length, 1)
  world.answer(0, reply('1 2 C Z'))
  transport.take()
  // two whole messages and the begin of a third
  client.session.data(offsetCopy(Buffer.concat([query('SELECT 1'), query('SELECT 2'), query('SELECT 3').subarray(0, 7)])))
  assert.deepEqual(transport.writes.map(String), [String(Buffer.concat([query('SELECT 1'), query('SELECT 2')]))])
  client.session.data(query('SELECT 3').subarray(7))
  assert.equal(transport.letters(), 'QQQ')
})

test('a message of which only the begin came holds no link, until 64 KB are there', async () => {
  const { world, client } = await silent()
  const message = query('x'.repeat(200_000))
  client.session.data(message.subarray(0, 60_000))
  assert.equal(client.session.state, 'idle')
  client.session.data(message.subarray(60_000, 65_535))
  assert.equal(client.session.state, 'idle')
  client.session.data(message.subarray(65_535, 65_536))
  assert.equal(client.session.state, 'active')
  client.session.data(message.subarray(65_536, 150_000))
  client.session.data(Buffer.concat([message.subarray(150_000), query('SELECT 2')]))
  const { transport, link } = world.backend()
  assert.deepEqual(transport.take(), Buffer.concat([message, query('SELECT 2')]))
  assert.equal(link.ledger.owed, 2)
  assert.equal(client.transport.paused, false)
})

test('what is sent while there is no link is kept to the mark, then the client is not read', async () => {
  const { world, client: first, other: second } = await two()
  first.send(query('BEGIN'))
  world.answer(0, reply('C ZT'))
  const message = query('x'.repeat(10_000))
  for (let count = 0; count < 6; count++) second.send(message)
  assert.deepEqual([second.session.state, second.transport.paused], ['waiting', false])
  second.send(message)
  assert.equal(second.transport.paused, true)
  first.send(query('COMMIT'))
  world.backend().transport.take()
  world.answer(0, reply('C Z'))
  assert.equal(world.backend().transport.letters(), 'QQQQQQQ')
  assert.equal(second.transport.paused, false)
})

test('stray COPY messages and Flush need no link, and do not spoil what follows', async () => {
  const { world, client, other } = await two()
  const stray = copyData('z'.repeat(100_000))
  client.send(copyData('1'), copyDone(), flush(), stray.subarray(0, 70_000))
  assert.equal(client.session.state, 'idle')
  client.session.data(stray.subarray(70_000, 80_000))
  client.session.data(stray.subarray(80_000))
  client.send(copyData('2'))
  assert.equal(world.backend().transport.take().length, 0)
  // the next message waits for a link and is long enough to be streamed
  other.send(query('BEGIN'))
  world.answer(0, reply('C ZT'))
  world.backend().transport.take()
  const long = query('y'.repeat(100_000))
  client.session.data(long.subarray(0, 70_000))
  assert.equal(client.session.state, 'waiting')
  other.send(query('COMMIT'))
  world.backend().transport.take()
  world.answer(0, reply('C Z'))
  client.session.data(long.subarray(70_000))
  assert.deepEqual(world.backend().transport.take(), long)
})

test('a client is refused for a type that there is not, at its first bytes, and for wrong lengths', async () => {
  for (const [bytes, text] of [
    [Buffer.from([0, 0, 3, 0, 0]), /unexpected message type 0x00/],
    [Buffer.from([0x70, 0, 0, 0, 9]), /unexpected message type 0x70/],
    [Buffer.from([0x51, 0, 0, 0, 3]), /cannot be 3 bytes/],
    [Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]), /message too large/],
  ] as const) {
    const { world, client } = await asked(query('SELECT 1'), bytes)
    assert.equal(world.backend().transport.letters(), 'QX', 'what came before was asked')
    assert.match(String(client.transport.lines()), text)
    assert.equal(client.closed, 'client_protocol_violation')
  }
})

test('named statements are refused with the reason', async () => {
  const { world, client } = await asked(parse('name', 'SELECT 1'), sync())
  assert.match(String(client.transport.lines()), /FATAL.*0A000.*named prepared statements/)
  assert.equal(world.pool.lists.count('idle'), 1)
})

test('a pipeline gives way at the next boundary when somebody waits', async () => {
  const { world, client: busy, other, transport } = await two()
  busy.send(query('1'))
  other.send(query('other'))
  busy.send(query('2'), parse('', '3'), sync())
  assert.equal(transport.letters(), 'Q')
  world.answer(0, reply('C Z'))
  assert.equal(busy.transport.letters(), 'CZ')
  assert.match(String(transport.take()), /other/)
  assert.equal(busy.session.state, 'waiting')
  world.answer(0, reply('C Z'))
  assert.equal(other.transport.letters(), 'CZ')
  assert.equal(transport.letters(), 'QPS')
  world.answer(0, reply('C Z 1 Z'))
  assert.equal(busy.transport.letters(), 'CZ1Z')
})

test('a pipeline that is in a transaction goes on after each ReadyForQuery', async () => {
  const { world, client: busy, other, transport } = await two()
  busy.send(query('BEGIN'))
  other.send(query('other'))
  busy.send(query('2'), query('COMMIT'))
  for (const status of ['ZT', 'ZT', 'Z']) {
    assert.equal(transport.letters(), 'Q')
    world.answer(0, reply(`C ${status}`))
  }
  assert.match(String(transport.take()), /other/)
})

test('the end of a COPY passes though somebody waits', async () => {
  const batch = [parse('', 'COPY t FROM STDIN'), bind('', ''), describePortal(''), execute(), sync()]
  for (const ahead of [true, false]) {
    const { world, client: busy, other, transport } = await two()
    busy.send(...batch)
    other.send(query('other'))
    transport.take()
    const rest = [copyData('1\n'), copyDone(), sync()]
    if (ahead) busy.send(...rest)
    world.answer(0, reply('1 2 n G'))
    if (!ahead) busy.send(...rest)
    assert.equal(transport.letters(), 'dcS', ahead ? 'sent ahead' : 'sent in time')
    world.answer(0, reply('C Z'))
    assert.match(String(transport.take()), /other/)
  }
})

test('a COPY that fails within a long CopyData gives its link back when the message is over', async () => {
  const { world, client } = await asked(query('COPY t FROM STDIN'))
  world.answer(0, reply('G'))
  const data = copyData('z'.repeat(100_000))
  client.session.data(data.subarray(0, 50_000))
  world.answer(0, reply('E Z'))
  assert.equal(world.pool.lists.count('idle'), 0)
  client.session.data(data.subarray(50_000))
  assert.equal(world.pool.lists.count('idle'), 1)
  client.send(copyData('z'), copyDone())
  assert.equal(client.session.state, 'idle')
  assert.equal(world.backend().transport.letters(), 'Qd')
})
