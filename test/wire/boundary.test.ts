// Where messages end in a stream that is passed on, however it is cut.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageBoundary } from '../../src/wire/boundary.ts'
import { copyData, query, sync, terminate } from '../kit/raw-messages.ts'
import { arrivals } from '../kit/splits.ts'

test('the last message and whether it is whole are known after every chunk', () => {
  const messages = [query('SELECT 1'), sync(), copyData('x'.repeat(300)), terminate()]
  const bytes = Buffer.concat(messages)
  const ends = messages.map((_, index) => Buffer.concat(messages.slice(0, index + 1)).length)
  for (const chunks of arrivals(bytes)) {
    const boundary = new MessageBoundary()
    let at = 0
    assert.ok(boundary.reached)
    for (const chunk of chunks) {
      boundary.pass(chunk)
      at += chunk.length
      assert.equal(boundary.reached, ends.includes(at), `at ${at}`)
      const begun = ends.findIndex((end) => at <= end)
      assert.equal(String.fromCharCode(boundary.type), 'QSdX'[begun])
    }
  }
})

test('the rest of a message that is there in part ends where it ends', () => {
  const first = copyData('hello')
  const bytes = Buffer.concat([first, sync()])
  for (let cut = 0; cut <= first.length; cut++) {
    const boundary = new MessageBoundary()
    boundary.pass(bytes.subarray(0, cut))
    const rest = boundary.rest(bytes.subarray(cut))
    assert.equal(rest, cut === 0 ? 0 : first.length - cut)
    assert.ok(boundary.reached)
  }
  const long = new MessageBoundary()
  long.pass(first.subarray(0, 7))
  assert.equal(long.rest(Buffer.from('l')), 1)
  assert.ok(!long.reached)
})

test('a length that cannot be breaks it, and it stays broken', () => {
  for (const length of [0, 3, 0x80000000, 0xffffffff]) {
    const bytes = Buffer.alloc(9)
    bytes.write('d')
    bytes.writeUInt32BE(length, 1)
    const boundary = new MessageBoundary()
    boundary.pass(bytes)
    assert.ok(boundary.broken)
    boundary.pass(sync())
    assert.ok(boundary.broken)
    assert.equal(boundary.rest(sync()), 0)
  }
})
