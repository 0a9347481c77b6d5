// Random work on pools that share a limit: it is never exceeded, the count never drifts, and nobody waits for ever.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PgleaseError } from '../../src/errors.ts'
import { Budget } from '../../src/pool/budget.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { Client, type FakeLink, setUp } from './double.ts'

type Action = 'take' | 'release' | 'leave' | 'pass' | 'fail' | 'recover' | 'die' | 'rotate'

class World {
  readonly clock = new FakeClock()
  readonly budget: Budget
  readonly pools: ReturnType<typeof setUp>[]
  /** Clients that hold a link or wait for one, by pool. */
  readonly clients: Client[][]
  #generation = 1

  constructor(count: number, limit: number, size: number, minimum: number) {
    this.budget = new Budget(limit)
    const settings = { pool_size: size, min_pool_size: minimum, reserve_pool_size: 1, reserve_pool_timeout: 1_000, query_wait_timeout: 0 }
    this.pools = Array.from({ length: count }, () => setUp(settings, { clock: this.clock, budgets: [this.budget] }))
    this.clients = this.pools.map(() => [])
  }

  async settle(): Promise<void> {
    for (let round = 0; round < this.pools.length + 1; round++) for (const { settle } of this.pools) await settle()
    const used = this.pools.reduce((sum, { pool }) => sum + pool.size, 0)
    assert.ok(used <= this.budget.limit, `${used} links, ${this.budget.limit} allowed`)
    assert.equal(this.budget.free, this.budget.limit - used, 'the count has drifted')
  }

  offer(): void {
    for (const { source } of this.pools) source.offer(this.#generation)
    this.#generation++
  }

  /** Time passes, in steps of the tick. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) {
      this.clock.advance(250)
      for (const { pool } of this.pools) pool.tick()
      await this.settle()
    }
  }

  async act(action: Action, index: number): Promise<void> {
    const world = this.pools[index]!
    const clients = this.clients[index]!
    const holder = clients.find((client) => client.link !== null && client.link.closeReason === undefined)
    if (action === 'take') {
      const client = new Client()
      clients.push(client)
      const link = world.pool.checkout(client)
      if (link !== null) client.link = link
    } else if (action === 'release' && holder !== undefined) this.#release(index, holder)
    else if (action === 'leave') {
      const waiting = clients.findIndex(({ link }) => link === null)
      if (waiting >= 0) for (const client of clients.splice(waiting, 1)) world.pool.leave(client)
    } else if (action === 'pass') await this.pass(1_000)
    else if (action === 'fail') world.state.answer = new PgleaseError('connect_refused', 'db')
    else if (action === 'recover') world.state.answer = undefined
    else if (action === 'die' && holder !== undefined) {
      clients.splice(clients.indexOf(holder), 1)
      world.pool.discard(holder.link as FakeLink, 'client_gone_with_query')
    } else if (action === 'rotate') this.offer()
    await this.settle()
  }

  /** All that hold a link give it back, again and again: in the end nobody waits. */
  async finish(): Promise<void> {
    for (const { state } of this.pools) state.answer = undefined
    for (let round = 0; round < 60 && this.clients.some((clients) => clients.length > 0); round++) {
      for (const [index, clients] of this.clients.entries()) {
        for (const client of [...clients]) if (client.link !== null || client.refused !== undefined) this.#release(index, client)
      }
      await this.pass(1_000)
    }
    assert.deepEqual(
      this.clients.map(({ length }) => length),
      this.pools.map(() => 0),
      'someone waits for ever',
    )
  }

  #release(index: number, client: Client): void {
    const clients = this.clients[index]!
    clients.splice(clients.indexOf(client), 1)
    if (client.link !== null) this.pools[index]!.pool.release(client.link)
  }
}

const actions: Action[] = ['take', 'take', 'take', 'release', 'release', 'leave', 'pass', 'fail', 'recover', 'die', 'rotate']

test('pools that share a limit keep it, and everyone is served', async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...actions), fc.nat(2)), { maxLength: 40 })
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), fc.nat(3), steps, async (...given) => {
    const [limit, size, minimum, list] = given
    const world = new World(3, limit, size, minimum)
    world.offer()
    await world.pass(1_000)
    for (const [action, index] of list) await world.act(action, index)
    await world.finish()
  })
  await fc.assert(property, { numRuns: 100 })
})
