// One link: the server's bytes however they are cut, what is looked into, and how it ends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReplyFields } from '../../src/wire/reply.ts'
import { errorResponse, noticeResponse, parameterStatus } from '../../src/wire/reply.ts'
import { execute, query, sync } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { asked, reply, SessionWorld, type TestClient } from '../kit/session-world.ts'
import { arrivals } from '../kit/splits.ts'

const notice = noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'hello' })
const notification = wireMessage('A', '\0\0\0\x01channel\0payload\0')

test('replies arrive at the client as they were sent, however they are cut', async () => {
  const bytes = Buffer.concat([reply('T D D C T'), notice, reply('D C'), parameterStatus('TimeZone', 'CET'), reply('Z E'), reply('Z')])
  for (const chunks of arrivals(bytes)) {
    const { world, client } = await asked(query('1'), query('2'))
    for (const chunk of chunks) world.backend().link.data(chunk)
    assert.deepEqual(client.transport.take(), bytes)
    assert.equal(client.session.state, 'idle')
    assert.equal(client.session.parts.parameters.values[world.names.index('timezone')], 'CET')
  }
})

test('a message that is whole or not, the link goes back only when none is partly forwarded', async () => {
  for (const late of [notice, notification, parameterStatus('x', 'y')]) {
    for (let cut = 1; cut < late.length; cut++) {
      const { world, client } = await asked(query('1'))
      const other = world.client()
      other.send(query('2'))
      world.answer(0, reply('C Z'), late.subarray(0, cut))
      world.answer(0, late.subarray(cut))
      world.answer(0, reply('C Z'))
      const got = [client.transport.take(), other.transport.take()]
      assert.equal(other.session.state, 'idle')
      // to whom it goes is open, but it stays whole
      const without = got.map((bytes) => Buffer.from(bytes.toString('latin1').replace(late.toString('latin1'), ''), 'latin1'))
      assert.deepEqual(without, [reply('C Z'), reply('C Z')], `cut at ${cut}`)
    }
  }
})

test('what comes for nobody is left out, and parameters are noted', async () => {
  const world = await SessionWorld.ready()
  const { link } = world.backend()
  world.answer(0, notice, notification, parameterStatus('TimeZone', 'CET'), parameterStatus('in_hot_standby', 'on'))
  assert.equal(link.parameters.values[world.names.index('TimeZone')], 'CET')
  assert.equal(world.pool.lists.count('idle'), 1)
  const client = world.client()
  client.send(query('1'))
  assert.match(String(world.backend().transport.take()), /SET "TimeZone" TO 'UTC'/)
  world.answer(0, notice, parameterStatus('TimeZone', 'UTC'), reply('C Z'))
  assert.deepEqual(client.transport.lines(), [], 'nor what answers our own query')
})

test('rows and answers for which nobody asked end the link', async () => {
  for (const letters of ['D', 'C', 'T', 'Z', '1', 'G', 'R', 'W']) {
    const world = await SessionWorld.ready()
    world.answer(0, reply(letters))
    assert.equal(world.pool.lists.count('closing'), 1, letters)
    world.backend().transport.lost()
    assert.deepEqual(world.closed, ['server_protocol_violation'])
  }
  for (const bytes of [
    Buffer.from([0x5a, 0, 0, 0, 3]),
    wireMessage('Z', 'II'),
    wireMessage('S', 'no end'),
    wireMessage('S', `${'x'.repeat(130_000)}\0\0`),
  ]) {
    const { world, client } = await asked(query('1'))
    for (let at = 0; at < bytes.length; at += 60_000) world.answer(0, bytes.subarray(at, at + 60_000))
    assert.equal(world.pool.lists.count('closing'), 1)
    assert.match(String(client.transport.lines()), /ERROR.*08006/)
  }
})

