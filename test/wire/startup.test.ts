import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { startupMessage } from '../../src/wire/pgprotocol.ts'
import { cancelRequest } from '../../src/wire/request.ts'
import { type FirstPacket, parseOptions, parseStartup, type StartupMessage } from '../../src/wire/startup.ts'
import { arrivals, offsetCopy } from '../kit/splits.ts'

function packet(version: number, body: string | Buffer = Buffer.alloc(0)): Buffer {
  const content = Buffer.from(body)
  const whole = Buffer.alloc(8 + content.length)
  whole.writeUInt32BE(whole.length, 0)
  whole.writeUInt32BE(version, 4)
  content.copy(whole, 8)
  return whole
}

const V3_0 = 0x30000
const V3_2 = 0x30002
const GREASE = 0x3270f

function startup(bytes: Buffer): StartupMessage {
  const parsed = parseStartup(bytes)
  assert.equal(parsed.kind, 'startup', JSON.stringify(parsed))
  return parsed as StartupMessage
}

function invalidDetail(bytes: Buffer): string {
  const parsed = parseStartup(bytes)
  assert.equal(parsed.kind, 'invalid', JSON.stringify(parsed))
  return parsed.kind === 'invalid' ? `${parsed.code}: ${parsed.detail}` : ''
}

/** Feeds chunks as a connection would and answers the verdict with the bytes that were there. */
function feed(chunks: Buffer[]): { parsed: FirstPacket; seen: number } {
  let bytes: Buffer = Buffer.alloc(0)
  for (const chunk of chunks) {
    bytes = offsetCopy(Buffer.concat([bytes, chunk]))
    const parsed = parseStartup(bytes)
    if (parsed.kind !== 'need_more') return { parsed, seen: bytes.length }
    assert.ok(parsed.atLeast > bytes.length, 'asks for more than is there')
  }
  throw new Error('never complete')
}

test('every kind of first packet is read the same however it arrives', () => {
  const packets = [
    packet(80877103),
    packet(80877104),
    cancelRequest(4_000_000_000, Buffer.from('key!')),
    cancelRequest(7, Buffer.alloc(256, 9)),
    packet(V3_0, 'user\0anna\0database\0shop\0application_name\0psql\0options\0-c a=b\0replication\0false\0\0'),
    packet(V3_2, 'user\0anna\0_pq_.grease\0\0\0'),
    packet(GREASE, 'user\0ünï\0\0'),
  ]
  for (const bytes of packets) {
    const expected = parseStartup(bytes)
    assert.ok('length' in expected && expected.length === bytes.length)
    for (const chunks of arrivals(bytes)) assert.deepEqual(feed(chunks), { parsed: expected, seen: bytes.length })
    // what follows belongs to the next message
    assert.deepEqual(parseStartup(Buffer.concat([bytes, Buffer.from('more')])), expected)
    assert.deepEqual(parseStartup(Buffer.concat([bytes, Buffer.from('more')]), bytes.length - 1), {
      kind: 'need_more',
      atLeast: bytes.length,
    })
  }
})

test('a startup message has its fields', () => {
  const parsed = startup(
    packet(V3_2, 'user\0anna\0TimeZone\0UTC\0a\x001\0options\0-c x=y\0_pq_.one\x001\0_pq_.one\x002\0_pq_.two\0\0a\x002\0\0'),
  )
  assert.deepEqual([parsed.major, parsed.minor, parsed.user, parsed.database], [3, 2, 'anna', 'anna'])
  assert.deepEqual(
    [...parsed.parameters],
    [
      ['TimeZone', 'UTC'],
      ['a', '2'],
    ],
  )
  assert.deepEqual([parsed.options, parsed.replication], ['-c x=y', undefined])
  assert.deepEqual(parsed.protocolOptions, ['_pq_.one', '_pq_.two'])
  const doubled = startup(packet(V3_0, 'user\0first\0user\0last\0database\0\0replication\0database\0\0'))
  assert.deepEqual([doubled.user, doubled.database, doubled.replication], ['last', 'last', 'logical'])
  assert.equal(startup(packet(GREASE, 'user\0a\0\0')).minor, 9999)
})

