// The table of errors: what clients are told, and that no row is incomplete.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOSE_REASONS, ERRORS, type ErrorCode, type ErrorRow, errorText, PgleaseError } from '../src/errors.ts'

const ROWS = Object.entries(ERRORS) as [ErrorCode, ErrorRow][]

test('every row has a SQLSTATE that is no success, a class and a text of one line', () => {
  for (const [code, row] of ROWS) {
    assert.match(code, /^[a-z][a-z_]*[a-z]$/)
    assert.match(row.sqlstate, /^(?!00|01|02)[0-9A-Z]{5}$/, code)
    assert.ok(['transient', 'permanent', 'final'].includes(row.class), code)
    assert.match(row.text, /^\S[^\n\0]*\S$/, code)
    assert.ok(row.text.split('%s').length <= 2, code)
    assert.match(row.hint, /^$|^[A-Z][^\n\0]*\.$/, code)
  }
})

test('texts that drivers and people know from pgbouncer are the same', () => {
  const known: [ErrorCode, string, string][] = [
    ['no_such_database', '08P01', 'no such database: x'],
    ['too_many_clients', '08P01', 'no more connections allowed (max_client_conn)'],
    ['unsupported_startup_parameter', '08P01', 'unsupported startup parameter: x'],
    ['client_login_timeout', '08P01', 'client_login_timeout'],
    ['query_wait_timeout', '08P01', 'query_wait_timeout'],
    ['server_lost', '08006', 'server conn crashed?'],
    ['login_cached_error', '08P01', 'server login has been failing, cached error: x (server_login_retry)'],
    ['shutting_down', '57P01', 'pooler is shutting down'],
  ]
  for (const [code, sqlstate, text] of known) assert.deepEqual([ERRORS[code].sqlstate, errorText(code, 'x')], [sqlstate, text])
})

test('the detail is put in its place as it is, whatever it looks like', () => {
  assert.equal(errorText('no_such_database'), 'no such database: ')
  for (const detail of ['a', '%s', '$&', "$'$`$1", '']) assert.equal(errorText('no_such_database', detail), `no such database: ${detail}`)
})

test('an error says what its row says', () => {
  for (const [code, row] of ROWS) {
    const error = new PgleaseError(code, 'why')
    assert.ok(error instanceof Error)
    assert.deepEqual(
      [error.name, error.code, error.detail, error.message, error.sqlstate, error.class],
      ['PgleaseError', code, 'why', errorText(code, 'why'), row.sqlstate, row.class],
    )
    if (code !== 'query_wait_timeout') assert.equal(error.hint, row.hint)
  }
  assert.equal(new PgleaseError('shutting_down').detail, '')
})

test('a wait that ended for a known cause gives no advice about the pool', () => {
  assert.match(new PgleaseError('query_wait_timeout').hint, /default_pool_size/)
  assert.equal(new PgleaseError('query_wait_timeout', 'Vault is unreachable').hint, '')
})

test('reasons for closing are words of their own', () => {
  assert.equal(new Set(CLOSE_REASONS).size, CLOSE_REASONS.length)
  for (const reason of CLOSE_REASONS) assert.match(reason, /^[a-z]+(?:_[a-z]+)*$/)
})
