// Bad input for the HTTP ports: what is sent, and what must come back before the connection ends.
import { startup } from '../kit/raw-messages.ts'
import { type Attack, CLIENT_HELLO } from './hostile_wire.ts'

const lines = (...parts: string[]): Buffer => Buffer.from(`${parts.join('\r\n')}\r\n\r\n`, 'latin1')
/** A refusal, or no word at all. */
const REFUSED = /^(HTTP\/1\.[01] (400|404|405|411|413|414|417|431|501|505) .*)?$/
const OVER = 'Connection: close'

const ON_BOTH: readonly Attack[] = [
  { kind: 'PostgreSQL', bytes: () => startup({ user: 'me', database: 'app' }), answer: REFUSED, halfClose: true },
  { kind: 'TLS', bytes: () => CLIENT_HELLO, answer: REFUSED, halfClose: true },
  {
    kind: 'noise',
    bytes: (random) => Buffer.from(Array.from({ length: 300 }, () => Math.floor(random() * 256))),
    answer: REFUSED,
    halfClose: true,
  },
  { kind: 'no version', bytes: () => lines('GET /livez'), answer: REFUSED, halfClose: true },
  {
    kind: 'a header without a colon',
    bytes: () => lines('GET /livez HTTP/1.1', 'Host: localhost', 'nonsense', OVER),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'an endless header',
    bytes: () => lines('GET /livez HTTP/1.1', 'Host: localhost', `X: ${'x'.repeat(100_000)}`, OVER),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'an endless path',
    bytes: () => lines(`GET /${'x'.repeat(100_000)} HTTP/1.1`, 'Host: localhost', OVER),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'a negative length',
    bytes: () => lines('POST /livez HTTP/1.1', 'Host: localhost', 'Content-Length: -5', OVER),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'two lengths',
    bytes: () =>
      Buffer.concat([
        lines('POST /livez HTTP/1.1', 'Host: localhost', 'Content-Length: 5', 'Content-Length: 50', OVER),
        Buffer.from('12345'),
      ]),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'a length and chunks',
    bytes: () =>
      Buffer.concat([
        lines('POST /livez HTTP/1.1', 'Host: localhost', 'Content-Length: 4', 'Transfer-Encoding: chunked', OVER),
        Buffer.from('0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n'),
      ]),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'a length beyond what is taken',
    bytes: () => lines('POST /livez HTTP/1.1', 'Host: localhost', 'Content-Length: 99999999999', OVER),
    answer: REFUSED,
    halfClose: true,
  },
  {
    kind: 'chunks that lie',
    bytes: () => lines('POST /livez HTTP/1.1', 'Host: localhost', 'Transfer-Encoding: chunked', OVER, '', 'ffffffffffffffffff'),
    answer: REFUSED,
    halfClose: true,
  },
  { kind: 'a request that is cut off', bytes: () => Buffer.from('GET /livez HTTP/1.1\r\nHost: loc'), answer: REFUSED, halfClose: true },
]

/** The public port: probes and metrics, nothing else. */
export const HTTP_ATTACKS: readonly Attack[] = [
  ...ON_BOTH,
  {
    kind: 'a way out of the tree',
    bytes: () => lines('GET /../../../etc/passwd HTTP/1.1', 'Host: localhost', OVER),
    answer: /^HTTP\/1\.1 404 /,
  },
  {
    kind: 'an encoded way out',
    bytes: () => lines('GET /livez/%2e%2e/%2e%2e/etc/passwd%00 HTTP/1.1', 'Host: localhost', OVER),
    answer: /^HTTP\/1\.1 40[04] /,
  },
  {
    kind: 'another site’s URL',
    bytes: () => lines('GET http://example.com/livez HTTP/1.1', 'Host: example.com', OVER),
    answer: /^HTTP\/1\.1 (200|400|404) /,
  },
  { kind: 'CONNECT', bytes: () => lines('CONNECT example.com:443 HTTP/1.1', 'Host: example.com', OVER), answer: REFUSED, halfClose: true },
  {
    kind: 'POST to a probe',
    bytes: () => lines('POST /livez HTTP/1.1', 'Host: localhost', 'Content-Length: 0', OVER),
    answer: /^HTTP\/1\.1 405 /,
  },
  {
    kind: 'what the status page’s port has',
    bytes: () => lines('POST /quitquitquit HTTP/1.1', 'Host: localhost', 'X-Pglease-Request: true', 'Content-Length: 0', OVER),
    answer: /^HTTP\/1\.1 404 /,
  },
]

/** The status page's port. */
export const ADMIN_ATTACKS: readonly Attack[] = [
  ...ON_BOTH,
  {
    kind: 'the state without the header',
    bytes: () => lines('GET /api/state HTTP/1.1', 'Host: localhost', OVER),
    answer: /^HTTP\/1\.1 403 /,
  },
  {
    kind: 'the events without the header',
    bytes: () => lines('GET /api/events HTTP/1.1', 'Host: localhost', OVER),
    answer: /^HTTP\/1\.1 403 /,
  },
  {
    kind: 'the state from another site',
    bytes: () => lines('GET /api/state HTTP/1.1', 'Host: localhost', 'X-Pglease-Request: true', 'Origin: http://evil.example', OVER),
    answer: /^HTTP\/1\.1 403 /,
  },
  {
    kind: 'a name that somebody else’s DNS answers',
    bytes: () => lines('GET /api/state HTTP/1.1', 'Host: rebind.example:9091', 'X-Pglease-Request: true', OVER),
    answer: /^HTTP\/1\.1 403 /,
  },
  {
    kind: 'quit by GET',
    bytes: () => lines('GET /quitquitquit HTTP/1.1', 'Host: localhost', 'X-Pglease-Request: true', OVER),
    answer: /^HTTP\/1\.1 40[45] /,
  },
  {
    kind: 'quit while it is off',
    bytes: () => lines('POST /quitquitquit HTTP/1.1', 'Host: localhost', 'X-Pglease-Request: true', 'Content-Length: 0', OVER),
    answer: /^HTTP\/1\.1 404 /,
  },
  {
    kind: 'a debugger',
    bytes: () => lines('GET /json/version HTTP/1.1', 'Host: localhost', 'X-Pglease-Request: true', OVER),
    answer: /^HTTP\/1\.1 404 /,
  },
]
