// Replication connections and the credentials and limits that they share with pools.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CloseReason, PgleaseError } from '../../src/errors.ts'
import { Budget } from '../../src/pool/budget.ts'
import { type ReplicationPeer, Replications } from '../../src/pool/replication.ts'
import { quietLog } from '../kit/session-world.ts'
import { setUp } from './double.ts'

class FakePeer implements ReplicationPeer {
  listed: ReplicationPeer['listed']
  closeReason: CloseReason | undefined
  /** Mid-message. */
  busy = false
  readonly generation: number
  readonly facts: { readonly id: number; readonly fit?: undefined }
  readonly #owner: () => Replications<FakePeer, string>
  constructor(id: number, generation: number, owner: () => Replications<FakePeer, string>) {
    this.facts = { id }
    this.generation = generation
    this.#owner = owner
  }
  recycle(atOnce = false): boolean {
    if (this.busy && !atOnce) return false
    this.shut('rotated')
    return true
  }
  shut(reason: CloseReason): void {
    this.closeReason = reason
    this.#owner().linkDying(this)
  }
  /** The server has closed its side. */
  gone(): void {
    this.#owner().linkClosed(this, this.closeReason ?? 'server_closed')
  }
}

class FakeClient {
  readonly request: string
  peer: FakePeer | undefined
  error: PgleaseError | undefined
  constructor(request = 'physical') {
    this.request = request
  }
  linkReady(peer: FakePeer): void {
    this.peer = peer
  }
  linkRefused(error: PgleaseError): void {
    this.error = error
  }
}

/** A function, because the compiler cannot see that it is set. */
const codeOf = (client: FakeClient) => client.error?.code

