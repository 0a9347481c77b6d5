// Sessions that keep their link for statements prepared in SQL: the limit of them, and what a rotation does to them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PoolSettings } from '../../src/pool/pool_parts.ts'
import { query } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { answered, type Conversation, reply } from '../kit/session-world.ts'

/** A client that has prepared on link 0, before a credential that lasts 10 s more. */
async function pinned(settings: Partial<PoolSettings> = {}): Promise<Conversation> {
  const conversation = await answered(query('PREPARE p AS SELECT 1'), reply('C=PREPARE Z'), { pool_size: 2, ...settings }, 10)
  conversation.world.source.left = 10_000
  conversation.client.transport.take()
  return conversation
}

test('its link stays with it, once told, and is cleaned for the next', async () => {
  const { world, client } = await pinned()
  assert.deepEqual([client.session.state, world.pool.pinned, client.logged], ['active', 1, ['link_pinned']])
  client.send(query('EXECUTE p'))
  world.answer(0, reply('D C Z'))
  assert.deepEqual([client.session.state, client.logged.length], ['active', 1])
  world.backend().transport.take()
  client.session.end()
  assert.match(String(world.backend().transport.take()), /DEALLOCATE ALL/)
})

test('a rotation ends it when it rests, others stay', async () => {
  const { world, client } = await pinned()
  const other = world.client()
  world.source.offer(2)
  await world.settle()
  world.pool.tick()
  assert.deepEqual([client.closed, client.transport.letters()], ['session_recycled', 'NE'])
  world.answer(0, wireMessage('C', 'DEALLOCATE ALL\0'), reply('Z'))
  assert.deepEqual([other.closed, world.backend().link.closeReason], [undefined, 'rotated'])
})

test('a rotation ends it behind its transaction', async () => {
  const { world, client } = await pinned()
  client.send(query('BEGIN'))
  world.answer(0, reply('C ZT'))
  world.source.offer(2)
  await world.settle()
  world.pool.tick()
  assert.equal(client.closed, undefined)
  client.send(query('COMMIT'))
  world.answer(0, reply('C Z'))
  assert.deepEqual([client.closed, client.transport.letters()], ['session_recycled', 'CZCZNE'])
})

test('with the only link it makes room for the proof of a credential', async () => {
  const { world, client } = await pinned({ pool_size: 1 })
  world.source.offer(2)
  await world.settle()
  assert.equal(world.pool.currentGeneration, 1)
  world.pool.tick()
  assert.equal(client.closed, 'session_recycled')
  world.backend().link.close({ kind: 'closed' } as never)
  await world.settle()
  assert.equal(world.pool.currentGeneration, 2)
})

test('beyond max_pinned_connections the one that comes last is ended', async () => {
  const { world, client } = await pinned({ max_pinned_connections: 1 })
  const second = world.client()
  second.send(query('PREPARE q AS SELECT 1'))
  await world.settle()
  world.answer(1, reply('C=PREPARE Z'))
  assert.deepEqual([client.closed, second.closed, second.transport.letters()], [undefined, 'pin_refused', 'CZE'])
  assert.equal(world.pool.pinned, 1, 'what is cleaned is kept by nobody')
})