test('a length that PostgreSQL cannot declare ends the link at its header', async () => {
  for (const letter of ['E', 'D', 'T', 'Z', 'd', 'A', 'S', 'N']) {
    for (const length of [0xffffffff, 0x80000000, 3, 0]) {
      const { world, client } = await asked(query('1'))
      const header = wireMessage(letter, '').subarray(0, 5)
      header.writeUInt32BE(length, 1)
      world.answer(0, header)
      assert.equal(world.pool.lists.count('closing'), 1, `${letter} ${length}`)
      assert.match(String(client.transport.lines()), /^ErrorResponse S='ERROR' C='08006'/)
    }
  }
  const { world } = await asked(query('1'))
  world.answer(0, Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff]))
  assert.equal(world.pool.lists.count('closing'), 0, 'the longest one streams')
})

test('a FATAL on an idle link takes it out at once, before the server closes', async () => {
  const world = await SessionWorld.ready()
  world.answer(0, reply('FATAL', '57P01'))
  assert.deepEqual([world.pool.lists.count('idle'), world.pool.lists.count('closing')], [0, 1])
  const client = world.client()
  client.send(query('1'))
  assert.equal(client.session.state, 'waiting')
  world.backend().transport.lost()
  await world.settle()
  assert.deepEqual(world.closed, ['server_fatal'])
  assert.equal(world.backend(1).transport.letters(), 'Q')
})

test('FATAL is known without its field V, in another place, and without SQLSTATE', async () => {
  for (const [fields, sqlstate] of [
    ['SFATAL\0C57P01\0Mthe end\0\0', '57P01'],
    ['SSCHLIMM\0VFATAL\0C57P01\0Mthe end\0\0', '57P01'],
    ['SSCHLIMM\0C57P01\0VPANIC\0Mthe end\0\0', '57P01'],
    ['SFATAL\0VFATAL\0Mthe end\0\0', 'XX000'],
  ] as const) {
    const { world, client } = await asked(query('1'))
    world.answer(0, wireMessage('E', fields))
    assert.deepEqual(client.transport.lines(), [`ErrorResponse S='ERROR' C='${sqlstate}' M='the end'`, 'ReadyForQuery I'])
  }
  for (const fields of ['\0', 'SERROR\0\0', 'Mno\0\0', '']) {
    const { world, client } = await asked(query('1'))
    world.answer(0, wireMessage('E', fields), reply('Z'))
    assert.equal(client.transport.letters(), 'EZ')
    assert.equal(client.session.state, 'idle')
  }
})

test('an error of any length is forwarded', async () => {
  const error = errorResponse({ severity: 'ERROR', sqlstate: '22P02', message: 'x'.repeat(300_000) })
  const { world, client } = await asked(query('1'))
  const bytes = Buffer.concat([error, reply('Z')])
  for (let at = 0; at < bytes.length; at += 50_000) world.answer(0, bytes.subarray(at, at + 50_000))
  assert.deepEqual(client.transport.take(), bytes)
  assert.equal(client.session.state, 'idle')
})

test('a query of our own on a free link', async () => {
  const world = await SessionWorld.ready()
  const { link, transport } = world.backend()
  const answers: (ReplyFields | undefined)[] = []
  link.run('select 1', (error) => answers.push(error))
  assert.deepEqual(transport.take(), query('select 1'))
  world.answer(0, reply('T D'), notice, reply('C'), parameterStatus('x', 'y'))
  assert.equal(answers.length, 0)
  world.answer(0, reply('Z'))
  link.run('nonsense', (error) => answers.push(error))
  world.answer(0, reply('E Z', '42601'))
  assert.deepEqual(
    answers.map((error) => error?.sqlstate),
    [undefined, '42601'],
  )
  assert.ok(link.ledger.settled)
})

test('after a SET of the client the role is in question, after one of ours it is not', async () => {
  const world = new SessionWorld()
  world.hasServerRole = true
  world.source.offer(1)
  await world.settle()
  const { link, transport } = world.backend()
  link.run('SET x TO y', () => {})
  world.answer(0, wireMessage('C', 'SET\0'), reply('Z'))
  assert.equal(link.roleMayDiffer, false)
  const client = world.client()
  client.send(query('SET ROLE other'))
  world.answer(0, wireMessage('C', 'SET\0'), reply('Z'))
  assert.match(String(transport.take()), /RESET ROLE/)
  world.answer(0, wireMessage('C', 'RESET\0'), reply('Z'))
  assert.equal(world.pool.lists.count('idle'), 1)
})