test('replication is read as PostgreSQL reads it', () => {
  const kindOf = (value: string) => {
    const parsed = parseStartup(packet(V3_0, `user\0a\0replication\0${value}\0\0`))
    return parsed.kind === 'startup' ? parsed.replication : parsed.kind === 'invalid' ? parsed.detail : parsed.kind
  }
  for (const value of ['true', 'TRUE', 't', 'yes', 'y', 'on', 'ON', '1']) assert.equal(kindOf(value), 'physical', value)
  for (const value of ['false', 'f', 'no', 'n', 'off', 'of', 'OFF', '0']) assert.equal(kindOf(value), undefined, value)
  assert.equal(kindOf('database'), 'logical')
  for (const value of ['', 'o', 'Database', 'trues', '2', 'maybe'])
    assert.equal(kindOf(value), `invalid value for parameter "replication": "${value}"`)
})

test('a startup message of the serializer is understood', () => {
  const parsed = startup(
    startupMessage('anna', 'shop', [
      ['role', 'app'],
      ['__proto__', 'x'],
    ]),
  )
  assert.deepEqual([parsed.user, parsed.database, parsed.minor], ['anna', 'shop', 0])
  assert.deepEqual(
    [...parsed.parameters],
    [
      ['role', 'app'],
      ['__proto__', 'x'],
      ['client_encoding', 'UTF8'],
    ],
  )
})

test('a cancel request carries a key of 4 to 256 bytes, copied', () => {
  const bytes = cancelRequest(0xfffffff0, Buffer.from('12345'))
  const parsed = parseStartup(bytes)
  bytes.fill(0)
  assert.deepEqual(parsed, { kind: 'cancel_request', length: 17, processId: 0xfffffff0, key: Buffer.from('12345') })
  assert.match(invalidDetail(cancelRequest(1, Buffer.alloc(3))), /wrong length of CancelRequest/)
  assert.match(invalidDetail(cancelRequest(1, Buffer.alloc(257))), /wrong length of CancelRequest/)
})

test('lengths out of bounds are refused from what is there', () => {
  const header = (length: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(length)
    return bytes
  }
  for (const length of [0, 3, 4, 7, 10_005, 0x7fffffff, 0x80000000, 0xffffffff])
    assert.match(invalidDetail(header(length)), /invalid length/)
  assert.deepEqual(parseStartup(header(10_004)), { kind: 'need_more', atLeast: 10_004 })
  assert.deepEqual(parseStartup(header(8)), { kind: 'need_more', atLeast: 8 })
  assert.deepEqual(parseStartup(Buffer.alloc(0)), { kind: 'need_more', atLeast: 4 })
  assert.match(invalidDetail(Buffer.from('G')), /invalid length/)
  assert.match(invalidDetail(Buffer.from([0x16, 3, 1, 2, 0])), /TLS handshake without SSLRequest/)
  const longest = packet(V3_0, `user\0a\0x\0${'y'.repeat(10_004 - 8 - 7 - 4)}\0\0`)
  assert.equal(longest.length, 10_004)
  assert.equal(startup(longest).parameters.get('x')?.length, 9_985)
})

test('malformed packets are refused with the reason', () => {
  assert.equal(invalidDetail(packet(0x20000, Buffer.alloc(288))), 'old_protocol: ')
  assert.match(invalidDetail(packet(0x40001, 'user\0a\0\0')), /unsupported protocol 4\.1/)
  assert.match(invalidDetail(packet(80877105)), /unsupported protocol 1234\.5681/)
  assert.match(invalidDetail(packet(80877103, 'x')), /SSLRequest/)
  assert.match(invalidDetail(packet(80877104, 'x')), /GSSENCRequest/)
  const noTerminator = ['', 'user\0a', 'user\0a\0', 'user\0\0', 'user', '\0user\0a\0\0', 'user\0a\0\0\0', 'user\0a\0x\0\0']
  for (const body of noTerminator) assert.match(invalidDetail(packet(V3_0, body)), /expected terminator as last byte/, JSON.stringify(body))
  for (const body of ['\0', 'database\0a\0\0', 'user\0\0\0']) assert.match(invalidDetail(packet(V3_0, body)), /no user name/)
})

