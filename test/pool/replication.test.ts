// Replication connections and the credentials and limits that they share with pools.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { codeOf, FakeClient, world } from './replication_double.ts'

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
  assert.deepEqual(
    [first.peer.closeReason, second.peer.closeReason],
    [undefined, undefined],
    'the first may be at the end of its message soon',
  )
  await pass(1_000)
  assert.deepEqual([first.peer.closeReason, second.peer.closeReason], [undefined, 'rotated'])
  await pass(2_000)
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
