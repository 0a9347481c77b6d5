// With several hosts a link counts in the limit of the host that it leads to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PgleaseError } from '../../src/errors.ts'
import { Budget } from '../../src/pool/budget.ts'
import { Places } from '../../src/pool/places.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { Client, setUp } from './double.ts'
import { FakeClient, world } from './replication_double.ts'

type World = ReturnType<typeof setUp>

const HOSTS = ['a:5432', 'b:5432'] as const

/** Databases before the same two hosts, whose limits they share; `leads` says for each to which host its next link leads. */
function databases(count: number, limit: number, settings: Parameters<typeof setUp>[0] = {}) {
  const clock = new FakeClock()
  const byHost = new Map(HOSTS.map((host) => [host as string, new Budget(limit)]))
  const leads: string[] = Array.from({ length: count }, () => HOSTS[0])
  const worlds = leads.map((_, index) => {
    const server = () => leads[index] as string
    return setUp(
      { pool_size: 4, query_wait_timeout: 0, server_idle_timeout: 0, ...settings },
      { clock, places: new Places([], byHost), server },
    )
  })
  const used = (host: string) => limit - (byHost.get(host)?.free ?? 0)
  const settle = async () => {
    for (let round = 0; round < count + 1; round++) for (const { settle: one } of worlds) await one()
  }
  /** Lets time pass, in steps of the tick. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250)
      for (const { pool } of worlds) pool.tick()
      await settle()
    }
  }
  const take = async (index: number): Promise<Client> => {
    const client = new Client()
    client.link = (worlds[index] as World).pool.checkout(client)
    await pass(500)
    return client
  }
  return { clock, byHost, leads, worlds: worlds as [World, World], used, settle, pass, take }
}

/** The first database uses the first host, the other the second; both have their credential. */
async function apart(limit: number) {
  const made = databases(2, limit)
  made.leads[1] = HOSTS[1]
  for (const { source } of made.worlds) source.offer(1)
  await made.pass(500)
  return made
}

test('each host has room for as many links as the limit says, whoever uses it', async () => {
  const { take, used } = await apart(3)
  const clients = [await take(0), await take(1), await take(0), await take(1), await take(0)]
  assert.ok(clients.every(({ link }) => link !== null))
  assert.deepEqual(HOSTS.map(used), [3, 2])
  assert.equal((await take(1)).link, null, 'a login might lead to the first, which is full')
})

test('a link that leads to another host is not closed for the sake of a place at this one', async () => {
  const { worlds, take, pass, leads, used } = await apart(2)
  const [one, other] = worlds
  const first = await take(0)
  leads[0] = HOSTS[1]
  const second = await take(0)
  assert.deepEqual([first.link?.facts.server, second.link?.facts.server], HOSTS)
  // a login of the other database needs a place at both: only the second host has none
  const busy = await take(1)
  one.pool.release(first.link as NonNullable<typeof first.link>)
  const waiting = await take(1)
  assert.deepEqual([waiting.link, first.link?.closeReason], [null, undefined])
  one.pool.release(second.link as NonNullable<typeof second.link>)
  await pass(500)
  assert.notEqual(waiting.link, null)
  assert.deepEqual([first.link?.closeReason, second.link?.closeReason], [undefined, 'evicted'])
  assert.deepEqual([used(HOSTS[0]), other.pool.size], [1, 2])
  assert.notEqual(busy.link, null)
})

test('a rotation closes none of its own links at one host for a place at another', async () => {
  const { worlds, take, pass } = await apart(2)
  const [one, other] = worlds
  const clients = [await take(1), await take(1)]
  assert.ok(clients.every(({ link }) => link !== null))
  one.source.offer(2)
  await pass(3_000)
  assert.deepEqual([one.source.proven, one.links[0]?.closeReason], [[1], undefined], 'no place at the second host')
  other.pool.release(clients[0]?.link as NonNullable<Client['link']>)
  await pass(2_000)
  assert.deepEqual(one.source.proven, [1, 2])
  assert.equal(one.links[0]?.closeReason, 'rotated')
  assert.deepEqual(one.source.drained, [1])
})

test('a replication connection counts at its host only', async () => {
  const [here, there] = [new Budget(3), new Budget(3)]
  const byHost = new Map([
    ['db:5432', here],
    ['other:5432', there],
  ])
  const { source, settle, ask, pass } = await world(0, 2, here, new FakeClock(), new Places([], byHost))
  source.offer(1)
  await settle()
  await pass(250)
  const [first] = [await ask(), await ask(new FakeClient('logical'))]
  assert.deepEqual([here.free, there.free], [0, 3])
  first.peer?.shut('client_terminated')
  first.peer?.gone()
  assert.deepEqual([here.free, there.free], [1, 3])
})

type Action = 'take' | 'release' | 'die' | 'rotate' | 'move' | 'fail' | 'recover'

test('whatever happens, the count of each host is that of its links, within its limit, and everyone is served', async () => {
  const actions: Action[] = ['take', 'take', 'take', 'release', 'release', 'die', 'rotate', 'move', 'fail', 'recover']
  const steps = fc.array(fc.tuple(fc.constantFrom(...actions), fc.nat(2)), { maxLength: 40 })
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (limit, list) => {
    const { worlds, leads, used, pass } = databases(3, limit)
    const clients: Client[][] = worlds.map(() => [])
    let generation = 1
    const check = () => {
      for (const host of HOSTS) {
        const there = worlds.flatMap(({ pool }) => pool.lists.all()).filter(({ facts }) => facts.server === host).length
        const dialing = worlds.reduce((sum, { pool }) => sum + pool.dialing, 0)
        assert.equal(used(host), there + dialing, 'the count has drifted')
        assert.ok(used(host) <= limit)
      }
    }
    const release = (index: number) => {
      const mine = clients[index] as Client[]
      const at = mine.findIndex(({ link }) => link !== null)
      const [client] = at < 0 ? [] : mine.splice(at, 1)
      if (client?.link) (worlds[index] as World).pool.release(client.link)
    }
    for (const { source } of worlds) source.offer(generation)
    await pass(1_000)
    for (const [action, index] of list) {
      const { pool, source, state } = worlds[index] as World
      const mine = clients[index] as Client[]
      if (action === 'take') {
        const client = new Client()
        mine.push(client)
        client.link = pool.checkout(client)
      } else if (action === 'release') release(index)
      else if (action === 'die') {
        const at = mine.findIndex(({ link }) => link !== null)
        const [client] = at < 0 ? [] : mine.splice(at, 1)
        if (client?.link) pool.discard(client.link, 'client_gone_with_query')
      } else if (action === 'rotate') source.offer(++generation)
      else if (action === 'move') leads[index] = HOSTS.find((host) => host !== leads[index]) as string
      else state.answer = action === 'fail' ? new PgleaseError('connect_refused', 'db') : undefined
      await pass(250)
      check()
    }
    for (const { state } of worlds) state.answer = undefined
    for (let round = 0; round < 60 && clients.some(({ length }) => length > 0); round++) {
      for (const index of worlds.keys()) release(index)
      await pass(1_000)
      check()
    }
    assert.deepEqual(
      clients.map(({ length }) => length),
      [0, 0, 0],
      'someone waits for ever',
    )
  })
  await fc.assert(property, { numRuns: 60 })
})