test('names are at most 63 bytes and valid UTF-8', () => {
  assert.equal(startup(packet(V3_0, `user\0${'u'.repeat(63)}\0\0`)).user.length, 63)
  for (const name of ['user', 'database']) {
    assert.match(invalidDetail(packet(V3_0, `user\0a\0${name}\0${'é'.repeat(32)}\0\0`)), new RegExp(`${name} name is longer`))
    const broken = Buffer.concat([Buffer.from(`user\0a\0${name}\0`), Buffer.from([0xff, 0xfe]), Buffer.from('\0\0')])
    assert.match(invalidDetail(packet(V3_0, broken)), new RegExp(`${name} name is not valid UTF-8`))
  }
})

test('no bytes make the parser throw, hang or promise more than a packet may have', () => {
  const version = fc.constantFrom(V3_0, V3_2, GREASE, 0x20000, 80877102, 80877103, 80877104)
  const nasty = fc.array(fc.constantFrom('user', 'database', 'options', '_pq_.x', '\0', '\0\0', 'a', 'ÿ', '-c=', '='), { maxLength: 20 })
  const framed = fc.tuple(version, nasty).map(([code, words]) => packet(code, words.join('')))
  const raw = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(framed, raw), fc.nat(80), (bytes, cut) => {
      const parsed = parseStartup(offsetCopy(bytes), Math.min(cut, bytes.length))
      if (parsed.kind === 'need_more') assert.ok(parsed.atLeast <= 10_004)
      else assert.ok(['ssl_request', 'gss_request', 'cancel_request', 'startup', 'invalid'].includes(parsed.kind))
      parseStartup(offsetCopy(bytes))
    }),
    { numRuns: 2_000 },
  )
})

function options(text: string): Record<string, string> | string {
  const parsed = parseOptions(text)
  return parsed.kind === 'error' ? parsed.detail : Object.fromEntries(parsed.options.map(({ name, value }) => [name, value]))
}

test('options are read as PostgreSQL reads its command line', () => {
  assert.deepEqual(options(''), {})
  assert.deepEqual(options(' \t\n '), {})
  assert.deepEqual(options('-c a=1 -cb=2 --c=3 --d-e=4'), { a: '1', b: '2', c: '3', d_e: '4' })
  assert.deepEqual(options('-c  search_path=a,b\\ c'), { search_path: 'a,b c' })
  assert.deepEqual(options('-c x=a=b'), { x: 'a=b' })
  assert.deepEqual(options('-c x='), { x: '' })
  assert.deepEqual(options('-c x=a\\\\b'), { x: 'a\\b' })
  assert.deepEqual(options('-c x=a\\'), { x: 'a' })
  assert.deepEqual(parseOptions('-c a=1 -c a=2'), {
    kind: 'options',
    options: [
      { name: 'a', value: '1' },
      { name: 'a', value: '2' },
    ],
  })
})

test('options that are not understood are named, also an empty name (CVE-2026-107349)', () => {
  for (const text of ['-c', '--', '-c ', 'x', '-d 5', '-', '\\ ']) assert.equal(typeof options(text), 'string', text)
  for (const text of ['-c=', '-c =x', '--=x', '-c= -c=', '-c x', '--x', '-c -c']) assert.equal(typeof options(text), 'string', text)
  assert.equal(options('-d 5'), '-d')
  assert.equal(options('-c x'), 'x')
})

test('no text makes the options parser throw or hang', () => {
  const words = fc.array(fc.constantFrom('-c', '--', '=', ' ', '\\', 'a', '-', '\t', '-c=', 'b=c'), { maxLength: 30 })
  fc.assert(
    fc.property(
      fc.oneof(
        words.map((list) => list.join('')),
        fc.string(),
      ),
      (text) => void parseOptions(text),
    ),
    { numRuns: 2_000 },
  )
})
