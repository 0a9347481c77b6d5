// What counts as a change of the state, and what is mere passing of time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onlyTimePassed } from '../../src/http/change.ts'
import { exampleState } from './admin_kit.ts'

const token = (remainingSeconds?: number) => ({
  kind: 'own',
  method: 'kubernetes',
  ...(remainingSeconds === undefined ? {} : { remainingSeconds }),
})

/** Ten seconds later, with the token's end as given. */
function passes(before: number | undefined, after: number | undefined): boolean {
  const { sources: _sources, ...rest } = exampleState({ token: token(before) })
  const next = { ...rest, uptimeSeconds: 110, token: token(after), sources: [] }
  return onlyTimePassed({ ...rest, sources: [] }, next)
}

test('an end that comes nearer as time passes is no change, rounded or not', () => {
  for (const after of [90, 89.2, 91, 88.5]) assert.equal(passes(100, after), true, String(after))
})

test('an end that was moved is a change', () => {
  for (const after of [100, 95, 80, 3600, undefined]) assert.equal(passes(100, after), false, String(after))
  assert.equal(passes(undefined, 100), false)
  assert.equal(passes(undefined, undefined), true)
})

test('what has ended may stand still or go on', () => {
  assert.equal(passes(4, 0), true)
  assert.equal(passes(4, -6), true)
  assert.equal(passes(0, 0), true)
  assert.equal(passes(-6, -16), true)
  assert.equal(passes(-6, 3600), false)
})