async function world(limit = 10, pool_size = 2) {
  const budget = new Budget(limit)
  const made = setUp({ pool_size, server_idle_timeout: 0, query_wait_timeout: 60_000 }, { budgets: [budget] })
  const closed: CloseReason[] = []
  const opened: string[] = []
  const errors: (PgleaseError | undefined)[] = []
  let id = 0
  const replications: Replications<FakePeer, string> = new Replications<FakePeer, string>({
    database: 'app',
    source: made.source,
    settings: { server_fast_close: false },
    clock: made.clock,
    log: quietLog,
    logins: made.pool.logins,
    budgets: [budget],
    queryWaitTimeoutMs: () => 5_000,
    open: async ({ generation }, request) => {
      const error = errors.shift()
      if (error !== undefined) throw error
      opened.push(`${request} ${generation}`)
      return new FakePeer(++id, generation, () => replications)
    },
    linkClosed: (reason) => void closed.push(reason),
  })
  const ask = async (client = new FakeClient()) => {
    replications.request(client)
    await made.settle()
    return client
  }
  /** Ticks four times a second. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      made.clock.advance(250)
      if (Number.isFinite(made.source.left)) made.source.left -= 250
      made.pool.tick()
      replications.tick()
      await made.settle()
    }
  }
  return { ...made, budget, replications, closed, opened, errors, ask, pass }
}

test('a client waits for the first credential, and gets a connection of its own that is not of the pool', async () => {
  const { source, settle, replications, opened, ask, pass, pool, budget, closed } = await world()
  const first = await ask()
  assert.deepEqual([first.peer, replications.waiting], [undefined, 1])
  source.offer(1)
  await settle()
  await pass(250)
  const second = await ask(new FakeClient('logical'))
  assert.deepEqual(opened, ['physical 1', 'logical 1'])
  assert.ok(first.peer !== undefined && second.peer !== undefined && first.peer !== second.peer)
  assert.deepEqual([pool.size, replications.size, budget.free], [1, 2, 7])
  first.peer.shut('client_terminated')
  assert.equal(replications.size, 2, 'counts until the server has closed it')
  first.peer.gone()
  first.peer.gone()
  assert.deepEqual([replications.size, budget.free, closed], [1, 8, ['client_terminated']])
})

test('it takes the place of an unused link, and waits for query_wait_timeout where there is none', async () => {
  const { source, settle, ask, pass, links, take, replications } = await world(1)
  source.offer(1)
  await settle()
  const client = await ask()
  assert.equal(links[0]?.closeReason, 'evicted')
  assert.ok(client.peer)
  const late = await ask()
  await pass(4_750)
  assert.equal(codeOf(late), undefined)
  await pass(500)
  assert.equal(codeOf(late), 'query_wait_timeout')
  const waiter = await take()
  assert.equal(waiter.link, null, 'the pool is full by it')
  client.peer.shut('client_lost')
  client.peer.gone()
  await settle()
  assert.ok(waiter.link)
  assert.equal(replications.size, 0)
})

test('a client that has left meanwhile gets nothing, and its connection is closed', async () => {
  const { source, settle, replications } = await world()
  source.offer(1)
  await settle()
  const client = new FakeClient()
  replications.request(client)
  replications.leave(client)
  await settle()
  assert.deepEqual([client.peer, replications.lists.count('closing'), replications.waiting], [undefined, 1, 0])
})

test('what passes by itself is tried again; what the server says of this login is told at once', async () => {
  const { source, settle, ask, errors, pass, opened } = await world()
  source.offer(1)
  await settle()
  errors.push(new PgleaseError('server_full', 'max_wal_senders'), new PgleaseError('connect_refused', 'away'))
  const patient = await ask()
  assert.deepEqual([patient.error, opened], [undefined, []])
  await pass(2_000)
  assert.ok(patient.peer)
  for (const code of ['login_not_permitted', 'login_refused', 'database_missing', 'tls_failed'] as const) {
    errors.push(new PgleaseError(code, 'no'))
    assert.equal((await ask()).error?.code, code)
  }
  errors.push(...new Array<PgleaseError>(50).fill(new PgleaseError('server_starting', 'soon')))
  const unlucky = await ask()
  await pass(5_500)
  assert.deepEqual([unlucky.error?.code, unlucky.error?.detail], ['query_wait_timeout', 'the server is starting up: soon'])
  assert.deepEqual(source.failures, [], 'the credential is not to blame')
})

test('at a rotation connections end one after another before the lease does, and the lease is kept until the last is gone', async () => {
  const { source, settle, ask, pass, replications } = await world()
  source.offer(1)
  await settle()
  const clients = [await ask(), await ask(), await ask(), await ask()]
  source.left = 40_000
  source.offer(2)
  await settle()
  await pass(250)
  const ended = () => clients.filter(({ peer }) => peer?.closeReason === 'rotated').length
  assert.equal(ended(), 1, 'the first at once')
  await pass(18_000)
  assert.ok(ended() >= 2 && ended() <= 3, `${ended()} after half of the time`)
  await pass(18_000)
  assert.equal(ended(), 4)
  assert.deepEqual(source.drained, [])
  for (const { peer } of clients) peer?.gone()
  assert.deepEqual(source.drained, [1])
  assert.equal((await ask()).peer?.generation, 2)
  assert.equal(replications.size, 1)
})

test('one ends for the proof of a new credential when a shared limit has no other place', async () => {
  const { source, settle, ask, pass } = await world(2)
  source.offer(1)
  await settle()
  const [first, second] = [await ask(), await ask()]
  assert.ok(first.peer && second.peer)
  first.peer.busy = true
  source.offer(2)
  await settle()
  await pass(250)
  assert.deepEqual([first.peer.closeReason, second.peer.closeReason], [undefined, 'rotated'])
  await pass(500)
  assert.equal(first.peer.closeReason, undefined, 'one is enough')
  second.peer.gone()
  await settle()
  assert.deepEqual(source.proven, [1, 2])
})

test('one in the middle of a message is waited for, but not longer than its role lives', async () => {
  const { source, settle, ask, pass } = await world()
  source.offer(1)
  await settle()
  const { peer } = await ask()
  assert.ok(peer)
  peer.busy = true
  source.left = 4_000
  source.offer(2)
  await settle()
  await pass(4_000)
  assert.equal(peer.closeReason, undefined)
  source.consumer?.gone(1)
  await pass(250)
  assert.equal(peer.closeReason, 'rotated')
})

test('no connection is opened with a credential that has just been replaced, and none after the end', async () => {
  const { source, settle, replications, ask } = await world()
  source.offer(1)
  await settle()
  const client = new FakeClient()
  replications.request(client)
  source.consumer?.gone(1)
  await settle()
  assert.equal(client.peer, undefined)
  replications.abort()
  assert.equal((await ask()).error?.code, 'shutting_down')
})
