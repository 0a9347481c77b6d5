// What a failed login means for clients, for the credential, and for the next login.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { alive, type FakeLink, refusalOf, release, setUp } from './double.ts'

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

test('a client that waits for the last link is told of the permanent cause when that link has gone', async () => {
  const { pool, source, take, settle } = setUp({ pool_size: 1 })
  source.offer(1)
  const busy = await take()
  source.consumer?.trouble({ code: 'vault_bad_request', detail: 'unknown role' })
  const waiting = await take()
  assert.equal(waiting.refused, undefined)
  pool.credentials.overdue(1)
  pool.roleGone(busy.link as FakeLink)
  release(pool, busy)
  await settle()
  assert.match(refusalOf(waiting)?.message ?? '', /unknown role/)
})

test('a successor that is refused is tried again at a tenth of what is left of the credential that serves, at the latest', async () => {
  const { source, take, settle, clock, state } = setUp()
  source.offer(1)
  const client = await take()
  assert.ok(client.link)
  source.left = 3_000
  state.answer = new PgleaseError('connect_refused', 'db:5432')
  source.offer(2)
  await settle()
  for (let tries = 0; tries < 10; tries++) {
    const before = state.logins
    clock.advance(302)
    await settle()
    assert.ok(state.logins > before, `no login in 0.3 s after ${tries} refusals`)
  }
})

test('a server without a free connection for the proof gets one of ours back, and the rotation goes through', async () => {
  const { pool, source, take, settle, clock, links, state } = setUp({ pool_size: 10 })
  source.offer(1)
  const clients = [await take(), await take(), await take()]
  state.serverRoom = 3
  source.offer(2)
  await settle()
  assert.deepEqual(source.proven, [1], 'every link is busy')
  for (const client of clients) {
    clock.advance(500)
    pool.tick()
    release(pool, client)
    await settle()
  }
  for (let round = 0; round < 10; round++) {
    clock.advance(500)
    pool.tick()
    await settle()
  }
  assert.deepEqual(source.proven, [1, 2])
  assert.deepEqual(source.drained, [1])
  assert.deepEqual(alive(links), [2, 2, 2])
})

test('a full server is not asked again for every client that waits, and the pool grows when there is room again', async () => {
  const { pool, source, take, settle, clock, state } = setUp({ pool_size: 10 })
  source.offer(1)
  const [first, second] = [await take(), await take()]
  state.serverRoom = 2
  const [third, fourth] = [await take(), await take()]
  const before = state.logins
  for (let turn = 0; turn < 10; turn++) {
    clock.advance(100)
    pool.tick()
    await settle()
  }
  assert.ok(state.logins - before <= 2, `${state.logins - before} logins in a second`)
  state.serverRoom = 10
  for (let turn = 0; turn < 100; turn++) {
    clock.advance(100)
    pool.tick()
    await settle()
  }
  assert.ok(first.link && second.link && third.link && fourth.link)
})
