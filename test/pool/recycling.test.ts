// Rotation in session mode: which sessions end when, and that a full pool can still prove a new credential.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LinkFit } from '../../src/pool/pool_link.ts'
import { alive, type FakeLink, release, setUp } from './double.ts'

/** Sessions that hold links of generation 1; a session that ends gives its link back, as a client's does. */
async function sessions(count: number, poolSize = 2 * count, server_fast_close = false, fit?: () => LinkFit) {
  const settings = { pool_mode: 'session', pool_size: poolSize, server_idle_timeout: 0, server_fast_close } as const
  const world = setUp(settings, fit === undefined ? {} : { fit })
  const { pool, source, settle, take } = world
  source.offer(1)
  await settle()
  const busy = new Set<FakeLink>()
  const ended: number[] = []
  const held: FakeLink[] = []
  for (let made = 0; made < count; made++) {
    const { link } = await take()
    assert.ok(link)
    held.push(link)
    link.rests = () => {
      if (busy.has(link)) return false
      link.rests = undefined
      ended.push(world.clock.monotonicMs())
      pool.release(link)
      return true
    }
  }
  /** Ticks four times a second. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      world.clock.advance(250)
      if (Number.isFinite(source.left)) source.left -= 250
      pool.tick()
      await settle()
    }
  }
  return { ...world, busy, ended, held, pass }
}

test('sessions end one after another, spread over what is left of the lease', async () => {
  const { source, settle, ended, held, pass, clock, pool } = await sessions(10)
  source.left = 100_000
  const began = clock.monotonicMs()
  source.offer(2)
  await settle()
  assert.deepEqual([ended.length, held[0]?.closeReason], [1, 'rotated'], 'the first at once')
  await pass(45_000)
  assert.ok(ended.length >= 5 && ended.length <= 6, `${ended.length} after half of the time`)
  await pass(45_000)
  assert.equal(ended.length, 10)
  const gaps = ended.slice(1).map((at, index) => at - (ended[index] as number))
  assert.ok(Math.min(...gaps) >= 8_000 && Math.max(...gaps) <= 10_000, `gaps ${gaps}`)
  assert.ok((ended.at(-1) as number) - began <= 90_000, 'before the margin')
  assert.equal(pool.draining, 0)
  assert.deepEqual(source.drained, [1])
})

test('with server_fast_close all sessions at rest end at once, and a busy one when it rests', async () => {
  const { source, settle, busy, held, pool } = await sessions(5, 10, true)
  const first = held[0] as FakeLink
  busy.add(first)
  source.left = 100_000
  source.offer(2)
  await settle()
  assert.deepEqual(
    held.map(({ closeReason }) => closeReason),
    [undefined, 'rotated', 'rotated', 'rotated', 'rotated'],
  )
  assert.equal(pool.mustRecycle(first), true)
})

test('a busy session is not ended; the others are, and it when it rests', async () => {
  const { source, settle, busy, held, pass, pool, clock } = await sessions(3)
  const [first, second, third] = held as [FakeLink, FakeLink, FakeLink]
  busy.add(first)
  source.left = 30_000
  source.offer(2)
  await settle()
  assert.deepEqual([first.closeReason, second.closeReason, third.closeReason], [undefined, 'rotated', undefined])
  assert.equal(pool.mustRecycle(first), false, 'its turn comes later')
  await pass(20_000)
  assert.deepEqual([first.closeReason, third.closeReason], [undefined, 'rotated'])
  clock.advance(15_000)
  assert.equal(pool.mustRecycle(first), true, 'its turn has come')
  busy.clear()
  await pass(250)
  assert.equal(first.closeReason, 'rotated')
})

test('shortly before the end of the lease the rest ends, and what runs on is counted', async () => {
  const { source, settle, busy, held, pass, ended, state, pool } = await sessions(4)
  for (const link of held) busy.add(link)
  source.left = 20_000
  source.offer(2)
  await settle()
  await pass(17_750)
  assert.equal(ended.length, 0)
  for (const link of held.slice(1)) busy.delete(link)
  await pass(500)
  assert.equal(ended.length, 3)
  source.consumer?.gone(1)
  assert.equal(state.overruns, 1)
  assert.equal(pool.mustRecycle(held[0] as FakeLink), true)
})

test('one session makes room when all links are held and a new credential is to be proven', async () => {
  const { source, settle, held, ended, busy, pool, take, links, state, pass } = await sessions(2, 2)
  for (const link of held) busy.add(link)
  source.left = 100_000
  source.offer(2)
  await settle()
  assert.deepEqual(source.proven, [1])
  assert.equal(pool.mustRecycle(held[0] as FakeLink), true)
  await pass(1_000)
  assert.deepEqual(source.proven, [1])
  busy.clear()
  await pass(250)
  assert.deepEqual([source.proven, ended.length], [[1, 2], 2], 'the second is the first turn of the rotation')
  const back = await take()
  assert.equal(back.link?.generation, 2)
  assert.ok(state.most <= 2)
  await settle()
  assert.deepEqual(new Set(alive(links)), new Set([2]))
})

test('no new session gets a link of a replaced credential', async () => {
  const { source, settle, pool, links, take } = setUp({ pool_mode: 'session', pool_size: 4 })
  source.offer(1)
  const clients = [await take(), await take(), await take()]
  for (const client of clients.slice(1)) {
    release(pool, client)
    client.link?.finish?.(undefined)
  }
  assert.equal(pool.lists.count('idle'), 2)
  source.left = 1_000_000
  source.offer(2)
  await settle()
  assert.deepEqual(
    pool.lists.idle().filter(({ generation }) => generation === 1),
    [],
  )
  release(pool, clients[0] as (typeof clients)[0])
  assert.equal(links[0]?.closeReason, 'rotated')
  assert.deepEqual(links[0]?.ran, [], 'nobody has it after this: it is not reset')
})

test('a role that is gone ends its sessions as they rest, without a successor too', async () => {
  const { source, settle, held, busy, pool } = await sessions(2)
  busy.add(held[0] as FakeLink)
  source.consumer?.gone(1)
  await settle()
  assert.deepEqual([held[0]?.closeReason, held[1]?.closeReason], [undefined, 'role_gone'])
  assert.equal(pool.mustRecycle(held[0] as FakeLink), true)
})

test('sessions whose server was promoted end as they rest, those that heard nothing too; none for what its client has set', async () => {
  const fits: LinkFit[] = []
  const fit = (): LinkFit => {
    const made = { host: fits.length === 3 ? 'b' : 'a', unfit: false, serverUnfit: false, doubted: false, question: '' }
    fits.push(made)
    return made
  }
  const { pool, links, held, busy, ended, pass } = await sessions(4, 4, false, fit)
  const [first, second, , fourth] = held as [FakeLink, FakeLink, FakeLink, FakeLink]
  Object.assign(fits[3] as LinkFit, { unfit: true })
  await pass(1_000)
  assert.deepEqual([ended.length, pool.mustRecycle(fourth)], [0, false])
  Object.assign(fits[0] as LinkFit, { unfit: true, serverUnfit: true })
  assert.deepEqual([pool.mustRecycle(second), pool.mustRecycle(first)], [false, true])
  assert.deepEqual([pool.mustRecycle(second), pool.mustRecycle(fourth)], [true, false], 'the same server')
  busy.add(second)
  await pass(250)
  assert.deepEqual([ended.length, pool.mustRecycle(second)], [2, true])
  busy.delete(second)
  await pass(250)
  assert.equal(ended.length, 3)
  assert.deepEqual(
    links.map(({ closeReason }) => closeReason),
    ['host_unfit', 'host_unfit', 'host_unfit', undefined],
  )
})
