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
import { offsetCopy } from '../kit/splits.ts'
import { Tracer } from '../kit/trace.ts'

test("a startup message has the client's encoding where there is one: the server takes the last of two", () => {
  const trace = (name: string) =>
    new Tracer('F', true)
      .push(
        startupMessage('a', 'b', [
          [name, 'LATIN1'],
          ['x', 'y'],
        ]),
      )
      .join()
  for (const name of ['client_encoding', 'CLIENT_ENCODING']) {
    assert.ok(trace(name).endsWith(`StartupMessage\t 3 0 "user" "a" "database" "b" "${name}" "LATIN1" "x" "y"`))
    const bytes = startupMessage('a', 'b', [[name, 'LATIN1']])
    assert.equal(bytes.readInt32BE(0), bytes.length)
  }
  assert.match(trace('z'), /"client_encoding" "UTF8"$/)
})

test('what we say to servers, as a trace', () => {
  const tracer = new Tracer('F', true)
  const stream = Buffer.concat([
    sslRequest(),
    startupMessage('anna', 'shop', [['role', 'app']]),
    passwordMessage('hunter2'),
    saslInitialResponse('SCRAM-SHA-256', 'n,,n=,r=x'),
    saslResponse('c=biws'),
    query('select 1'),
    parse('s1', 'select 2'),
    close('S', ''),
    sync(),
    terminate(),
  ])
  assert.deepEqual(tracer.push(stream), [
    'F\t8\tSSLRequest',
    'F\t63\tStartupMessage\t 3 0 "user" "anna" "database" "shop" "role" "app" "client_encoding" "UTF8"',
    'F\t12\tPasswordMessage\t NNNN',
    'F\t31\tPasswordMessage\t NNNN',
    'F\t10\tPasswordMessage\t NNNN',
    'F\t13\tQuery\t "select 1"',
    'F\t18\tParse\t "s1" "select 2" 0',
    'F\t6\tClose\t S ""',
    'F\t4\tSync',
    'F\t4\tTerminate',
  ])
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
