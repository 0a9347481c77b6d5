// Links whose credential is past its end or gone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, type FakeLink, release, setUp } from './double.ts'

test('a role that is gone bars its generation: idle links close now, busy ones as they settle', async () => {
  const { pool, source, take, settle } = setUp()
  source.offer(1)
  const [busy, idle] = [await take(), await take()]
  release(pool, idle)
  pool.roleGone(busy.link as FakeLink)
  assert.equal(idle.link?.closeReason, 'role_gone')
  assert.deepEqual(source.failures, ['1 42704'])
  const waiting = await take()
  assert.equal(waiting.link, null)
  source.offer(2)
  await settle()
  assert.equal((waiting as Client).link?.generation, 2)
  release(pool, busy)
  assert.equal(busy.link?.closeReason, 'role_gone')
})

test('links of an overdue generation are kept, whatever their age, and no login is tried with it', async () => {
  const { pool, source, take, settle, clock, links } = setUp()
  source.offer(1)
  const client = await take()
  release(pool, client)
  source.consumer?.overdue(1)
  assert.equal(client.link?.overdue, true)
  clock.advance(7_200_000)
  pool.tick()
  await settle()
  assert.equal(client.link?.closeReason, undefined)
  const [first, second] = [new Client(), new Client()]
  first.link = pool.checkout(first)
  second.link = pool.checkout(second)
  await settle()
  assert.equal(links.length, 1)
  assert.equal(second.link, null)
})

test('a transaction that outlives its lease is counted', async () => {
  const { source, take, settle, state } = setUp()
  source.offer(1)
  await take()
  source.offer(2)
  await settle()
  source.consumer?.gone(1)
  assert.equal(state.overruns, 1)
})
