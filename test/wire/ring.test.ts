// A ring is a queue, whatever is pushed, shifted and taken in whatever order.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ring } from '../../src/wire/ring.ts'

test('property: a ring does what an array does', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ what: fc.constant('push' as const), value: fc.integer({ min: -1, max: 70_000 }) }) },
    { weight: 3, arbitrary: fc.constant({ what: 'shift' as const, value: 0 }) },
    { weight: 1, arbitrary: fc.constantFrom({ what: 'takeRest' as const, value: 0 }, { what: 'clear' as const, value: 0 }) },
  )
  fc.assert(
    fc.property(fc.constantFrom(0, 2), fc.array(step, { maxLength: 60, size: 'max' }), (capacity, steps) => {
      const ring = new Ring(capacity)
      const model: number[] = []
      for (const { what, value } of steps) {
        if (what === 'push') {
          ring.push(value)
          model.push(value)
        } else if (what === 'clear') {
          ring.clear()
          model.length = 0
        } else if (model.length > 0) {
          if (what === 'takeRest') assert.deepEqual([...ring.takeRest()], model.splice(1))
          else {
            ring.shift()
            model.shift()
          }
        }
        assert.equal(ring.count, model.length)
        if (model.length > 0) assert.equal(ring.oldest, model[0])
      }
    }),
  )
})
