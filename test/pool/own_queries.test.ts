// Queries of pglease's own that a server does not answer: their links are closed, and the pool has their places again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnQueries } from '../../src/pool/own_queries.ts'
import { query } from '../kit/raw-messages.ts'
import { reply, silent } from '../kit/session-world.ts'
import { release, setUp } from './double.ts'

test('a query is late when it has been awaited for the whole limit; each has its own time', () => {
  const queries = new OwnQueries<{ ownQuery: object | null }>()
  const [one, other] = [{ ownQuery: {} as object | null }, { ownQuery: {} as object | null }]
  const late = (nowMs: number, limitMs = 1_000) => queries.late([one, other], nowMs, limitMs)
  assert.deepEqual(late(0), [])
  other.ownQuery = {}
  assert.deepEqual(late(500), [])
  assert.deepEqual(late(999), [])
  assert.deepEqual(late(1_000), [one])
  one.ownQuery = null
  assert.deepEqual(late(1_400), [])
  one.ownQuery = {}
  assert.deepEqual(late(1_500), [other])
  assert.deepEqual(late(99_000, 0), [])
})

test('a reset, a check, a RESET ROLE that hangs costs the link after server_connect_timeout, and clients get another', async () => {
  for (const hang of ['reset', 'role', 'check'] as const) {
    const { clock, source, settle, pool, links, take } = setUp({
      pool_size: 1,
      server_reset_query_always: hang === 'reset',
      server_check_delay: 1_000,
      server_check_query: hang === 'check' ? 'SELECT 1' : '',
    })
    source.offer(1)
    await settle()
    const first = await take()
    assert.ok(first.link)
    first.link.roleMayDiffer = hang === 'role'
    release(pool, first)
    clock.advance(2_000)
    const second = await take()
    assert.equal(second.link, null, hang)
    assert.equal(links[0]?.ran.length, 1)
    for (let passed = 0; passed < 15_000; passed += 250) {
      pool.tick()
      assert.equal(links[0]?.closeReason, undefined)
      clock.advance(250)
    }
    pool.tick()
    assert.equal(links[0]?.closeReason, 'own_query_timeout', hang)
    await settle()
    assert.equal(second.link, links[1], hang)
  }
})

test('a link that does not take the parameters of its client is closed, and the request goes to the next one', async () => {
  const { world, client } = await silent()
  client.session.parts.parameters.set('TimeZone', 'Europe/Vienna')
  client.send(query('SELECT 1'))
  world.pool.tick()
  world.clock.advance(15_000)
  world.pool.tick()
  assert.equal(world.backend().link.closeReason, 'own_query_timeout')
  world.backend().transport.lost()
  await world.settle()
  assert.match(String(world.backend(1).transport.take()), /SET "TimeZone" TO 'Europe\/Vienna'/)
  assert.equal(client.closed, undefined)
})

test('the wait for a client that does not read its replies is not counted', async () => {
  const { world, client } = await silent({ server_reset_query_always: true, server_reset_query: 'DISCARD ALL' })
  client.send(query('SELECT 1'))
  const { link } = world.backend()
  client.transport.full = true
  world.answer(0, reply('D'))
  link.run('', () => {})
  assert.equal(link.ownQuery, null, 'the server is not read')
  client.transport.drained()
  assert.notEqual(link.ownQuery, null)
})
