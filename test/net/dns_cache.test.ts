// Addresses of names: how long they are used, and what happens when the resolver says something else or nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DnsCache } from '../../src/net/dns_cache.ts'
import { TransportError } from '../../src/net/transport.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { rejectionCode } from './recorder.ts'

function setUp() {
  const clock = new FakeClock()
  const state = { answer: ['192.0.2.1'] as string[] | string, asked: 0 }
  const cache = new DnsCache({ maxTtlMs: 15_000, nxdomainTtlMs: 3_000 }, clock, async (host) => {
    state.asked++
    if (typeof state.answer === 'string') throw new TransportError(state.answer, `resolve ${host}: ${state.answer}`)
    return state.answer
  })
  return { clock, state, resolve: () => cache.resolve('db', 1_000), doubt: () => cache.doubt('db') }
}

test('addresses are used for dns_max_ttl, then the name is resolved again', async () => {
  const { clock, state, resolve } = setUp()
  await resolve()
  state.answer = ['192.0.2.2']
  clock.advance(14_999)
  assert.deepEqual([await resolve(), state.asked], [['192.0.2.1'], 1])
  clock.advance(1)
  assert.deepEqual([await resolve(), state.asked], [['192.0.2.2'], 2])
})

test('a doubted name is resolved anew at once', async () => {
  const { state, resolve, doubt } = setUp()
  await resolve()
  state.answer = ['192.0.2.2']
  doubt()
  assert.deepEqual([await resolve(), state.asked], [['192.0.2.2'], 2])
})

test('a name that does not exist is not asked for again within dns_nxdomain_ttl, doubted or not', async () => {
  const { clock, state, resolve, doubt } = setUp()
  state.answer = 'ENOTFOUND'
  assert.equal(await rejectionCode(resolve()), 'ENOTFOUND')
  state.answer = ['192.0.2.1']
  doubt()
  clock.advance(2_999)
  assert.equal(await rejectionCode(resolve()), 'ENOTFOUND')
  assert.equal(state.asked, 1)
  clock.advance(1)
  assert.deepEqual(await resolve(), ['192.0.2.1'])
})

test('a resolver that does not answer leaves the addresses that are known; without any its error is told and not kept', async () => {
  const { clock, state, resolve } = setUp()
  state.answer = 'EAI_AGAIN'
  assert.equal(await rejectionCode(resolve()), 'EAI_AGAIN')
  state.answer = ['192.0.2.1']
  await resolve()
  clock.advance(15_000)
  state.answer = 'ETIMEDOUT'
  assert.deepEqual([await resolve(), state.asked], [['192.0.2.1'], 3])
  clock.advance(1_000)
  state.answer = ['192.0.2.3']
  assert.deepEqual(await resolve(), ['192.0.2.3'])
})

test('questions about one name at the same time are one', async () => {
  const { state, resolve } = setUp()
  await Promise.all([resolve(), resolve(), resolve()])
  assert.equal(state.asked, 1)
})

test('a refresh asks again only for what is known and over, and tells of nothing but the outcome', async () => {
  const clock = new FakeClock()
  const state = { answer: ['192.0.2.1'], asked: 0 }
  const cache = new DnsCache({ maxTtlMs: 15_000, nxdomainTtlMs: 3_000 }, clock, async () => {
    state.asked++
    return state.answer
  })
  cache.refresh('db', undefined)
  assert.deepEqual([cache.known('db'), state.asked], [[], 0])
  await cache.resolve('db', undefined)
  cache.refresh('db', undefined)
  assert.equal(state.asked, 1)
  clock.advance(15_000)
  state.answer = ['192.0.2.2']
  cache.refresh('db', undefined)
  cache.refresh('db', undefined)
  await clock.run(0)
  assert.deepEqual([cache.known('db'), state.asked], [['192.0.2.2'], 2])
})
