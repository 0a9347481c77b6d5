import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BACKEND_NAMES, FRONTEND_NAMES } from '../src/wire/codes.ts'
import { passwordMessage, query, sslRequest, startupMessage } from '../src/wire/pgprotocol.ts'
import { backendKeyData, errorResponse, parameterStatus, readyForQuery } from '../src/wire/reply.ts'
import { cancelRequest } from '../src/wire/request.ts'
import { arrivals } from './kit/splits.ts'
import { Tracer, traceMessage } from './kit/trace.ts'

const CLIENT = Buffer.concat([sslRequest(), startupMessage('a', 'b', []), query('begin')])
const SERVER = Buffer.concat([parameterStatus('a', 'b'), backendKeyData(1, Buffer.from('1234')), readyForQuery('I')])

test('a stream gives the same lines however it arrives', () => {
  for (const [direction, stream] of [
    ['F', CLIENT],
    ['B', SERVER],
  ] as const) {
    const expected = new Tracer(direction, true).push(stream)
    assert.equal(expected.length, 3)
    for (const chunks of arrivals(stream)) {
      const tracer = new Tracer(direction, true)
      assert.deepEqual(
        chunks.flatMap((chunk) => tracer.push(chunk)),
        expected,
      )
    }
  }
})

const message = (type: string, hex: string): Buffer => {
  const body = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  const whole = Buffer.concat([Buffer.alloc(5), body])
  whole.write(type)
  whole.writeUInt32BE(body.length + 4, 1)
  return whole
}

test('messages with structure', () => {
  const rows: ['F' | 'B', Buffer, string][] = [
    ['F', message('B', '7000 7300 0001 0001 0002 00000002 6162 ffffffff 0000'), 'F\t26\tBind\t "p" "s" 1 1 2 2 \'ab\' -1 0'],
    ['F', message('E', '00 00000005'), 'F\t9\tExecute\t "" 5'],
    ['F', message('D', '53 7300'), 'F\t7\tDescribe\t S "s"'],
    ['F', message('F', '00000007 0000 0001 00000001 31 0000'), "F\t19\tFunctionCall\t 7 0 1 1 '1' 0"],
    ['F', message('d', '00ff5c'), "F\t7\tCopyData\t '\\x00\\xff\\x5c'"],
    ['B', message('T', '0001 6100 00000000 0000 00000017 0004 ffffffff 0000'), 'B\t26\tRowDescription\t 1 "a" 0 0 23 4 -1 0'],
    ['B', message('D', '0002 00000001 31 ffffffff'), "B\t15\tDataRow\t 2 1 '1' -1"],
    ['B', message('t', '0001 00000019'), 'B\t10\tParameterDescription\t 1 25'],
    ['B', message('G', '00 0001 0000'), 'B\t9\tCopyInResponse\t 0 1 0'],
    ['B', message('A', '00000001 6300 00'), 'B\t11\tNotificationResponse\t NNNN "c" ""'],
    ['B', message('R', '0000000a 5800 00'), 'B\t11\tAuthenticationSASL\t "X" ""'],
    ['B', message('R', '00000005 01020304'), 'B\t12\tAuthenticationMD5Password\t NNNN'],
    ['B', message('1', ''), 'B\t4\tParseComplete'],
    ['B', message('?', '00'), "B\t5\tUnknown('?')"],
    ['B', message('S', '6100 62'), 'B\t7\tParameterStatus\t "a" malformed'],
  ]
  for (const [direction, bytes, expected] of rows) assert.equal(traceMessage(direction, bytes), expected)
})

test('file, line and routine of an error are shown without their values', () => {
  const bytes = message('E', Buffer.from('SERROR\0Fx.c\0L1\0Rf\0\0').toString('hex'))
  assert.equal(traceMessage('B', bytes), 'B\t23\tErrorResponse\t S "ERROR" \\x00')
  assert.match(traceMessage('B', errorResponse({ severity: 'ERROR', sqlstate: '42501', message: 'no' })), /M "no" \\x00$/)
})

test('secrets are left out', () => {
  assert.doesNotMatch(traceMessage('F', passwordMessage('hunter2')), /hunter2/)
  assert.equal(new Tracer('F', true).push(cancelRequest(5, Buffer.from('keyy')))[0], 'F\t16\tCancelRequest\t NNNN NNNN')
  assert.doesNotMatch(traceMessage('B', backendKeyData(5, Buffer.from('keyy'))), /keyy/)
})

test('no bytes make it throw or hang', () => {
  const types = fc.constantFrom(...FRONTEND_NAMES.keys(), ...BACKEND_NAMES.keys(), 0)
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 40 }), fc.boolean(), (type, body, fromStart) => {
      const bytes = Buffer.concat([Buffer.from([type, 0, 0, 0, body.length + 4]), body])
      for (const direction of ['F', 'B'] as const) {
        assert.equal(typeof traceMessage(direction, bytes), 'string')
        new Tracer(direction, fromStart).push(bytes)
        new Tracer(direction, fromStart).push(Buffer.from(body))
      }
    }),
    { numRuns: 2_000 },
  )
})
