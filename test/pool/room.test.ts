// How many links a pool has: its minimum, its reserve, and what it shares with other pools.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../../src/pool/budget.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { alive, type FakeLink, release, setUp } from './double.ts'

type World = ReturnType<typeof setUp>

async function ready(world: World): Promise<World> {
  world.source.offer(1)
  await world.settle()
  return world
}

/** Two pools of up to `size` links that share `limit`. */
async function pair(limit: number, size: number): Promise<[World, World, FakeClock, () => Promise<void>]> {
  const clock = new FakeClock()
  const budgets = [new Budget(limit)]
  const [one, other] = [setUp({ pool_size: size }, { clock, budgets }), setUp({ pool_size: size }, { clock, budgets })]
  const settle = async () => {
    for (let round = 0; round < 3; round++) {
      await one.settle()
      await other.settle()
    }
  }
  return [await ready(one), await ready(other), clock, settle]
}

const reasons = (links: FakeLink[]) => links.map(({ closeReason }) => closeReason)

test('min_pool_size is opened without a client, several at a time, kept past server_idle_timeout, and refilled', async () => {
  const { pool, links, clock, settle } = await ready(setUp({ pool_size: 5, min_pool_size: 3, server_idle_timeout: 1_000 }))
  assert.equal(pool.size, 3)
  clock.advance(2_000)
  pool.tick()
  await settle()
  assert.deepEqual(reasons(links), [undefined, undefined, undefined])
  pool.shut(links[0] as FakeLink, 'server_lifetime')
  await settle()
  assert.deepEqual([pool.size, links.length], [3, 4])
})

test('min_pool_size is no more than the pool may have', async () => {
  const { pool } = await ready(setUp({ pool_size: 2, min_pool_size: 9 }))
  assert.equal(pool.size, 2)
})

test('links beyond min_pool_size are closed when idle', async () => {
  const world = await ready(setUp({ pool_size: 3, min_pool_size: 1, server_idle_timeout: 1_000 }))
  const clients = [await world.take(), await world.take(), await world.take()]
  for (const client of clients) release(world.pool, client)
  world.clock.advance(1_500)
  world.pool.tick()
  await world.settle()
  assert.equal(world.pool.size, 1)
})

test('the reserve is used when a client has waited for reserve_pool_timeout, not before, and not beyond its size', async () => {
  const { pool, take, settle, clock, state } = await ready(setUp({ pool_size: 1, reserve_pool_size: 1, reserve_pool_timeout: 5_000 }))
  const [first, second, third] = [await take(), await take(), await take()]
  clock.advance(4_900)
  pool.tick()
  await settle()
  assert.deepEqual([first.link === null, second.link, third.link], [false, null, null])
  clock.advance(200)
  pool.tick()
  await settle()
  assert.notEqual(second.link, null)
  assert.equal(third.link, null)
  clock.advance(10_000)
  pool.tick()
  await settle()
  assert.equal(state.most, 2)
  release(pool, first)
  assert.notEqual(third.link, null)
})

test('a reserve_pool_timeout of 0 never uses the reserve', async () => {
  const { pool, take, settle, clock } = await ready(setUp({ pool_size: 1, reserve_pool_size: 1 }))
  await take()
  await take()
  clock.advance(60_000)
  pool.tick()
  await settle()
  assert.equal(pool.size, 1)
})

test('new links are opened side by side, one for each client that waits', async () => {
  const { pool, source } = await ready(setUp({ pool_size: 10 }))
  assert.equal(pool.lists.count('idle'), 1)
  const { Client } = await import('./double.ts')
  for (let count = 0; count < 4; count++) pool.checkout(new Client())
  assert.equal(pool.dialing, 3, 'one client has the idle link')
  assert.deepEqual(source.proven, [1])
})

