// A credential that served and is refused now: its role was dropped, or a server took over that never had it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { refusalOf, release, setUp } from './double.ts'

const REFUSED = new PgleaseError('login_refused', 'db:5432: no such role')

/** A pool whose only link is lost, and whose credential is refused from now on. */
async function lost(settings: Parameters<typeof setUp>[0] = {}) {
  const world = setUp(settings)
  const { pool, source, take, settle, state, links } = world
  source.offer(1)
  release(pool, await take())
  state.answer = REFUSED
  for (const link of links) pool.shut(link, 'server_closed')
  await settle()
  return world
}

test('clients wait while the source leases another credential', async () => {
  const { source, take, settle, state } = await lost()
  const client = await take()
  assert.deepEqual([...new Set(source.failures)], ['1 28P01'])
  assert.equal(refusalOf(client), undefined)
  state.answer = undefined
  source.offer(2)
  await settle()
  assert.equal(client.link?.generation, 2)
})

test('after five seconds without another credential they fail at once', async () => {
  const { pool, take, settle, clock } = await lost()
  const client = await take()
  for (let second = 0; second < 11; second++) {
    assert.equal(second > 4 || refusalOf(client) === undefined, true)
    clock.advance(1_000)
    await settle()
  }
  assert.equal(refusalOf(client)?.code, 'login_cached_error')
  assert.match(pool.cause, /no such role/)
  assert.equal((await take()).refused?.code, 'login_cached_error')
})

test('a login that succeeds begins a new patience', async () => {
  const { source, pool, take, settle, clock, state, links } = await lost()
  const first = await take()
  clock.advance(3_000)
  await settle()
  state.answer = undefined
  clock.advance(3_000)
  await settle()
  assert.equal(first.link?.generation, 1)
  clock.advance(10_000)
  state.answer = REFUSED
  for (const link of links) if (pool.lists.state(link) === 'active') pool.discard(link, 'server_closed')
  await settle()
  const second = await take()
  clock.advance(1_000)
  await settle()
  assert.equal(refusalOf(second), undefined)
  assert.ok(source.failures.length > 1)
})

test('while clients fail at once a login is tried at least every server_login_retry, and the first that succeeds ends it', async () => {
  for (const server_login_retry of [1_000, 20_000]) {
    const { pool, take, settle, clock, state } = await lost({ server_login_retry })
    await take()
    await clock.run(60_000)
    await settle()
    assert.equal((await take()).refused?.code, 'login_cached_error')
    const before = state.logins
    await clock.run(10 * server_login_retry)
    assert.ok(state.logins - before >= 9 && state.logins - before <= 14, `${state.logins - before} logins`)
    state.answer = undefined
    await clock.run(server_login_retry)
    await settle()
    assert.equal(pool.cause, '')
    assert.ok((await take()).link !== null)
  }
})
