// target_session_attrs: libpq's table, and what is heard of a server after the login.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fit, fits, type SessionAttribute, stateOf } from '../../src/server/session_attributes.ts'

const state = (inHotStandby?: 'on' | 'off', readOnly?: 'on' | 'off') => {
  const parameters = new Map<string, string>()
  if (inHotStandby) parameters.set('in_hot_standby', inHotStandby)
  if (readOnly) parameters.set('default_transaction_read_only', readOnly)
  return stateOf(parameters)
}

test('a server fits as in libpq', () => {
  const primary = state('off', 'off')
  const readOnlyPrimary = state('off', 'on')
  const standby = state('on', 'off')
  const rows: [SessionAttribute, boolean, boolean, boolean][] = [
    ['any', true, true, true],
    ['read-write', true, false, false],
    ['read-only', false, true, true],
    ['primary', true, true, false],
    ['standby', false, false, true],
    ['prefer-standby', false, false, true],
  ]
  for (const [attribute, ...expected] of rows) {
    assert.deepEqual(
      [primary, readOnlyPrimary, standby].map((one) => fits(attribute, one)),
      expected,
      attribute,
    )
  }
})

test('a server that does not report what it is must be asked, unless any will do', () => {
  for (const attribute of ['read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const) {
    assert.equal(fits(attribute, state()), undefined)
    assert.match(new Fit(attribute, 'a', state()).question, attribute === 'prefer-standby' ? /^$/ : /^SELECT 1 \/ \(.*\)::int$/)
  }
  assert.equal(fits('any', state()), true)
  assert.equal(fits('primary', state('off')), true)
  assert.equal(fits('read-write', state('off')), undefined)
  assert.equal(new Fit('read-write', 'a', state('off', 'off')).question, '')
})

test('what the server reports later decides', () => {
  const promoted = new Fit('standby', 'a', state('on', 'off'))
  promoted.heard('TimeZone', 'UTC')
  assert.equal(promoted.unfit, false)
  promoted.heard('in_hot_standby', 'off')
  assert.deepEqual([promoted.unfit, promoted.serverUnfit], [true, true])
  const demoted = new Fit('read-write', 'a', state('off', 'off'))
  demoted.heard('default_transaction_read_only', 'on')
  assert.deepEqual([demoted.unfit, demoted.serverUnfit], [true, false], 'a client may have set it')
  demoted.heard('default_transaction_read_only', 'off')
  assert.equal(demoted.unfit, false)
  const preferred = new Fit('prefer-standby', 'a', state('on', 'off'))
  preferred.heard('in_hot_standby', 'off')
  assert.deepEqual([preferred.unfit, preferred.serverUnfit], [false, false])
})

test('25006 raises the question only where writes are wanted and the server reports nothing', () => {
  const doubts = (attribute: SessionAttribute, sqlstate: string, ...reported: ('on' | 'off')[]) => {
    const fit = new Fit(attribute, 'a', state(...reported))
    fit.refused(sqlstate)
    return fit.doubted
  }
  assert.ok(doubts('read-write', '25006'))
  assert.ok(doubts('primary', '25006'))
  assert.ok(!doubts('read-write', '42501'))
  assert.ok(!doubts('standby', '25006'))
  assert.ok(!doubts('read-write', '25006', 'off', 'off'))
})
