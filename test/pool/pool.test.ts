// The pool with links and a source that a script drives: limits, order, rotation, checks, cancels.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { alive, type Client, type FakeLink, refusalOf, release, setUp } from './double.ts'

test('a pool proves its credential at the offer and hands out the link of that login', async () => {
  const { source, take, settle, links } = setUp()
  source.offer(1)
  await settle()
  assert.deepEqual(source.proven, [1])
  const client = await take()
  assert.equal(client.link, links[0])
  assert.equal(links.length, 1)
})

test('clients beyond the limit wait in order and get links as they are released', async () => {
  const { pool, source, take, settle, state } = setUp({ pool_size: 2 })
  source.offer(1)
  await settle()
  const [first, second, third, fourth] = [await take(), await take(), await take(), await take()]
  assert.ok(first.link && second.link)
  assert.equal(third.link, null)
  release(pool, second)
  assert.equal(third.link, second.link)
  assert.equal(fourth.link, null)
  release(pool, first)
  assert.equal(fourth.link, first.link)
  assert.equal(state.most, 2)
})

test('a wait ends with query_wait_timeout and the last cause', async () => {
  const { pool, source, take, clock, state, settle } = setUp()
  state.answer = new PgleaseError('connect_refused', 'db:5432')
  source.offer(1)
  await settle()
  const client = await take()
  clock.advance(119_000)
  pool.tick()
  assert.equal(client.refused, undefined)
  clock.advance(1_500)
  pool.tick()
  assert.equal(refusalOf(client)?.code, 'query_wait_timeout')
  assert.match(refusalOf(client)?.detail ?? '', /db:5432/)
})

test('a rotation replaces idle links, drains the old generation and never exceeds the limit', async () => {
  const { pool, source, take, settle, links, state } = setUp()
  source.offer(1)
  const clients = [await take(), await take(), await take()]
  for (const client of clients) release(pool, client)
  assert.deepEqual(alive(links), [1, 1, 1])
  source.offer(2)
  await settle()
  assert.deepEqual(source.proven, [1, 2])
  assert.deepEqual(source.drained, [1])
  assert.deepEqual(alive(links), [2, 2, 2])
  assert.equal(state.most, 3)
})

test('a busy link keeps its credential until it is released; its successor is not given out twice', async () => {
  const { pool, source, take, settle, links } = setUp()
  source.offer(1)
  const busy = await take()
  source.offer(2)
  await settle()
  assert.deepEqual(source.drained, [])
  const fresh = await take()
  assert.equal(fresh.link?.generation, 2)
  assert.equal(busy.link?.closeReason, undefined)
  release(pool, busy)
  await settle()
  assert.equal(busy.link?.closeReason, 'rotated')
  assert.deepEqual(source.drained, [1])
  assert.deepEqual(alive(links), [2])
})

test('a full and busy pool makes room for the proof at the first release', async () => {
  const { pool, source, take, settle, links, state } = setUp({ pool_size: 2 })
  source.offer(1)
  const [first, second] = [await take(), await take()]
  source.offer(2)
  await settle()
  assert.deepEqual(source.proven, [1])
  release(pool, first)
  await settle()
  assert.deepEqual(source.proven, [1, 2])
  release(pool, second)
  await settle()
  assert.deepEqual(source.drained, [1])
  assert.ok(alive(links).every((generation) => generation === 2))
  assert.equal(state.most, 2)
})

test('a link that was idle for long is checked before it is used', async () => {
  const { pool, source, take, settle, clock, links } = setUp()
  source.offer(1)
  const client = await take()
  release(pool, client)
  clock.advance(31_000)
  const next = await take()
  assert.deepEqual(links[0]?.ran, [''])
  if (next.link === null) {
    links[0]?.finish?.(undefined)
    await settle()
  }
  assert.ok((next as Client).link)
})

test('a link that was idle for longer than server_check_delay counts as used', async () => {
  const { pool, source, take, clock } = setUp()
  source.offer(1)
  release(pool, await take())
  clock.advance(29_000)
  assert.deepEqual([pool.lists.count('idle'), pool.used], [1, 0])
  clock.advance(2_000)
  assert.deepEqual([pool.lists.count('idle'), pool.used], [1, 1])
})

test('a link with a cancel in flight is not released before the cancel is over', async () => {
  const { pool, source, take } = setUp({ pool_size: 1 })
  source.offer(1)
  const client = await take()
  const link = client.link as FakeLink
  pool.beginCancel(link)
  pool.release(link)
  assert.equal(pool.lists.state(link), 'being_canceled')
  const waiting = await take()
  assert.equal(waiting.link, null)
  pool.endCancel(link, true)
  assert.equal((waiting as Client).link, link)
})

test('an unfinished cancel ends its link', async () => {
  const { pool, source, take } = setUp({ pool_size: 1 })
  source.offer(1)
  const client = await take()
  pool.beginCancel(client.link as FakeLink)
  pool.endCancel(client.link as FakeLink, false)
  assert.equal(client.link?.closeReason, 'cancel_unfinished')
})

test('a SET before the release is answered with RESET ROLE before the next client', async () => {
  const { pool, source, take } = setUp({ pool_size: 1 })
  source.offer(1)
  const client = await take()
  const link = client.link as FakeLink
  link.roleMayDiffer = true
  const waiting = await take()
  pool.release(link)
  assert.deepEqual(link.ran, ['RESET ROLE'])
  assert.equal(waiting.link, null)
  link.finish?.(undefined)
  assert.equal((waiting as Client).link, link)
})

test('idle and old links are closed by their timeouts', async () => {
  const { pool, source, take, clock } = setUp({ server_idle_timeout: 10_000, server_lifetime: 60_000 })
  source.offer(1)
  const [first, second] = [await take(), await take()]
  release(pool, first)
  clock.advance(10_000)
  pool.tick()
  assert.equal(first.link?.closeReason, 'server_idle_timeout')
  clock.advance(50_000)
  release(pool, second)
  assert.equal(second.link?.closeReason, 'server_lifetime')
})
