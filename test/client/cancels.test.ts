// Cancel requests: what they hit, what they spare, and that one waits for the other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cancels } from '../../src/client/cancels.ts'
import type { Transport } from '../../src/net/transport.ts'
import { parameterStatus } from '../../src/wire/reply.ts'
import { MemoryNetwork } from '../kit/memory-transport.ts'
import { bind, execute, parse, query, sync } from '../kit/raw-messages.ts'
import { asked, reply, SessionWorld } from '../kit/session-world.ts'

const turns = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
const quiet = { data() {}, drain() {}, end() {}, close() {} }
const CANCELED = ["ErrorResponse S='ERROR' C='57014' M='canceling statement due to user request'", 'ReadyForQuery I']

/** Cancels of `world` towards a server that keeps each connection until the test ends it. */
function cancelsOf(world: SessionWorld, connected: () => void = () => {}) {
  const ends: Transport[] = []
  const network = new MemoryNetwork((far) => {
    far.setHandler(quiet)
    ends.push(far)
    connected()
  })
  const settings = { server_connect_timeout: 15_000, cancel_wait_timeout: 10_000 }
  return { network, ends, cancels: new Cancels({ network, clock: world.clock, settings: () => settings }) }
}

const sent = (network: MemoryNetwork): number[] => network.connections.map(({ written }) => written.length)

test('what runs is cancelled, and the link serves nobody until the server has closed the connection', async () => {
  const { world, client } = await asked(query('SELECT 1'))
  const { network, ends, cancels } = cancelsOf(world)
  const done = cancels.request(client.session)
  await turns()
  assert.deepEqual(sent(network), [1])
  world.answer(0, reply('E Z'))
  assert.deepEqual([client.transport.letters(), world.pool.lists.count('being_canceled')], ['EZ', 1])
  ends[0]?.end()
  await done
  assert.deepEqual([world.pool.lists.count('being_canceled'), world.pool.lists.count('idle')], [0, 1])
})

test('a query that ended before the connection stood is not cancelled, nor is the one after it in the transaction', async () => {
  for (const next of [false, true]) {
    const { world, client } = await asked(query('BEGIN'))
    const { network, cancels } = cancelsOf(world, () => {
      world.answer(0, reply('C ZT'))
      if (next) client.send(query('SELECT 2'))
    })
    await cancels.request(client.session)
    assert.deepEqual([sent(network), client.transport.letters()], [[0], 'CZ'])
    assert.equal(world.pool.lists.count('active'), 1)
  }
})

test('nothing runs: no connection is made', async () => {
  const { world, client } = await asked(query('BEGIN'))
  world.answer(0, reply('C ZT'))
  const { network, cancels } = cancelsOf(world)
  await cancels.request(client.session)
  assert.deepEqual(sent(network), [])
})

test('a second cancel request waits for the first, and is given up after cancel_wait_timeout', async () => {
  const { world, client } = await asked(query('SELECT 1'))
  const { network, ends, cancels } = cancelsOf(world)
  const first = cancels.request(client.session)
  await turns()
  const second = cancels.request(client.session)
  await turns()
  assert.deepEqual(sent(network), [1])
  ends[0]?.end()
  await first
  await turns()
  assert.deepEqual(sent(network), [1, 1], 'the query still runs')
  const third = cancels.request(client.session)
  await world.clock.run(10_000)
  await third
  assert.deepEqual(sent(network), [1, 1])
  ends[1]?.end()
  await second
  world.answer(0, reply('E Z'))
  assert.equal(world.pool.lists.count('idle'), 1)
  assert.equal(world.clock.pending, 0)
})

test('a connection that the server does not close in time costs the link', async () => {
  const { world, client } = await asked(query('SELECT 1'))
  const { cancels } = cancelsOf(world)
  const done = cancels.request(client.session)
  await turns()
  world.answer(0, reply('E Z'))
  await world.clock.run(15_000)
  await done
  assert.deepEqual([world.pool.lists.count('being_canceled'), world.pool.lists.count('closing')], [0, 1])
})

