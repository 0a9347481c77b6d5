// The acceptance page and what its figures mean.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitSettings, withoutTest } from '../scripts/lib/accept_b8.ts'
import { type AcceptLine, assertFigures, atLeast, atMost, exactly, type Figure, holds, seeded, told } from '../scripts/lib/accept_line.ts'
import { type RunOf, section, verdict, withSection } from '../scripts/lib/accept_page.ts'
import { summaryIn } from '../scripts/lib/accept_tests.ts'

const line: AcceptLine = { name: 'A3', title: 'Nothing fails.', run: async () => [] }
const runOf = (figures: Figure[], seed = 1): RunOf => ({ line, seed, seconds: 12.3, figures })
const GOOD = [exactly('failed queries', 0, 0), atMost('roles', 2, 3), told('worst', 12.345, 'ms')]

test('figures are within their bounds or not', () => {
  assert.deepEqual(atMost('a', 3, 3, 's'), { name: 'a', value: 3, unit: 's', bound: 'at most 3', ok: true })
  assert.equal(atMost('a', 3.01, 3).ok, false)
  assert.equal(atMost('a', Number.POSITIVE_INFINITY, 3).ok, false)
  assert.equal(atMost('a', Number.NaN, 3).ok, false)
  assert.equal(atLeast('a', 7, 8).ok, false)
  assert.equal(exactly('a', 1, 0).ok, false)
  assert.deepEqual(holds('a', false, 'seen'), { name: 'a', value: 'seen', bound: 'yes', ok: false })
  assert.equal(told('a', 1234.56).value, 1235)
  assert.doesNotThrow(() => assertFigures(GOOD))
  assert.throws(
    () => assertFigures([...GOOD, exactly('lost', 2, 0)]),
    /^Error: ok {5}failed queries: 0 \(0\)\n[\s\S]*MISSED lost: 2 \(MISSED: 0\)$/,
  )
})

test('a section shows the newest run and one sentence for each of the two before it', () => {
  let text = ''
  for (const number of [1, 2, 3, 4]) text = section(runOf(GOOD, number), `date ${number}, commit c${number}; machine`, text)
  assert.equal(
    text,
    `## A3

Nothing fails.

Newest run: date 4, commit c4; machine; seed 4, 12 s: all 2 figures met

| figure | measured | bound | |
|---|---|---|---|
| failed queries | 0 | 0 | ok |
| roles | 2 | at most 3 | ok |
| worst | 12.35 ms |  |  |

Earlier runs:

- date 3, commit c3; machine; seed 3, 12 s: all 2 figures met
- date 2, commit c2; machine; seed 2, 12 s: all 2 figures met
`,
  )
})

test('a miss and a failure are said, and stand among the earlier runs later', () => {
  const missed = section(runOf([exactly('lost', 2, 0)]), 'then')
  assert.match(missed, /^Newest run: then; seed 1, 12 s: missed: lost: 2 \(MISSED: 0\)$/m)
  assert.match(missed, /\| lost \| 2 \| 0 \| \*\*missed\*\* \|/)
  const failed = section({ ...runOf([]), failure: 'no server\nits log' }, 'now', missed)
  assert.match(failed, /^Newest run: now; .*: failed: no server$/m)
  assert.match(failed, /^- then; seed 1, 12 s: missed: lost/m)
  assert.match(failed, /```\nno server\nits log\n```/)
  assert.equal(verdict({ ...runOf(GOOD), failure: 'x' }), 'failed: x')
})

test('sections are replaced in place and keep the order of the list', () => {
  let page = ''
  for (const name of ['A10', 'A3', 'A1', 'A3']) page = withSection(page, name, `## ${name}\n\nsomething of ${name} ${page.length > 0}\n`)
  assert.deepEqual(page.match(/^## A\d+$/gm), ['## A1', '## A3', '## A10'])
  assert.ok(page.startsWith('# Acceptance\n'))
  assert.equal(page.match(/something of A3/g)?.length, 1)
})

test('chance comes from the seed alone', () => {
  const first = Array.from({ length: 5 }, seeded(7))
  assert.deepEqual(Array.from({ length: 5 }, seeded(7)), first)
  assert.notDeepEqual(Array.from({ length: 5 }, seeded(8)), first)
  assert.ok(first.every((number) => number >= 0 && number < 1))
})

test('the last summary of an output counts; none is a failure', () => {
  assert.deepEqual(summaryIn('1 passed, 9 failed, 0 skipped\nand\n12 passed, 0 failed, 1 skipped\n'), { passed: 12, failed: 0, skipped: 1 })
  assert.deepEqual(summaryIn('crashed'), { passed: 0, failed: 1, skipped: 0 })
})

test('every limit and timeout has a test in line B8, and one that has none is found', () => {
  assert.ok(limitSettings().length > 30)
  assert.deepEqual(withoutTest(limitSettings()), [])
  assert.deepEqual(withoutTest(['query_timeout', 'new_timeout']), ['new_timeout'])
})