test('server_round_robin uses the links in turn, otherwise the last one again', async () => {
  for (const [server_round_robin, wanted] of [
    [true, [1, 2, 3, 1, 2, 3]],
    [false, [3, 3, 3, 3, 3, 3]],
  ] as const) {
    const world = await ready(setUp({ pool_size: 3, server_round_robin }))
    const clients = [await world.take(), await world.take(), await world.take()]
    clients.sort((one, other) => (one.link?.facts.id ?? 0) - (other.link?.facts.id ?? 0))
    for (const client of clients) release(world.pool, client)
    const used: number[] = []
    for (let count = 0; count < 6; count++) {
      const client = await world.take()
      used.push(client.link?.facts.id ?? 0)
      release(world.pool, client)
    }
    assert.deepEqual(used, wanted)
  }
})

test('a pool that needs a link gets the place of the one that another pool left unused the longest', async () => {
  const [one, other, clock, settle] = await pair(3, 3)
  const clients = [await one.take(), await one.take()]
  clock.advance(10)
  release(one.pool, clients[0]!)
  clock.advance(10)
  release(one.pool, clients[1]!)
  const oldest = clients[0]?.link
  const [first, second] = [await other.take(), await other.take()]
  await settle()
  assert.notEqual(first.link, null)
  assert.notEqual(second.link, null)
  assert.equal(oldest?.closeReason, 'evicted')
  assert.deepEqual([one.pool.size, other.pool.size], [1, 2])
  assert.equal(reasons(one.links).filter((reason) => reason === 'evicted').length, 1, 'no more than was needed')
})

test('a link that becomes idle while another pool waits goes at once', async () => {
  const [one, other, , settle] = await pair(2, 2)
  const busy = [await one.take(), await other.take()]
  const waiting = await other.take()
  await settle()
  assert.equal(waiting.link, null)
  release(one.pool, busy[0]!)
  await settle()
  assert.notEqual(waiting.link, null)
  assert.deepEqual([one.pool.size, other.pool.size], [0, 2])
})

test('a pool without a link gets one from a pool whose clients never let a link rest', async () => {
  const [one, other, , settle] = await pair(2, 2)
  const running = [await one.take(), await one.take()]
  await settle()
  assert.deepEqual([one.pool.size, other.pool.size], [2, 0], 'the idle link of the other gave its place')
  const queue = [await one.take(), await one.take()]
  const starving = await other.take()
  await settle()
  release(one.pool, running[0]!)
  await settle()
  assert.notEqual(starving.link, null)
  release(one.pool, running[1]!)
  await settle()
  assert.notEqual(queue[0]?.link, null)
  assert.deepEqual([one.pool.size, other.pool.size], [1, 1])
})

test('a pool at its own size takes nothing from others', async () => {
  const [one, other, , settle] = await pair(2, 1)
  await other.take()
  await other.take()
  await settle()
  assert.deepEqual([alive(one.links).length, alive(other.links).length], [1, 1])
})

test('more pools than a shared limit allows links: each proves its credential', async () => {
  const budgets = [new Budget(1)]
  const clock = new FakeClock()
  const worlds = Array.from({ length: 4 }, () => setUp({}, { clock, budgets }))
  for (const { source } of worlds) source.offer(1)
  for (let round = 0; round < 6; round++) for (const { settle } of worlds) await settle()
  assert.deepEqual(
    worlds.map(({ source }) => source.proven),
    [[1], [1], [1], [1]],
  )
  assert.equal(
    worlds.reduce((sum, { pool }) => sum + pool.size, 0),
    1,
  )
})

test('a failed login gives its place back', async () => {
  const [one, other, , settle] = await pair(2, 2)
  const { PgleaseError } = await import('../../src/errors.ts')
  other.state.answer = new PgleaseError('connect_refused', 'db')
  await other.take()
  await other.take()
  await settle()
  other.state.answer = undefined
  const clients = [await one.take()]
  await settle()
  assert.notEqual(clients[0]?.link, null)
  assert.ok(one.pool.size + other.pool.size <= 2)
})

test('a credential is replaced at a shared limit too', async () => {
  const [one, other, , settle] = await pair(2, 2)
  for (const world of [one, other]) world.source.offer(2)
  for (let round = 0; round < 10; round++) {
    await settle()
    for (const { pool } of [one, other]) pool.tick()
  }
  assert.deepEqual(
    [one.source.proven, other.source.proven],
    [
      [1, 2],
      [1, 2],
    ],
  )
  assert.deepEqual([one.source.drained, other.source.drained], [[1], [1]])
})
