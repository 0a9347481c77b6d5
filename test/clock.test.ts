// Delays and backoff on a clock of the test, and what is promised of the real one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, delay, systemClock } from '../src/clock.ts'
import { FakeClock } from './kit/fake-clock.ts'

/** Whether `promise` has resolved by now, without waiting for it. */
function watch(promise: Promise<void>): () => boolean {
  let resolved = false
  void promise.then(() => {
    resolved = true
  })
  return () => resolved
}

test('a delay ends after its time', async () => {
  const clock = new FakeClock()
  const over = watch(delay(clock, 100))
  await clock.run(99)
  assert.equal(over(), false)
  await clock.run(1)
  assert.equal(over(), true)
  assert.equal(clock.pending, 0)
})

test('an abort ends a delay at once, without an error, and its timer', async () => {
  const clock = new FakeClock()
  const abort = new AbortController()
  const over = watch(delay(clock, 100, abort.signal))
  await clock.run(10)
  assert.equal(over(), false)
  abort.abort()
  await clock.run(0)
  assert.deepEqual([over(), clock.pending], [true, 0])
})

test('with a signal that has aborted already there is no timer', async () => {
  const clock = new FakeClock()
  await delay(clock, 100, AbortSignal.abort())
  assert.equal(clock.pending, 0)
})

test('a delay that ended by time leaves no listener at the signal', async () => {
  const clock = new FakeClock()
  const listeners = new Set<unknown>()
  const signal = {
    aborted: false,
    addEventListener: (_: string, listener: unknown) => void listeners.add(listener),
    removeEventListener: (_: string, listener: unknown) => void listeners.delete(listener),
  } as unknown as AbortSignal
  const over = watch(delay(clock, 100, signal))
  assert.equal(listeners.size, 1)
  await clock.run(100)
  assert.deepEqual([over(), listeners.size], [true, 0])
})

test('backoff doubles up to the most, and chance takes up to a quarter away', () => {
  const clock = new FakeClock()
  const series = () => [0, 1, 2, 3, 4, 5, 1000].map((attempt) => backoffMs(clock, attempt, 100, 1_000))
  assert.deepEqual(series(), [100, 200, 400, 800, 1_000, 1_000, 1_000])
  clock.nextRandom = 1
  assert.deepEqual(series(), [75, 150, 300, 600, 750, 750, 750])
  clock.nextRandom = 0.5
  assert.equal(backoffMs(clock, 0, 100, 1_000), 87.5)
})

test('the real clock: monotonic time grows, the wall shows today, chance is in [0, 1)', () => {
  const began = systemClock.monotonicMs()
  assert.ok(systemClock.monotonicMs() >= began)
  assert.ok(systemClock.wallMs() > Date.UTC(2025, 0, 1))
  for (let count = 0; count < 100; count++) {
    const value = systemClock.random()
    assert.ok(value >= 0 && value < 1)
  }
})

test('the real clock runs timers in order of their time, a negative delay at once, and a cancelled one never', async () => {
  const ran: string[] = []
  await new Promise<void>((resolve) => {
    systemClock.after(30, () => {
      ran.push('last')
      resolve()
    })
    const timer = systemClock.after(5, () => void ran.push('cancelled'))
    systemClock.after(10, () => void ran.push('second'))
    systemClock.after(-1_000, () => void ran.push('first'))
    timer.cancel()
    timer.cancel()
  })
  assert.deepEqual(ran, ['first', 'second', 'last'])
})

test('a delay beyond what timers can hold is cut, and does not run at once', async () => {
  let ran = false
  const timers = [Number.POSITIVE_INFINITY, 2 ** 31, 2 ** 40].map((ms) =>
    systemClock.after(ms, () => {
      ran = true
    }),
  )
  await delay(systemClock, 20)
  for (const timer of timers) timer.cancel()
  assert.equal(ran, false)
})
