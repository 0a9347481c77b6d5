import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelQuery } from '../../src/server/cancel.ts'
import type { DialTarget } from '../../src/server/dial.ts'
import { sslRequest } from '../../src/wire/pgprotocol.ts'
import { cancelRequest } from '../../src/wire/request.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { MemoryNetwork, type MemoryTransport } from '../kit/memory-transport.ts'
import { playServer, type Step } from '../kit/scripted-server.ts'

const KEY = Buffer.from('a long key of 32 bytes.........!')
const target = (sslmode: 'disable' | 'require'): DialTarget => ({
  address: { kind: 'tcp', host: 'db', port: 1 },
  sslmode,
  serverName: 'db',
})
const network = (steps: readonly Step[]): MemoryNetwork => new MemoryNetwork((far) => playServer(far, steps))

test('the request goes over the same TLS mode, and the end of the connection resolves it', async () => {
  const plain = network(['close'])
  await cancelQuery(plain, target('disable'), 7, KEY, { timeoutMs: 1_000, clock: new FakeClock() })
  assert.deepEqual(plain.connections[0]?.written, [cancelRequest(7, KEY)])
  const encrypted = network([Buffer.from('S'), 'close'])
  await cancelQuery(encrypted, target('require'), 7, KEY, { timeoutMs: 1_000, clock: new FakeClock() })
  assert.deepEqual(encrypted.connections[0]?.written, [sslRequest(), cancelRequest(7, KEY)])
  assert.equal(encrypted.connections[0]?.secure, true)
})

test('a half-closed connection is closed too', async () => {
  const halfClosing = new MemoryNetwork((far) => far.setHandler({ data: () => far.end(), drain() {}, end() {}, close() {} }))
  await cancelQuery(halfClosing, target('disable'), 7, KEY, { timeoutMs: 1_000, clock: new FakeClock() })
  const near = halfClosing.connections[0] as MemoryTransport
  for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(near.closed)
})

test('a server that never closes is given up after the time, connection included', async () => {
  const clock = new FakeClock()
  const silent = network([])
  const promise = cancelQuery(silent, target('disable'), 7, KEY, { timeoutMs: 1_000, clock })
  promise.catch(() => {})
  await clock.run(1_000)
  await assert.rejects(promise, { code: 'connect_timeout', detail: 'db:1: no answer to a cancel request within 1000 ms' })
  await clock.run(0)
  assert.ok(silent.connections[0]?.closed)
  assert.equal(clock.pending, 0)
})

test('a signal gives it up', async () => {
  const controller = new AbortController()
  const clock = new FakeClock()
  const silent = network([])
  const promise = cancelQuery(silent, target('disable'), 7, KEY, { timeoutMs: 0, clock, signal: controller.signal })
  promise.catch(() => {})
  await clock.run(0)
  controller.abort()
  await assert.rejects(promise, { code: 'connect_timeout' })
  assert.equal(clock.pending, 0)
})
