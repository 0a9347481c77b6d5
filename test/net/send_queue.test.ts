// The queue of unsent bytes: order, any way of taking them out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SendQueue } from '../../src/net/send_queue.ts'

test('what goes in comes out, however it is cut', () => {
  const step = fc.oneof(fc.record({ add: fc.nat(40_000), offset: fc.nat(50) }), fc.record({ take: fc.nat(50_000) }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const queue = new SendQueue()
      const put: Buffer[] = []
      const taken: Buffer[] = []
      let next = 0
      for (const action of steps) {
        if ('add' in action) {
          const bytes = Buffer.from(Array.from({ length: action.add + action.offset }, () => next++ & 0xff))
          put.push(Buffer.from(bytes.subarray(action.offset)))
          queue.append(bytes, action.offset)
        } else {
          const head = queue.head()
          const count = Math.min(action.take, head.length)
          taken.push(Buffer.from(head.subarray(0, count)))
          queue.consume(count)
        }
      }
      while (queue.length > 0) {
        const head = queue.head()
        assert.ok(head.length > 0)
        taken.push(Buffer.from(head))
        queue.consume(head.length)
      }
      assert.ok(Buffer.concat(taken).equals(Buffer.concat(put)))
      assert.equal(queue.head().length, 0)
    }),
    { numRuns: 60 },
  )
})
