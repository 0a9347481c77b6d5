import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERRORS } from '../../src/errors.ts'
import { loginErrorCode, ServerRefusal, safeText } from '../../src/server/refusal.ts'
import { parseFields } from '../../src/wire/reply.ts'

test('an error that passes by itself is transient, all else is permanent', () => {
  const transient = ['28P01', '28000', '53300', '57P03', '53200', '53400', '57P01', '57P02', '57P05', '08006', '08P01', '58030']
  const permanent = ['3D000', '57P04', '42501', '22023', '42704', '0A000', '55000', 'XX000', '']
  for (const sqlstate of transient) assert.equal(ERRORS[loginErrorCode(sqlstate)].class, 'transient', sqlstate)
  for (const sqlstate of permanent) assert.equal(ERRORS[loginErrorCode(sqlstate)].class, 'permanent', sqlstate)
})

test('a text is one short line without the secret', () => {
  assert.equal(safeText('  a\n\tb\u0000\u0085c  '), 'a b c')
  assert.equal(safeText('pw and pw', 'pw'), '[redacted] and [redacted]')
  assert.equal(safeText('x'.repeat(600)).length, 503)
  assert.equal(safeText('unchanged', ''), 'unchanged')
})

test('a refusal keeps what the server said and may be another row of the table', () => {
  const fields = parseFields(Buffer.from('SFATAL\0C57P01\0Mgone\0\0'))
  const refusal = new ServerRefusal('db:5432', fields, '', 'server_lost')
  assert.deepEqual([refusal.code, refusal.detail, refusal.serverSqlstate], ['server_lost', 'db:5432: gone (SQLSTATE 57P01)', '57P01'])
})
