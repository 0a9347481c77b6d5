// Host names: literals pass through, unknown names and slow resolvers have their codes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveHost } from '../../src/net/dns.ts'
import { rejectionCode } from './recorder.ts'

test('literal addresses are their own', async () => {
  assert.deepEqual(await resolveHost('192.0.2.7'), ['192.0.2.7'])
  assert.deepEqual(await resolveHost('2001:db8::1'), ['2001:db8::1'])
  assert.deepEqual(await resolveHost('[2001:db8::1]'), ['2001:db8::1'])
})

test('localhost is loopback, without repetitions', async () => {
  const found = await resolveHost('localhost')
  assert.ok(found.length > 0)
  assert.ok(found.every((address) => address === '127.0.0.1' || address === '::1'))
  assert.equal(new Set(found).size, found.length)
})

test('an unknown name is ENOTFOUND, a resolver that does not answer in time ETIMEDOUT', async () => {
  assert.match(await rejectionCode(resolveHost('no-such-host.invalid')), /^(ENOTFOUND|EAI_AGAIN)$/)
  const impatient = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    random: () => 0,
    after: (_ms: number, task: () => void) => {
      task()
      return { cancel() {} }
    },
  }
  assert.equal(await rejectionCode(resolveHost('localhost', 1, impatient)), 'ETIMEDOUT')
})