test('a request that waits for a link is answered in the server’s place, and those behind it stay', async () => {
  const requests: [string, Buffer[], string][] = [
    ['a query', [query('SELECT 2')], ''],
    ['a batch', [parse('', 'SELECT 2'), bind('', ''), execute(''), sync()], ''],
    ['two queries', [query('SELECT 2'), query('SELECT 3')], 'Q'],
    ['a batch and a query', [parse('', 'SELECT 2'), sync(), query('SELECT 3')], 'Q'],
  ]
  for (const [name, messages, left] of requests) {
    const { world } = await asked(query('SELECT 1'))
    const { network, cancels } = cancelsOf(world)
    const waiting = world.client()
    waiting.send(...messages)
    await cancels.request(waiting.session)
    assert.deepEqual([waiting.transport.lines().map(String), sent(network)], [CANCELED, []], name)
    assert.deepEqual([waiting.session.state, world.pool.waiting], left === '' ? ['idle', 0] : ['waiting', 1], name)
    world.backend().transport.take()
    world.answer(0, reply('C Z'))
    assert.equal(world.backend().transport.letters(), left, name)
  }
})

test('a request of which the end has not come goes on waiting', async () => {
  const whole = Buffer.concat([parse('', 'SELECT 2'), bind('', ''), sync()])
  for (let cut = parse('', 'SELECT 2').length; cut < whole.length; cut++) {
    const { world } = await asked(query('SELECT 1'))
    const { cancels } = cancelsOf(world)
    const waiting = world.client()
    waiting.send(whole.subarray(0, cut))
    await cancels.request(waiting.session)
    assert.deepEqual([waiting.session.state, waiting.transport.letters()], ['waiting', ''])
  }
})

test('a request whose link is still brought to the parameters of its client is answered in the server’s place too', async () => {
  const requests: [string, Buffer[], string][] = [
    ['a query', [query('SELECT 2')], ''],
    ['a query and the begin of another', [query('SELECT 2'), query('SELECT 3').subarray(0, 8)], ''],
    ['a query and a batch', [query('SELECT 2'), parse('', 'SELECT 3'), sync()], 'PS'],
  ]
  for (const [name, messages, left] of requests) {
    for (const pool_mode of ['transaction', 'session'] as const) {
      const world = await SessionWorld.ready({ pool_mode })
      const { network, cancels } = cancelsOf(world)
      const client = world.client()
      client.session.parts.parameters.set('TimeZone', 'Europe/Vienna')
      client.send(...messages)
      assert.equal(client.session.state, 'preparing')
      await cancels.request(client.session)
      assert.deepEqual([client.transport.lines().map(String), sent(network)], [CANCELED, []], name)
      world.backend().transport.take()
      world.answer(0, parameterStatus('TimeZone', 'Europe/Vienna'), reply('C Z'))
      assert.equal(world.backend().transport.letters(), left, name)
      const kept = pool_mode === 'session' || left !== ''
      assert.deepEqual([client.session.state, world.pool.lists.count('idle')], kept ? ['active', 0] : ['idle', 1], name)
      assert.equal(client.session.times.transactionSinceMs > 0, left !== '', name)
      client.send(left === '' && messages.length > 1 ? query('SELECT 3').subarray(8) : query('SELECT 4'))
      assert.equal(world.backend().transport.letters(), 'Q', `${name}: it serves on`)
    }
  }
})

test('a request of which the end has not come is not taken for the server’s while its link is prepared', async () => {
  const world = await SessionWorld.ready()
  const { network, cancels } = cancelsOf(world)
  const client = world.client()
  client.session.parts.parameters.set('TimeZone', 'Europe/Vienna')
  client.send(parse('', 'SELECT 1'))
  await cancels.request(client.session)
  assert.deepEqual([client.session.state, client.transport.letters(), sent(network)], ['preparing', '', []])
})
