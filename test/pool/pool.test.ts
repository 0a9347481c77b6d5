// The pool with links and a source that a script drives: limits, order, rotation, failures.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credential, CredentialConsumer, CredentialSource } from '../../src/credential.ts'
import { type CloseReason, PgleaseError } from '../../src/errors.ts'
import { Pool, type PoolSettings } from '../../src/pool/pool.ts'
import type { PoolLink } from '../../src/pool/pool_link.ts'
import type { Waiter } from '../../src/pool/waiters.ts'
import { Secret } from '../../src/secret.ts'
import { FakeClock } from '../kit/fake-clock.ts'

class FakeLink implements PoolLink {
  overdue = false
  idleSinceMs = 0
  roleMayDiffer = false
  closeReason: CloseReason | undefined
  readonly ran: string[] = []
  finish: ((error: { sqlstate: string; message: string } | undefined) => void) | undefined
  readonly generation: number
  readonly facts: PoolLink['facts']
  constructor(id: number, generation: number, openedAtMs: number) {
    this.generation = generation
    this.facts = { id, openedAtMs, welcome: new Map([['server_version', '18']]) }
  }
  shut(reason: CloseReason): void {
    this.closeReason = reason
  }
  run(sql: string, done: (error: { sqlstate: string; message: string } | undefined) => void): void {
    this.ran.push(sql)
    this.finish = done
  }
}

class FakeSource implements CredentialSource {
  readonly name = 'source'
  consumer: CredentialConsumer | undefined
  readonly proven: number[] = []
  readonly failures: string[] = []
  readonly drained: number[] = []
  current(): Credential | undefined {
    return undefined
  }
  subscribe(consumer: CredentialConsumer): () => void {
    this.consumer = consumer
    return () => {}
  }
  offer(generation: number): void {
    this.consumer?.offer({ source: 'source', generation, user: `user${generation}`, password: new Secret('p') })
  }
  reportProven(_: CredentialConsumer, generation: number): void {
    this.proven.push(generation)
  }
  reportFailure(generation: number, sqlstate: string): void {
    this.failures.push(`${generation} ${sqlstate}`)
  }
  reportDrained(_: CredentialConsumer, generation: number): void {
    this.drained.push(generation)
  }
  async close(): Promise<void> {}
}

class Client implements Waiter<FakeLink> {
  waitingSinceMs = 0
  noticed = false
  link: FakeLink | null = null
  refused: PgleaseError | undefined
  linkReady(link: FakeLink): void {
    this.link = link
  }
  linkRefused(error: PgleaseError): void {
    this.refused = error
  }
  stillWaiting(): void {}
}

const SETTINGS: PoolSettings = {
  pool_size: 3,
  server_lifetime: 3_600_000,
  server_idle_timeout: 600_000,
  server_check_delay: 30_000,
  server_check_query: '<empty>',
  query_wait_timeout: 120_000,
  query_wait_notify: 5_000,
}

/** A pool whose logins succeed at once unless `answer` says otherwise. */
function setUp(settings: Partial<PoolSettings> = {}) {
  const clock = new FakeClock()
  const source = new FakeSource()
  const links: FakeLink[] = []
  const quiet = { debug() {}, info() {}, warning() {}, error() {} }
  const state = { answer: undefined as PgleaseError | undefined, most: 0, overruns: 0 }
  const pool: Pool<FakeLink> = new Pool<FakeLink>({
    database: 'app',
    settings: { ...SETTINGS, ...settings },
    source,
    clock,
    log: quiet,
    open: async (credential) => {
      if (state.answer !== undefined) throw state.answer
      const link = new FakeLink(links.length + 1, credential.generation, clock.monotonicMs())
      links.push(link)
      return link
    },
    linkClosed: () => {},
    drainOverrun: () => void state.overruns++,
  })
  /** Lets logins end and servers close what was shut, until nothing moves. */
  const settle = async () => {
    for (let round = 0; round < 20; round++) {
      state.most = Math.max(state.most, pool.size)
      await Promise.resolve()
      await Promise.resolve()
      for (const link of links)
        if (link.closeReason !== undefined && pool.lists.state(link) === 'closing') pool.linkClosed(link, link.closeReason)
    }
  }
  const take = async () => {
    const client = new Client()
    client.link = pool.checkout(client)
    await settle()
    return client
  }
  return { clock, source, links, pool, settle, take, state }
}

/** What the pool told the client; a function, because the compiler cannot see that the pool sets it. */
const refusalOf = (client: Client): PgleaseError | undefined => client.refused

const release = (pool: Pool<FakeLink>, client: Client) => pool.release(client.link as FakeLink)
const alive = (links: FakeLink[]) => links.filter((link) => link.closeReason === undefined).map((link) => link.generation)

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

test('a refused proof is repeated for five seconds, then reported; the old generation goes on serving', async () => {
  const { pool, source, take, settle, clock, state } = setUp()
  source.offer(1)
  const client = await take()
  release(pool, client)
  state.answer = new PgleaseError('login_refused', 'db:5432')
  source.offer(2)
  for (let second = 0; second < 7; second++) {
    await settle()
    if (second < 5) assert.deepEqual(source.failures, [])
    clock.advance(1_000)
  }
  await settle()
  assert.ok(source.failures.length > 0)
  const again = await take()
  assert.equal(again.link?.generation, 1)
  assert.equal(again.refused, undefined)
})

test('a permanent cause without any link fails clients at once, a transient one lets them wait', async () => {
  const { source, take, settle, clock, state } = setUp()
  state.answer = new PgleaseError('server_full', 'db:5432')
  source.offer(1)
  await settle()
  const waiting = await take()
  assert.equal(waiting.refused, undefined)
  state.answer = new PgleaseError('database_missing', 'app')
  clock.advance(500)
  await settle()
  assert.equal(refusalOf(waiting)?.code, 'login_cached_error')
  const late = await take()
  assert.match(late.refused?.message ?? '', /^server login has been failing, cached error: .*app/)
  state.answer = undefined
  clock.advance(2_000)
  await settle()
  assert.ok((await take()).link)
})

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
