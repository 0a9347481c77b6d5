// The clients of the process: cancel keys and counts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Registry } from '../../src/client/registry.ts'
import type { Session } from '../../src/client/session.ts'

const session = (id: number) => ({ parts: { id } }) as Session

test('a cancel key finds its session, and nothing else does', () => {
  const registry = new Registry()
  const [short, long] = [registry.newKey(false), registry.newKey(true)]
  assert.deepEqual([short.key.length, long.key.length], [4, 32])
  const [first, second] = [session(short.processId), session(long.processId)]
  registry.add(first, short)
  registry.add(second, long)
  assert.equal(registry.find({ processId: short.processId, key: Buffer.from(short.key) }), first)
  assert.equal(registry.find({ processId: long.processId, key: Buffer.from(long.key) }), second)
  const wrong = Buffer.from(short.key.map((byte) => byte ^ 1))
  for (const request of [
    { processId: short.processId, key: wrong },
    { processId: short.processId, key: long.key },
    { processId: long.processId, key: long.key.subarray(0, 4) },
    { processId: (short.processId % 2 ** 31) + 1, key: short.key },
    { processId: short.processId, key: Buffer.alloc(0) },
  ]) {
    assert.equal(registry.find(request), undefined)
  }
  registry.remove(first)
  assert.equal(registry.find(short), undefined)
})

test('process ids are positive and differ; greetings count among the clients', () => {
  const registry = new Registry()
  const ids = new Set<number>()
  for (let count = 0; count < 1000; count++) {
    const key = registry.newKey(false)
    assert.ok(key.processId > 0 && key.processId < 2 ** 31)
    registry.add(session(key.processId), key)
    ids.add(key.processId)
  }
  assert.equal(ids.size, 1000)
  const newcomer = { turnAway() {} }
  registry.beginGreeting(newcomer)
  assert.equal(registry.size, 1001)
  assert.deepEqual(registry.newcomers(), [newcomer])
  registry.endGreeting(newcomer)
  assert.deepEqual([registry.size, registry.sessions().length], [1000, 1000])
})
