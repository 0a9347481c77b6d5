// What runtimes print is counted right: the last line of scripts/test must not lie.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { add, summary, tally } from '../scripts/lib/tally.ts'

test('counts of bun test', () => {
  assert.deepEqual(tally('(pass) a [1ms]\n\n 12 pass\n 2 skip\n 1 fail\nRan 15 tests across 3 files.', 1), {
    passed: 12,
    failed: 1,
    skipped: 2,
  })
})

test('counts of deno test, in colour', () => {
  const text = '\x1b[32mok\x1b[0m | \x1b[32m7 passed\x1b[0m | 0 failed | 1 ignored \x1b[90m(5ms)\x1b[0m\n'
  assert.deepEqual(tally(text, 0), { passed: 7, failed: 0, skipped: 1 })
  assert.deepEqual(tally('FAILED | 3 passed | 2 failed (1s)\n', 1), { passed: 3, failed: 2, skipped: 0 })
})

test('a skip through the kit is not a pass', () => {
  assert.deepEqual(tally('\nSKIPPED: no Go\n(pass) a\n 3 pass\n 0 fail\n', 0), { passed: 2, failed: 0, skipped: 1 })
})

test('a run that failed without a count, or ran nothing, is a failure', () => {
  assert.deepEqual(tally('Segmentation fault', 139), { passed: 0, failed: 1, skipped: 0 })
  assert.deepEqual(tally(' 4 pass\n 0 fail\n', 1), { passed: 4, failed: 1, skipped: 0 })
  assert.deepEqual(tally('', 0), { passed: 0, failed: 1, skipped: 0 })
})

test('totals', () => {
  const total = { passed: 1, failed: 0, skipped: 0 }
  add(total, { passed: 2, failed: 3, skipped: 4 })
  assert.equal(summary(total), '3 passed, 3 failed, 4 skipped')
})
