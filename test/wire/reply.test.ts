import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  authenticationOk,
  backendKeyData,
  emptyQueryResponse,
  errorResponse,
  negotiateProtocolVersion,
  noticeResponse,
  parameterStatus,
  parseFields,
  parseParameterStatus,
  readyForQuery,
  withSeverity,
} from '../../src/wire/reply.ts'
import { ServerMessage } from '../kit/server-message.ts'
import { offsetCopy } from '../kit/splits.ts'

const read = (message: Buffer): ServerMessage => new ServerMessage(message.toString('latin1', 0, 1), message.subarray(5))

test('each reply is the message that PostgreSQL would send', () => {
  const lines = [
    errorResponse({ severity: 'FATAL', sqlstate: '08P01', message: 'no', detail: 'why', hint: 'do' }),
    noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'ünï' }),
    authenticationOk(),
    parameterStatus('TimeZone', 'UTC'),
    backendKeyData(0xfffffff0, Buffer.from('1234')),
    readyForQuery('T'),
    negotiateProtocolVersion(2, ['_pq_.a', '_pq_.b']),
    emptyQueryResponse(),
  ].map((message) => {
    assert.equal(message.readUInt32BE(1), message.length - 1)
    return String(read(message))
  })
  assert.deepEqual(lines, [
    "ErrorResponse S='FATAL' C='08P01' M='no' D='why' H='do'",
    "NoticeResponse S='NOTICE' C='00000' M='ünï'",
    'AuthenticationOk',
    "ParameterStatus 'TimeZone' 'UTC'",
    'BackendKeyData',
    'ReadyForQuery T',
    "NegotiateProtocolVersion 196610 '_pq_.a' '_pq_.b'",
    'EmptyQueryResponse',
  ])
  const error = errorResponse({ severity: 'FATAL', sqlstate: '08P01', message: 'no' })
  assert.deepEqual([read(error).fields.V, error.toString('latin1', error.length - 2)], ['FATAL', '\0\0'])
  assert.deepEqual(
    backendKeyData(0xfffffff0, Buffer.alloc(32, 7)).subarray(5),
    Buffer.concat([Buffer.from('fffffff0', 'hex'), Buffer.alloc(32, 7)]),
  )
})

test('a NUL in a text cannot start another field', () => {
  const message = errorResponse({ severity: 'ERROR', sqlstate: '08P01', message: 'a\0Hforged' })
  assert.deepEqual(parseFields(message, 5), { ...parseFields(message, 5), message: 'a Hforged', hint: '' })
  assert.equal(parseParameterStatus(parameterStatus('a\0b', 'c'), 5)?.[0], 'a b')
})

const body = (text: string): Buffer => offsetCopy(Buffer.from(text))

test('fields of an error are read, those that are missing have defaults (CVE-2026-6666)', () => {
  const full = body('SFEHLER\0VERROR\0C42501\0Mm\0Dd\0Hh\0Ww\0Rr\0Zunknown\0\0')
  const expected = {
    severity: 'FEHLER',
    severityNonLocalised: 'ERROR',
    sqlstate: '42501',
    message: 'm',
    detail: 'd',
    hint: 'h',
    where: 'w',
    routine: 'r',
  }
  assert.deepEqual(parseFields(full), expected)
  const inside = Buffer.concat([Buffer.from('xxx'), full, Buffer.from('Mother\0\0')])
  assert.deepEqual(parseFields(inside, 3, 3 + full.length), expected)
  const empty = {
    severity: 'ERROR',
    severityNonLocalised: 'ERROR',
    sqlstate: 'XX000',
    message: '',
    detail: '',
    hint: '',
    where: '',
    routine: '',
  }
  for (const text of ['', '\0', 'C\0\0', 'C123\0\0', 'C4250é\0\0']) assert.deepEqual(parseFields(body(text)), empty, JSON.stringify(text))
  assert.deepEqual(parseFields(body('SFATAL\0Mcut off')), {
    ...empty,
    severity: 'FATAL',
    severityNonLocalised: 'FATAL',
    message: 'cut off',
  })
})

test('another severity leaves all else byte for byte', () => {
  const original = Buffer.concat([body('SFATAL\0VFATAL\0C57P01\0M'), Buffer.from([0xff, 0xe9]), body('\0Fpostgres.c\0L12\0\0')])
  const changed = withSeverity('ERROR', original)
  assert.equal(changed.readUInt32BE(1), changed.length - 1)
  const expected = Buffer.concat([
    Buffer.from('SERROR\0VERROR\0C57P01\0M'),
    Buffer.from([0xff, 0xe9]),
    Buffer.from('\0Fpostgres.c\0L12\0\0'),
  ])
  assert.deepEqual(changed.subarray(5), expected)
  const inside = Buffer.concat([Buffer.from('xx'), original, Buffer.from('Mother\0\0')])
  assert.deepEqual(withSeverity('ERROR', inside, 2, 2 + original.length), changed)
  assert.equal(parseFields(withSeverity('FATAL', body('Mm\0\0')), 5).sqlstate, 'XX000')
})

test('ParameterStatus is a name and a value or nothing', () => {
  const message = parameterStatus('DateStyle', '')
  assert.deepEqual(parseParameterStatus(offsetCopy(message), 5), ['DateStyle', ''])
  const twice = Buffer.concat([message, parameterStatus('a', 'b')])
  assert.deepEqual(parseParameterStatus(twice, 5, message.length), ['DateStyle', ''])
  for (const text of ['', 'a', 'a\0', 'a\0b', 'a\0b\0c', '\0b\0'])
    assert.equal(parseParameterStatus(body(text)), undefined, JSON.stringify(text))
})

test('no bytes make a parser of replies throw or hang', () => {
  const pieces = fc.array(fc.oneof(fc.constantFrom('S', 'V', 'C', 'M', '\0', '\0\0', 'C42501\0'), fc.string({ maxLength: 4 })), {
    maxLength: 20,
  })
  fc.assert(
    fc.property(pieces, fc.nat(90), fc.nat(90), (words, start, end) => {
      const bytes = body(words.join(''))
      const whole = parseFields(bytes)
      parseFields(bytes, start, end)
      parseParameterStatus(bytes, start, end)
      withSeverity('ERROR', bytes, start, end)
      assert.match(whole.sqlstate, /^[0-9A-Z]{5}$/)
      const again = parseFields(withSeverity('ERROR', bytes), 5)
      assert.deepEqual([again.severity, again.message, again.sqlstate], ['ERROR', whole.message, whole.sqlstate])
    }),
    { numRuns: 2_000 },
  )
})
