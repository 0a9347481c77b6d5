// Bad input for the ports and sockets of clients: what is sent, and what must come back before the connection ends.
import {
  bind,
  cancelRequest,
  execute,
  flush,
  gssRequest,
  int32,
  message,
  PROTOCOL_3_0,
  packet,
  parse,
  password,
  query,
  sslRequest,
  startup,
  sync,
} from '../kit/raw-messages.ts'

export interface Attack {
  kind: string
  bytes(random: () => number): Buffer
  /** What comes back, up to the end of the connection: latin1, a point for each control character. */
  answer: RegExp
  /** Closes its half after sending; without it the end must come from pglease. */
  halfClose?: true
  /** Its end is a timeout's. */
  slow?: true
  /** The session goes on after the answer; the client leaves then. */
  stays?: true
}

const me = { user: 'anyone', database: 'app' }
const SILENCE = /^$/
const LONG_NAME = 'n'.repeat(1_000)
/** An ErrorResponse with FATAL 08P01 and this message. */
const fatal = (text: string): RegExp => new RegExp(`SFATAL\\.VFATAL\\.C08P01\\.M${text}`)
/** After a login: the refusal comes behind ReadyForQuery. */
const fatalAfterLogin = (text: string): RegExp => new RegExp(`Z\\.{4}I.*SFATAL\\.VFATAL\\.C08P01\\.M${text}`)
/** PostgreSQL answers N before it refuses. */
const UNENCRYPTED = /^N?E.*SFATAL\.VFATAL\.C08P01\.M.*received unencrypted data after/
const header = (type: string, length: number): Buffer => {
  const bytes = Buffer.from(`${type}....`)
  bytes.writeUInt32BE(length, 1)
  return bytes
}
const lengthOnly = (length: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}
const noise = (random: () => number, length: number): Buffer => Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)))
/** The first bytes of a TLS 1.3 ClientHello. */
export const CLIENT_HELLO = Buffer.from(`16030100c8010000c40303${'00'.repeat(32)}20`, 'hex')
const login = (...parts: Buffer[]): Buffer => Buffer.concat([startup(me), ...parts])