/** A client that asked on an overdue link. */
async function overdue(...messages: Buffer[]): Promise<{ world: SessionWorld; client: TestClient }> {
  const world = await SessionWorld.ready({ pool_size: 2 })
  world.source.overdue(1)
  const client = world.client()
  client.send(...messages)
  world.backend().transport.take()
  return { world, client }
}

test('on an overdue link a refusal is held until the link has been asked for its role', async () => {
  for (const sqlstate of ['42501', '42704']) {
    for (const messages of [[query('1')], [execute(), sync()]]) {
      const { world, client } = await overdue(...messages)
      const { transport } = world.backend()
      world.answer(0, reply('E', sqlstate))
      world.answer(0, reply('Z'))
      assert.deepEqual(transport.take(), query('select session_user'))
      // what the client asks meanwhile has to wait
      client.send(query('2'))
      assert.equal(client.transport.letters() + transport.letters(), '')
      world.answer(0, reply('T D C'))
      world.answer(0, reply('Z'))
      assert.deepEqual(client.transport.lines(), [`ErrorResponse S='ERROR' C='${sqlstate}' M='no'`, 'ReadyForQuery I'])
      assert.deepEqual(transport.take(), query('2'), 'the role is there')
      assert.deepEqual(world.source.failures, [])
      world.answer(0, reply('C Z'))
      assert.equal(client.transport.letters(), 'CZ')
    }
  }
})

test('a role that is gone closes its links and starts a new lease; the reply is forwarded', async () => {
  const { world, client } = await overdue(query('1'))
  world.answer(0, reply('E Z', '42501'))
  world.answer(0, reply('E Z', '42704'))
  assert.deepEqual(client.transport.lines(), ["ErrorResponse S='ERROR' C='42501' M='no'", 'ReadyForQuery I'])
  assert.deepEqual(world.source.failures, ['1 42704'])
  assert.deepEqual([world.pool.lists.count('closing'), client.session.state], [1, 'idle'])
  client.send(query('2'))
  assert.equal(client.session.state, 'waiting')
  world.source.offer(2)
  await world.settle()
  assert.equal(world.backend(1).transport.letters(), 'Q')
})

test('a refusal is not held inside a transaction, for other errors, or when more was asked', async () => {
  const states: [string, Buffer[], Buffer, string][] = [
    ['in a transaction', [query('BEGIN'), query('1')], Buffer.concat([reply('C ZT'), reply('E ZE', '42501')]), 'CZEZ'],
    ['another error', [query('1')], reply('E Z', '42601'), 'EZ'],
    ['another request outstanding', [query('1'), query('2')], reply('E Z', '42501'), 'EZ'],
  ]
  for (const [name, messages, answer, letters] of states) {
    const { world, client } = await overdue(...messages)
    world.answer(0, answer)
    assert.equal(client.transport.letters(), letters, name)
    assert.equal(world.backend().transport.letters(), '', name)
  }
  const { world, client } = await overdue(query('1'))
  world.answer(0, reply('E', '42501'))
  client.send(query('2'))
  world.answer(0, reply('Z C Z'))
  assert.equal(client.transport.letters(), 'EZCZ', 'in order')
  assert.equal(client.session.state, 'idle')
})

test('a link that dies while a reply is held gives the client one answer', async () => {
  for (const questioned of [false, true]) {
    const { world, client } = await overdue(query('1'))
    world.answer(0, reply(questioned ? 'E Z' : 'E', '42501'))
    world.backend().transport.lost()
    assert.equal(client.transport.letters(), 'EZ')
    assert.equal(client.session.state, 'idle')
  }
})
