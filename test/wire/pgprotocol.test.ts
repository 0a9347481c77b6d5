import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  close,
  decodeCommandTag,
  decodeDataRow,
  NulByteError,
  parse,
  passwordMessage,
  query,
  saslInitialResponse,
  saslResponse,
  sslRequest,
  startupMessage,
  sync,
  terminate,
} from '../../src/wire/pgprotocol.ts'
import * as sent from '../kit/raw-messages.ts'
import { offsetCopy } from '../kit/splits.ts'

test("a startup message has the client's encoding where there is one: the server takes the last of two", () => {
  const message = (name: string) => startupMessage('a', 'b', [[name, 'LATIN1']])
  for (const name of ['client_encoding', 'CLIENT_ENCODING'])
    assert.deepEqual(message(name), sent.startup({ user: 'a', database: 'b', [name]: 'LATIN1' }))
  assert.deepEqual(message('z'), sent.startup({ user: 'a', database: 'b', z: 'LATIN1', client_encoding: 'UTF8' }))
})

test('what we say to servers, byte for byte', () => {
  assert.deepEqual(sslRequest(), sent.sslRequest())
  const encoding = { client_encoding: 'UTF8' }
  assert.deepEqual(
    startupMessage('anna', 'shop', [['role', 'app']]),
    sent.startup({ user: 'anna', database: 'shop', role: 'app', ...encoding }),
  )
  assert.deepEqual(passwordMessage('hünter2'), sent.password('hünter2'))
  const first = Buffer.from('n,,n=,r=x')
  assert.deepEqual(saslInitialResponse('SCRAM-SHA-256', String(first)), sent.message('p', 'SCRAM-SHA-256', sent.int32(first.length), first))
  assert.deepEqual(saslResponse('c=biws'), sent.message('p', Buffer.from('c=biws')))
  assert.deepEqual(query('select 1'), sent.query('select 1'))
  assert.deepEqual(parse('s1', 'select 2'), sent.parse('s1', 'select 2'))
  assert.deepEqual(close('S', ''), sent.closeStatement(''))
  assert.deepEqual(sync(), sent.sync())
  assert.deepEqual(terminate(), sent.terminate())
})

test('a NUL never ends a text early', () => {
  const attempts = [
    () => startupMessage('a\0b', 'c', []),
    () => startupMessage('a', 'b\0c', []),
    () => startupMessage('a', 'b', [['c\0', 'd']]),
    () => startupMessage('a', 'b', [['c', 'd\0role\0postgres']]),
    () => passwordMessage('a\0'),
    () => query('select 1\0'),
    () => parse('a\0', 'b'),
    () => parse('', 'b\0'),
    () => close('S', 'a\0'),
  ]
  for (const attempt of attempts) assert.throws(attempt, NulByteError)
})

function dataRow(...values: (string | null)[]): Buffer {
  const parts = values.map((value) => {
    const bytes = Buffer.from(value ?? '')
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : bytes.length)
    return Buffer.concat([length, bytes])
  })
  const whole = Buffer.concat([Buffer.alloc(7), ...parts])
  whole[0] = 0x44
  whole.writeUInt32BE(whole.length - 1, 1)
  whole.writeInt16BE(values.length, 5)
  return whole
}

test('rows and tags are decoded at any offset', () => {
  assert.deepEqual(decodeDataRow(offsetCopy(dataRow('ünï', null, ''))), ['ünï', null, ''])
  assert.deepEqual(decodeDataRow(dataRow()), [])
  assert.equal(decodeCommandTag(offsetCopy(Buffer.from('C\0\0\0\x0dSELECT 1\0', 'latin1'))), 'SELECT 1')
})

test('a row that lies about its counts or lengths is undefined, not an exception', () => {
  const lie = (change: (row: Buffer) => void): Buffer => {
    const row = dataRow('abc', 'd')
    change(row)
    return row
  }
  for (const count of [-1, 0, 1, 3, 32767]) assert.equal(decodeDataRow(lie((row) => row.writeInt16BE(count, 5))), undefined)
  for (const length of [-2, -1, 2, 4, 0x7fffffff]) assert.equal(decodeDataRow(lie((row) => row.writeInt32BE(length, 7))), undefined)
  assert.equal(decodeDataRow(dataRow('a').subarray(0, 6)), undefined)
  assert.equal(decodeCommandTag(Buffer.from('C\0\0\0\x06SE', 'latin1')), undefined)
  assert.equal(decodeCommandTag(Buffer.from('D\0\0\0\x06S\0', 'latin1')), undefined)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
      for (const type of [0x44, 0x43]) {
        const message = Buffer.concat([Buffer.from([type, 0, 0, 0, body.length + 4]), body])
        decodeDataRow(message)
        decodeCommandTag(message)
      }
    }),
    { numRuns: 2_000 },
  )
})