const FIRST_PACKETS: readonly Attack[] = [
  {
    kind: 'noise',
    bytes: (random) => Buffer.concat([Buffer.from([1 + Math.floor(random() * 255)]), noise(random, 1 + Math.floor(random() * 500))]),
    answer: fatal('bad startup packet: (invalid length|TLS handshake without SSLRequest)'),
  },
  { kind: 'a length of 0', bytes: () => lengthOnly(0), answer: fatal('bad startup packet: invalid length') },
  { kind: 'a length that does not cover itself', bytes: () => lengthOnly(7), answer: fatal('bad startup packet: invalid length') },
  { kind: 'a length beyond 10,000', bytes: () => lengthOnly(10_005), answer: fatal('bad startup packet: invalid length') },
  {
    kind: 'a length beyond 2^31',
    bytes: (random) => Buffer.concat([lengthOnly(2 ** 31 + 8 + Math.floor(random() * 2 ** 30)), int32(PROTOCOL_3_0)]),
    answer: fatal('bad startup packet: invalid length'),
  },
  { kind: 'a negative length', bytes: () => int32(-1), answer: fatal('bad startup packet: invalid length') },
  { kind: 'protocol 2', bytes: () => startup(me, 2 << 16), answer: fatal('old V2 protocol not supported') },
  { kind: 'protocol 4', bytes: () => startup(me, 4 << 16), answer: fatal('bad startup packet: unsupported protocol 4\\.0') },
  {
    kind: 'no terminator',
    bytes: () => packet(PROTOCOL_3_0, 'user', Buffer.from('me')),
    answer: fatal('bad startup packet: expected terminator'),
  },
  {
    kind: 'a name without a value',
    bytes: () => packet(PROTOCOL_3_0, 'user', 'me', 'database'),
    answer: fatal('bad startup packet: expected terminator'),
  },
  { kind: 'no user', bytes: () => startup({ database: 'app' }), answer: fatal('bad startup packet: no user name') },
  {
    kind: 'an overlong database',
    bytes: () => startup({ ...me, database: 'x'.repeat(64) }),
    answer: fatal('bad startup packet: database name is longer'),
  },
  {
    kind: 'an overlong user',
    bytes: () => startup({ ...me, user: 'x'.repeat(9_000) }),
    answer: fatal('bad startup packet: user name is longer'),
  },
  {
    kind: 'a user that is no UTF-8',
    bytes: () => packet(PROTOCOL_3_0, 'user', Buffer.from([0xc3, 0x28, 0]), Buffer.from([0])),
    answer: fatal('bad startup packet: user name is not valid UTF-8'),
  },
  {
    kind: 'a database that does not exist',
    bytes: () => startup({ ...me, database: 'nowhere' }),
    answer: fatal('no such database: nowhere'),
  },
  {
    kind: 'the admin console on the data port',
    bytes: () => startup({ ...me, database: 'pgbouncer' }),
    answer: fatal('no such database: pgbouncer'),
  },
  {
    kind: 'an unsupported parameter',
    bytes: () => startup({ ...me, lock_timeout: '1' }),
    answer: fatal('unsupported startup parameter: lock_timeout'),
  },
  { kind: 'options without a name', bytes: () => startup({ ...me, options: '-c=' }), answer: fatal('bad startup packet: =') },
  {
    kind: 'options that never end',
    bytes: () => startup({ ...me, options: `-c ${'\\ '.repeat(4_000)}` }),
    answer: fatal('bad startup packet: '),
  },
  {
    kind: 'replication of no kind',
    bytes: () => startup({ ...me, replication: 'maybe' }),
    answer: fatal('bad startup packet: invalid value for parameter "replication": "maybe"'),
  },
  { kind: 'a password before the startup packet', bytes: () => password('secret'), answer: fatal('bad startup packet: invalid length') },
  { kind: 'a query before the startup packet', bytes: () => query('SELECT 1'), answer: fatal('bad startup packet: invalid length') },
  { kind: 'TLS without a request', bytes: () => CLIENT_HELLO, answer: fatal('bad startup packet: TLS handshake without SSLRequest') },
  {
    kind: 'TLS after the request was declined',
    bytes: () => Buffer.concat([sslRequest(), CLIENT_HELLO]),
    answer: UNENCRYPTED,
  },
  {
    kind: 'a startup packet in the same bytes as the request for TLS',
    bytes: () => Buffer.concat([sslRequest(), startup(me)]),
    answer: UNENCRYPTED,
  },
  {
    kind: 'a malformed request for TLS',
    bytes: () => packet(80877103, Buffer.alloc(4)),
    answer: fatal('bad startup packet: wrong length of SSLRequest'),
  },
  {
    kind: 'a malformed request for GSS',
    bytes: () => packet(80877104, Buffer.alloc(1)),
    answer: fatal('bad startup packet: wrong length of GSSENCRequest'),
  },
  {
    kind: 'a cancel request without a key',
    bytes: () => cancelRequest(1, Buffer.alloc(0)),
    answer: fatal('bad startup packet: wrong length of CancelRequest'),
  },
  {
    kind: 'a cancel request with a huge key',
    bytes: () => cancelRequest(1, Buffer.alloc(300)),
    answer: fatal('bad startup packet: wrong length of CancelRequest'),
  },
  {
    kind: 'a cancel request for nobody',
    bytes: (random) => cancelRequest(Math.floor(random() * 2 ** 31), noise(random, 32)),
    answer: SILENCE,
  },
  {
    kind: 'HTTP',
    bytes: () => Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    answer: fatal('bad startup packet: invalid length'),
  },
  {
    kind: 'a PROXY header',
    bytes: () => Buffer.concat([Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'), startup(me)]),
    answer: fatal('bad startup packet: invalid length'),
  },
  { kind: 'nothing at all', bytes: () => Buffer.alloc(0), answer: SILENCE, halfClose: true },
  { kind: 'half a startup packet and its end', bytes: () => startup(me).subarray(0, 17), answer: SILENCE, halfClose: true },
  { kind: 'a byte, and then nothing', bytes: () => Buffer.from([0]), answer: fatal('client_login_timeout'), slow: true },
  {
    kind: 'half a startup packet, and then nothing',
    bytes: () => startup(me).subarray(0, 17),
    answer: fatal('client_login_timeout'),
    slow: true,
  },
  { kind: 'no byte for ever', bytes: () => Buffer.alloc(0), answer: SILENCE, slow: true },
]

const AFTER_LOGIN: readonly Attack[] = [
  {
    kind: 'a second startup packet',
    bytes: () => login(startup({ ...me, user: 'postgres' })),
    answer: fatalAfterLogin('protocol violation: unexpected message type 0x00'),
  },
  {
    kind: 'a password that nobody asked for',
    bytes: () => login(password('x')),
    answer: fatalAfterLogin('protocol violation: unexpected message type 0x70'),
  },
  {
    kind: 'a request for TLS after the login',
    bytes: () => login(sslRequest(), gssRequest()),
    answer: fatalAfterLogin('protocol violation'),
  },
  {
    kind: 'a message of no known type',
    bytes: () => login(message('~', 'x')),
    answer: fatalAfterLogin('protocol violation: unexpected message type 0x7e'),
  },
  {
    kind: 'a server’s message',
    bytes: () => login(message('Z', Buffer.from('I'))),
    answer: fatalAfterLogin('protocol violation: unexpected message type 0x5a'),
  },
  {
    kind: 'a message of 3 bytes',
    bytes: () => login(header('Q', 3)),
    answer: fatalAfterLogin('protocol violation: a message cannot be 3 bytes long'),
  },
  {
    kind: 'a message of -1 bytes',
    bytes: () => login(header('Q', 2 ** 32 - 1)),
    answer: fatalAfterLogin('message too large: 4294967295 bytes'),
  },
  {
    kind: 'a message of more than 2^31 bytes',
    bytes: () => login(header('P', 2 ** 31 + 5), Buffer.alloc(100)),
    answer: fatalAfterLogin('message too large: 2147483653 bytes'),
  },
  {
    kind: 'noise after the login',
    bytes: (random) => login(Buffer.from([0x80 + Math.floor(random() * 128)]), noise(random, 300)),
    answer: fatalAfterLogin('(protocol violation|message too large)'),
  },
  {
    kind: 'a query without its end',
    bytes: () => login(message('Q', Buffer.from('SELECT 1'))),
    answer: /C08P01\.Minvalid string in message/,
    stays: true,
  },
  {
    kind: 'a Bind of nothing',
    bytes: () => login(bind('', ''), execute(), sync()),
    answer: /C26000\.Munnamed prepared statement does not exist/,
    stays: true,
  },
  {
    kind: 'an Execute of nothing',
    bytes: () => login(execute('nothing'), sync()),
    answer: /C34000\.Mportal "nothing" does not exist/,
    stays: true,
  },
  {
    kind: 'a Bind with counts that lie',
    bytes: () => login(parse('', 'SELECT $1::int'), message('B', '', '', 0, 30_000), sync()),
    answer: /C08P01\.M/,
    stays: true,
  },
  {
    kind: 'a Parse whose text has no end',
    bytes: () => login(message('P', Buffer.from('\0SELECT')), sync()),
    answer: /C08P01\.M/,
    stays: true,
  },
  {
    kind: 'a Bind whose name has no end but that of the message behind it',
    bytes: () => login(parse(LONG_NAME, 'SELECT 1'), sync(), message('B', Buffer.from('a')), Buffer.from(`Q\0${LONG_NAME}\0`)),
    answer: /C08P01\.M/,
    stays: true,
  },
  {
    kind: 'a function call with noise',
    bytes: (random) => login(message('F', noise(random, 20))),
    answer: /C(08P01|42883|22023|22P02|0A000)\.M/,
    stays: true,
  },
  {
    kind: 'COPY data that nobody asked for',
    bytes: () => login(message('d', Buffer.alloc(100)), message('c'), message('f', 'x'), flush(), query('SELECT 77')),
    answer: /D\.{10}77/,
    stays: true,
  },
  {
    kind: 'a named statement of garbage',
    bytes: () => login(parse('PGLEASE_1', '\xff SELECT'), sync()),
    answer: /C42601\.M/,
    stays: true,
  },
  {
    kind: 'a query that is cut off by the end',
    bytes: () => login(header('Q', 1000), Buffer.from('SELECT')),
    answer: /Z\.{4}I$/,
    halfClose: true,
  },
  {
    kind: 'a transaction and a large message, cut off by the end',
    bytes: () => login(query('BEGIN'), header('Q', 1_000_000), Buffer.alloc(70_000, 0x20)),
    // what is sent ahead of the login is bounded, if it comes ahead
    answer: /Z\.{4}I|SFATAL.*too much was sent before the login was over/,
    halfClose: true,
  },
]

export const WIRE_ATTACKS: readonly Attack[] = [...FIRST_PACKETS, ...AFTER_LOGIN]
