// Boundaries of messages: lengths of 32 bits, and where a run of one type ends however the bytes are cut.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { COPY_DATA, DATA_ROW } from '../../src/wire/codes.ts'
import { endOfRun, lengthAt } from '../../src/wire/frame.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { offsetCopy } from '../kit/splits.ts'

const row = (body: number) => wireMessage('D', 'x'.repeat(body))
/** A header that declares `length`, and `body` bytes. */
const declared = (length: number, body: number) => {
  const bytes = Buffer.alloc(5 + body, 'D')
  bytes.writeUInt32BE(length, 1)
  return bytes
}

test('lengths are unsigned and of 32 bits', () => {
  for (const length of [0, 4, 255, 256, 65_536, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const bytes = offsetCopy(declared(length, 0))
    assert.equal(lengthAt(bytes, 1), length)
  }
})

test('a run ends before the first message that is not whole, at every split', () => {
  const whole = Buffer.concat([row(0), row(3), row(1), row(300), row(0)])
  const ends = [0, 5, 13, 19, 324, 329]
  for (let cut = 0; cut <= whole.length; cut++) {
    const last = ends.filter((end) => end <= cut).at(-1)
    assert.equal(endOfRun(offsetCopy(whole.subarray(0, cut)), 0, DATA_ROW), last, `cut at ${cut}`)
  }
})

test('a run goes on from any message and stops at another type', () => {
  const bytes = Buffer.concat([row(2), row(2), wireMessage('C', 'SELECT 2\0'), row(2)])
  assert.equal(endOfRun(bytes, 0, DATA_ROW), 14)
  assert.equal(endOfRun(bytes, 7, DATA_ROW), 14)
  assert.equal(endOfRun(bytes, 14, DATA_ROW), 14)
  assert.equal(endOfRun(bytes, 0, COPY_DATA), 0)
  assert.equal(endOfRun(bytes, bytes.length, DATA_ROW), bytes.length)
  assert.equal(endOfRun(Buffer.alloc(0), 0, DATA_ROW), 0)
})

test('a run passes no length that its caller has to refuse', () => {
  for (const length of [0, 3, 101, 0x7fffffff, 0x80000000, 0xffffffff]) {
    const bytes = Buffer.concat([row(1), declared(length, 200)])
    assert.equal(endOfRun(bytes, 0, DATA_ROW, 100), 6, String(length))
  }
  const longest = Buffer.concat([row(96), row(97), row(1)])
  assert.equal(endOfRun(longest, 0, DATA_ROW, 100), 101, 'the longest that is allowed, and one byte more')
})

test('property: a run is what a walk from header to header finds', () => {
  const part = fc.record({ type: fc.constantFrom('D', 'D', 'D', 'C'), body: fc.nat({ max: 20 }) })
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), fc.nat({ max: 800 }), fc.nat({ max: 25 }), (parts, cut, longest) => {
      const bytes = Buffer.concat(parts.map(({ type, body }) => wireMessage(type, 'x'.repeat(body)))).subarray(0, cut)
      let end = 0
      for (const { type, body } of parts) {
        if (type !== 'D' || body + 4 > longest || end + 5 + body > bytes.length) break
        end += 5 + body
      }
      assert.equal(endOfRun(offsetCopy(bytes), 0, DATA_ROW, longest), end)
    }),
  )
})
