// How long requests, transactions and waits took, as metrics are told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SessionMeter, SessionTimes } from '../../src/client/session_meter.ts'
import { FakeClock } from '../kit/fake-clock.ts'

function timed() {
  const clock = new FakeClock()
  const seen: [string, number][] = []
  const meter: SessionMeter = {
    received() {},
    sent() {},
    clientError() {},
    notified() {},
    waited: (ms) => void seen.push(['waited', ms]),
    queried: (ms) => void seen.push(['queried', ms]),
    transacted: (ms) => void seen.push(['transacted', ms]),
  }
  return { clock, seen, times: new SessionTimes(clock, meter) }
}

test('a request outside a transaction is a query and a transaction of the same length', async () => {
  const { clock, seen, times } = timed()
  await clock.advance(10)
  times.requested()
  times.began()
  await clock.advance(5)
  times.answered(true)
  assert.deepEqual(seen, [
    ['queried', 5],
    ['transacted', 5],
  ])
})

test('a transaction lasts from its first request to the answer that ends it; its requests are timed one by one', async () => {
  const { clock, seen, times } = timed()
  await clock.advance(10)
  for (const over of [false, true]) {
    times.requested()
    times.began()
    await clock.advance(5)
    times.answered(over)
    await clock.advance(100)
  }
  assert.deepEqual(seen, [
    ['queried', 5],
    ['queried', 5],
    ['transacted', 110],
  ])
})

test('the wait for a link is told by itself and is no part of query and transaction', async () => {
  const { clock, seen, times } = timed()
  await clock.advance(10)
  times.requested()
  const sinceMs = clock.monotonicMs()
  await clock.advance(30)
  times.waited(sinceMs)
  times.began()
  await clock.advance(5)
  times.answered(true)
  assert.deepEqual(seen, [
    ['waited', 30],
    ['queried', 5],
    ['transacted', 5],
  ])
})
