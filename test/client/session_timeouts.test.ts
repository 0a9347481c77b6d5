// Which timeout a session has exceeded, and how often that is looked at.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '../../src/client/registry.ts'
import { expiryOf, lookEveryMs, SessionTimeouts, type TimeoutSettings } from '../../src/client/session_timeouts.ts'
import { parse, query, sync } from '../kit/raw-messages.ts'
import { answered, asked, reply, SessionWorld, silent, type TestClient } from '../kit/session-world.ts'

const OFF: TimeoutSettings = { query_timeout: 0, transaction_timeout: 0, idle_transaction_timeout: 0, client_idle_timeout: 0 }

/** The code that `client` would be closed with, or ''. */
const code = ({ session }: TestClient, world: SessionWorld, settings: Partial<TimeoutSettings>): string =>
  expiryOf(session, { ...OFF, ...settings }, world.clock.monotonicMs())?.code ?? ''

const ALL: TimeoutSettings = {
  query_timeout: 1_000,
  transaction_timeout: 1_000,
  idle_transaction_timeout: 1_000,
  client_idle_timeout: 1_000,
}

test('a session that runs has exceeded query_timeout or transaction_timeout, and none of those for rest', async () => {
  const { world, client } = await asked(query('SELECT 1'))
  world.clock.advance(1_000)
  assert.equal(code(client, world, ALL), '')
  world.clock.advance(1)
  assert.equal(code(client, world, ALL), 'query_timeout')
  assert.equal(code(client, world, { transaction_timeout: 1_000 }), 'transaction_timeout')
  assert.equal(code(client, world, { idle_transaction_timeout: 1_000, client_idle_timeout: 1_000 }), '')
})

test('a request that comes in parts counts from its last part', async () => {
  const { world, client } = await asked(parse('', 'SELECT 1'))
  world.clock.advance(900)
  client.send(sync())
  world.clock.advance(900)
  assert.equal(code(client, world, { query_timeout: 1_000 }), '')
  assert.equal(code(client, world, { transaction_timeout: 1_000 }), 'transaction_timeout')
})

test('a session that rests in its transaction, failed or not, has exceeded idle_transaction_timeout', async () => {
  for (const status of ['ZT', 'ZE']) {
    const { world, client } = await asked(query('BEGIN'))
    world.clock.advance(5_000)
    world.answer(0, reply(`C ${status}`))
    assert.equal(code(client, world, { ...ALL, transaction_timeout: 0 }), '')
    world.clock.advance(1_001)
    assert.equal(code(client, world, ALL), 'idle_transaction_timeout')
    assert.equal(code(client, world, { query_timeout: 1_000, client_idle_timeout: 1_000 }), '')
    assert.equal(code(client, world, { transaction_timeout: 6_000 }), 'transaction_timeout')
  }
})

test('a session that rests outside a transaction has exceeded client_idle_timeout, counted from its last answer', async () => {
  const { world, client: fresh } = await silent()
  world.clock.advance(1_001)
  assert.equal(code(fresh, world, ALL), 'client_idle_timeout')
  fresh.send(query('SELECT 1'))
  world.clock.advance(5_000)
  world.answer(0, reply('C Z'))
  assert.equal(code(fresh, world, ALL), '')
  world.clock.advance(1_001)
  assert.equal(code(fresh, world, ALL), 'client_idle_timeout')
  assert.equal(code(fresh, world, { ...ALL, client_idle_timeout: 0 }), '')
})

test('a session that waits has exceeded query_timeout, with the text for those who wait', async () => {
  const { world } = await asked(query('BEGIN'))
  const waiting = world.client()
  waiting.send(query('SELECT 1'))
  world.clock.advance(1_001)
  assert.equal(code(waiting, world, ALL), 'query_timeout_waiting')
  assert.equal(code(waiting, world, { ...ALL, query_timeout: 0 }), '')
})

test('pipelined transactions are timed one by one', async () => {
  const { world, client } = await asked(query('SELECT 1'), query('SELECT 2'), query('SELECT 3'))
  for (let count = 0; count < 2; count++) {
    world.clock.advance(900)
    world.answer(0, reply('C Z'))
    assert.equal(code(client, world, { transaction_timeout: 1_000 }), '')
  }
  world.clock.advance(1_001)
  assert.equal(code(client, world, { transaction_timeout: 1_000 }), 'transaction_timeout')
})

test('in session mode each transaction on the kept link is timed, and each part of a request', async () => {
  const { world, client } = await answered(query('SELECT 1'), reply('C Z'), { pool_mode: 'session' })
  world.clock.advance(5_000)
  client.send(parse('', 'SELECT 1'))
  world.clock.advance(900)
  assert.equal(code(client, world, ALL), '')
  client.send(sync())
  world.clock.advance(900)
  assert.equal(code(client, world, { query_timeout: 1_000 }), '')
  assert.equal(code(client, world, { transaction_timeout: 1_000 }), 'transaction_timeout')
})

test('sessions are looked at eight times within the shortest timeout, at most once a second, and never without one', async () => {
  assert.equal(lookEveryMs([OFF, OFF]), undefined)
  assert.equal(lookEveryMs([OFF, { ...OFF, client_idle_timeout: 4_000, query_timeout: 9_000 }]), 500)
  assert.equal(lookEveryMs([{ ...OFF, query_timeout: 3_600_000 }]), 1_000)
})

test('a look ends the sessions that are late and no others', async () => {
  const world = await SessionWorld.ready({ pool_size: 2 })
  const registry = new Registry()
  const [late, early] = [world.client(), world.client()]
  for (const { session } of [late, early]) registry.add(session, registry.newKey(false))
  const timeouts = new SessionTimeouts(world.clock, registry, new Map([['app', { ...OFF, query_timeout: 1_000 }]]))
  late.send(query('SELECT 1'))
  world.clock.advance(600)
  early.send(query('SELECT 1'))
  timeouts.tick()
  world.clock.advance(500)
  timeouts.tick()
  assert.deepEqual([late.closed, early.closed], ['query_timeout', undefined])
  assert.match(late.transport.lines().at(-1) ?? '', /S='FATAL' C='08P01' M='query timeout'/)
  assert.equal(late.cancelled.length, 1)
})
