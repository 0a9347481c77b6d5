// A new credential is proven although other databases hold every place that a shared limit leaves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { Budget } from '../../src/pool/budget.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { Client, type FakeLink, release, setUp } from './double.ts'
import { FakeClient, world } from './replication_double.ts'

type Pooled = ReturnType<typeof setUp>

/** A pool whose credential is proven, and whose only link is idle, beside others under one limit. */
async function pooled(budget: Budget, clock: FakeClock, settings: Parameters<typeof setUp>[0] = {}): Promise<Pooled> {
  const made = setUp({ pool_size: 5, query_wait_timeout: 0, server_idle_timeout: 0, ...settings }, { clock, budgets: [budget] })
  made.source.offer(1)
  await made.settle()
  return made
}

/** Lets time pass, in steps of the tick. */
async function passAll(clock: FakeClock, ms: number, worlds: readonly { pool: Pooled['pool']; settle: () => Promise<void> }[]) {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250)
    for (const { pool } of worlds) pool.tick()
    for (let round = 0; round < 2; round++) for (const { settle } of worlds) await settle()
  }
}

/** Two databases, the second of which has taken all three places for replication. */
async function replicated() {
  const clock = new FakeClock()
  const budget = new Budget(3)
  const rotating = await pooled(budget, clock)
  const streaming = await world(3, 2, budget, clock)
  streaming.source.offer(1)
  await streaming.settle()
  const clients = [new FakeClient(), new FakeClient(), new FakeClient()]
  for (const client of clients) streaming.replications.request(client)
  const both = [rotating, streaming]
  const ended = () => clients.filter(({ peer }) => peer?.closeReason !== undefined)
  const goOn = async () => {
    for (const { peer } of ended()) if (peer?.listed === 'closing') peer.gone()
    await passAll(clock, 250, both)
  }
  await passAll(clock, 1_000, both)
  assert.equal(clients.filter(({ peer }) => peer !== undefined).length, 3, 'unused links made room')
  return { clock, rotating, streaming, clients, ended, pass: (ms: number) => passAll(clock, ms, both), goOn }
}

test('replication connections of another database: one ends, and no more', async () => {
  const { rotating, ended, pass, goOn } = await replicated()
  rotating.source.offer(2)
  await pass(2_000)
  assert.equal(ended().length, 1)
  await goOn()
  assert.deepEqual(rotating.source.proven, [1, 2])
  await pass(5_000)
  assert.equal(ended().length, 1)
})

test('the freed place is not for others who wait, however long they did', async () => {
  const { rotating, streaming, ended, pass, goOn } = await replicated()
  const late = new FakeClient()
  streaming.replications.request(late)
  await pass(500)
  rotating.source.offer(2)
  await pass(500)
  assert.equal(ended().length, 1)
  await goOn()
  assert.deepEqual(rotating.source.proven, [1, 2])
})

test('a credential that was refused ends no further connection, one whose server did not answer does', async () => {
  for (const [code, wanted] of [
    ['database_missing', 1],
    ['connect_timeout', 2],
  ] as const) {
    const { rotating, streaming, ended, pass, goOn } = await replicated()
    rotating.state.answer = new PgleaseError(code, 'db')
    rotating.source.offer(2)
    await pass(500)
    await goOn()
    streaming.replications.request(new FakeClient())
    await pass(30_000)
    await goOn()
    assert.equal(ended().length, wanted, code)
  }
})

/** Two databases of session mode, the second of which has taken both places. */
async function sessions() {
  const clock = new FakeClock()
  const budget = new Budget(2)
  const rotating = await pooled(budget, clock, { pool_mode: 'session' })
  const other = await pooled(budget, clock, { pool_mode: 'session' })
  const links: FakeLink[] = []
  for (let count = 0; count < 2; count++) {
    const client = new Client()
    client.link = other.pool.checkout(client)
    await passAll(clock, 500, [rotating, other])
    assert.ok(client.link)
    links.push(client.link)
  }
  rotating.source.offer(2)
  return { rotating, other, links: links as [FakeLink, FakeLink], pass: (ms: number) => passAll(clock, ms, [rotating, other]) }
}

test('sessions of another database in session mode: one at rest ends', async () => {
  const { rotating, other, links, pass } = await sessions()
  links[1].rests = () => {
    other.pool.discard(links[1], 'session_recycled')
    return true
  }
  await pass(750)
  assert.deepEqual([links[0].closeReason, rotating.source.proven], [undefined, [1, 2]])
})

test('sessions of another database that are busy at every look: one ends as it comes to rest', async () => {
  const { rotating, other, links, pass } = await sessions()
  await pass(500)
  assert.deepEqual(
    links.map((link) => other.pool.mustRecycle(link)),
    [true, true],
  )
  other.pool.discard(links[0], 'session_recycled')
  assert.equal(other.pool.mustRecycle(links[1]), false, 'one is enough')
  await pass(250)
  assert.deepEqual(rotating.source.proven, [1, 2])
})

test('a database with one link that clients wait for gives it up for the proof', async () => {
  const clock = new FakeClock()
  const budget = new Budget(1)
  const rotating = await pooled(budget, clock)
  const busy = await pooled(budget, clock)
  const both = [rotating, busy]
  const running = [new Client(), new Client()]
  for (const client of running) client.link = busy.pool.checkout(client)
  await passAll(clock, 250, both)
  assert.notEqual(running[0]?.link, null)
  rotating.source.offer(2)
  await passAll(clock, 250, both)
  release(busy.pool, running[0]!)
  await passAll(clock, 500, both)
  assert.deepEqual(rotating.source.proven, [1, 2])
  assert.notEqual(running[1]?.link, null, 'which gets a place again at once')
})

/** A limit of two: one place is a busy link of the database that rotates, the other a replication connection of another database. */
async function besideStream(settings?: Parameters<typeof pooled>[2]) {
  const clock = new FakeClock()
  const budget = new Budget(2)
  const rotating = await pooled(budget, clock, settings)
  const streaming = await world(2, 2, budget, clock)
  const own = await rotating.take()
  streaming.source.offer(1)
  await streaming.settle()
  const client = new FakeClient()
  streaming.replications.request(client)
  const both = [rotating, streaming]
  await passAll(clock, 500, both)
  assert.ok(own.link && client.peer)
  return { clock, rotating, own, peer: client.peer, both }
}

test("links of the pool's own are waited for before others end, but not for ever", async () => {
  const { clock, rotating, peer, both } = await besideStream()
  rotating.source.offer(2)
  await passAll(clock, 750, both)
  assert.equal(peer.closeReason, undefined)
  await passAll(clock, 750, both)
  assert.equal(peer.closeReason, 'rotated')
  peer.gone()
  await passAll(clock, 250, both)
  assert.deepEqual(rotating.source.proven, [1, 2])
})

test('nobody else ends for a pool that its own size keeps from a proof', async () => {
  const { clock, rotating, own, peer, both } = await besideStream({ pool_size: 1 })
  rotating.source.offer(2)
  await passAll(clock, 5_000, both)
  assert.equal(peer.closeReason, undefined)
  release(rotating.pool, own)
  await passAll(clock, 500, both)
  assert.deepEqual(rotating.source.proven, [1, 2])
})
