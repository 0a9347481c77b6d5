// The arithmetic of renewals, successors and ends: at its corners, and its promises for any lease.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ageMs,
  endOf,
  type Instant,
  instantAfter,
  isShortGrant,
  type LeaseTimes,
  leaseLeftMs,
  leftMs,
  type Policy,
  renewalAskMs,
  renewalDelayMs,
  renewalInMs,
  renewalTimeoutMs,
  successorInMs,
} from '../../src/vault/schedule.ts'

const START: Instant = { monotonicMs: 5000, wallMs: 1_700_000_000_000 }
const USUAL: Policy = { fraction: 2 / 3, rotateBeforeMs: 0 }

function lease(firstMs: number, changes: Partial<LeaseTimes> = {}): LeaseTimes {
  return { issued: START, firstMs, granted: START, grantedMs: firstMs, renewable: true, final: false, ...changes }
}

const after = (ms: number) => instantAfter(START, ms)

test('an end is seen on whichever clock comes first', () => {
  const end = after(10_000)
  assert.equal(leftMs(end, after(4000)), 6000)
  assert.equal(leftMs(end, { ...after(4000), wallMs: START.wallMs + 12_000 }), -2000)
  assert.equal(leftMs(end, { ...after(12_000), wallMs: START.wallMs }), -2000)
  assert.equal(ageMs(START, { ...after(1000), wallMs: START.wallMs + 9000 }), 9000)
})

test('a lease ends with its token', () => {
  const one = lease(60_000)
  assert.deepEqual(endOf(one), after(60_000))
  assert.equal(leaseLeftMs(one, undefined, after(10_000)), 50_000)
  assert.equal(leaseLeftMs(one, after(30_000), after(10_000)), 20_000)
  assert.equal(leaseLeftMs(one, after(90_000), after(10_000)), 50_000)
})

test('a grant of a second less than asked is a sign of a maximum, the rounding of what is asked is not', () => {
  assert.equal(isShortGrant(6000, 6000), false)
  assert.equal(isShortGrant(6000, 5000), true)
  assert.equal(isShortGrant(7500, 7000), false, 'asked for in whole seconds')
  assert.equal(isShortGrant(6000, 9000), false)
})

test('a renewal is due at two thirds, up to a tenth of that earlier', () => {
  assert.equal(Math.round(renewalDelayMs(60_000, USUAL, 0)), 40_000)
  assert.equal(Math.round(renewalDelayMs(60_000, USUAL, 0.999999)), 36_000)
  assert.equal(Math.round(renewalInMs(lease(60_000), after(10_000), USUAL, 0) ?? 0), 30_000)
  assert.equal(Math.round(renewalInMs(lease(60_000), after(50_000), USUAL, 0) ?? 0), -10_000)
})

test('nothing is renewed that cannot be, or that renewing does not prolong', () => {
  assert.equal(renewalInMs(lease(60_000, { renewable: false }), after(1), USUAL, 0), undefined)
  assert.equal(renewalInMs(lease(60_000, { final: true }), after(1), USUAL, 0), undefined)
})

test('rotate_before renews earlier, asks for more, and is bounded by half of the lease', () => {
  const policy = { ...USUAL, rotateBeforeMs: 50_000 }
  assert.equal(renewalDelayMs(60_000, policy, 0), 10_000)
  assert.equal(renewalDelayMs(60_000, { ...USUAL, rotateBeforeMs: 90_000 }, 0), 6000)
  assert.equal(renewalAskMs(60_000, policy), 75_000)
  assert.equal(renewalAskMs(60_000, USUAL), 60_000)
  // not renewable: at 50 s before the end, but not in the first half of its life
  const fixed = lease(60_000, { renewable: false })
  assert.equal(successorInMs(fixed, START, policy, 0), 30_000)
  assert.equal(successorInMs(fixed, after(30_000), policy, 0), 0)
})

test('a short grant calls for the successor at once when half of its life is over', () => {
  const granted = { granted: after(14_400), grantedMs: 3600, final: true }
  assert.ok(successorInMs(lease(6000, granted), after(14_400), USUAL, 0) <= 0)
  // with a first grant that already reached the maximum, at half of it
  const early = lease(60_000, { granted: after(6000), grantedMs: 54_000, final: true })
  assert.equal(successorInMs(early, after(6000), USUAL, 0), 24_000)
})

test('a lease that nobody could renew gets its successor a sixth before its end', () => {
  const inMs = (ttl: number, at: number) => Math.round(successorInMs(lease(ttl), after(at), USUAL, 0))
  assert.equal(inMs(60_000, 49_000), 1000)
  assert.ok(inMs(60_000, 50_001) <= 0)
  // of a lease of seconds a sixth is too little for a read and a login
  assert.equal(inMs(6000, 4000), 500)
  assert.equal(inMs(3000, 2000), 250)
})

test('a renewal may take a quarter of what is left, of a lease of seconds a second or half, and never no time', () => {
  assert.equal(renewalTimeoutMs(20_000, 60_000), 5000)
  assert.equal(renewalTimeoutMs(2_000_000, 60_000), 60_000)
  assert.equal(renewalTimeoutMs(2000, 60_000), 1000)
  assert.equal(renewalTimeoutMs(1000, 60_000), 500)
  assert.equal(renewalTimeoutMs(100, 60_000), 200)
})

const seconds = fc.integer({ min: 3, max: 100_000 })
const chance = fc.double({ min: 0, max: 0.999999, noNaN: true })

test('any lease: a renewal comes before the successor of a failed renewal, and both before the end', () => {
  fc.assert(
    fc.property(seconds, chance, fc.double({ min: 0.1, max: 0.9, noNaN: true }), (ttl, random, fraction) => {
      const one = lease(ttl * 1000)
      const policy = { ...USUAL, fraction }
      const renewal = renewalInMs(one, START, policy, random) ?? Number.NaN
      const successor = successorInMs(one, START, policy, random)
      assert.ok(renewal > 0 && renewal <= successor && successor < ttl * 1000, `${renewal} ${successor}`)
    }),
  )
})

test('any lease that reaches its maximum: the overlap is at least a third of the first duration', () => {
  fc.assert(
    fc.property(seconds, fc.integer({ min: 1, max: 20 }), fc.array(chance, { minLength: 40, maxLength: 40 }), (ttl, times, chances) => {
      const firstMs = ttl * 1000
      const maximum = firstMs * times
      let one = lease(firstMs)
      let at = 0
      for (const random of chances) {
        at += renewalInMs(one, after(at), USUAL, random) ?? 0
        const grantedMs = Math.floor(Math.min(firstMs, maximum - at) / 1000) * 1000
        one = { ...one, granted: after(at), grantedMs, final: isShortGrant(firstMs, grantedMs) }
        if (!one.final) continue
        const wanted = Math.max(0, successorInMs(one, after(at), USUAL, random))
        const overlap = maximum - at - wanted
        assert.ok(overlap >= firstMs / 3 - 1, `${overlap} of ${firstMs}`)
        return
      }
    }),
  )
})
