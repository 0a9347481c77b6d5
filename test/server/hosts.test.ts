// Which host comes first, how long each may take, and what the failures of all of them mean together.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, PgleaseError } from '../../src/errors.ts'
import { Hosts } from '../../src/server/hosts.ts'
import type { ServerHost } from '../../src/settings/hosts.ts'
import type { DatabaseSettings } from '../../src/settings/settings.ts'
import { FakeClock } from '../kit/fake-clock.ts'

const [A, B, C] = ['a', 'b', 'c'].map((host) => ({ host, port: 5432 })) as [ServerHost, ServerHost, ServerHost]

function setUp(balance: DatabaseSettings['load_balance_hosts'], list: readonly ServerHost[] = [A, B, C]) {
  const clock = new FakeClock()
  const told: string[] = []
  const hosts = new Hosts(list, balance, clock, ({ host }, failure) => void told.push(`${host} ${failure?.code ?? 'answers'}`))
  /** The order of one login after another. */
  const next = (): string => {
    const order = hosts.order().map(({ host }) => host)
    hosts.nextTurn()
    return order.join('')
  }
  return { clock, hosts, next, told }
}

const error = (code: ErrorCode, detail: string = code) => new PgleaseError(code, detail)

test('round-robin begins each login with the next host', () => {
  const { next } = setUp('round-robin')
  assert.deepEqual([next(), next(), next(), next()], ['abc', 'bca', 'cab', 'abc'])
})

test('disable stays with the host that was used last, until it fails', () => {
  const { hosts, next } = setUp('disable')
  assert.deepEqual([next(), next()], ['abc', 'abc'])
  hosts.failed(A, error('connect_refused'))
  hosts.succeeded(B)
  assert.equal(next(), 'bca')
  hosts.succeeded(A)
  assert.equal(next(), 'abc')
})

test('random takes any order', () => {
  const { clock, next } = setUp('random')
  clock.nextRandom = 0.99
  assert.equal(next(), 'cba')
  clock.nextRandom = 0.4
  assert.equal(next(), 'bac')
})

test('a host that failed comes last for 15 seconds, and one that does not answer after all others', () => {
  const { clock, hosts, next } = setUp('round-robin')
  hosts.failed(A, error('connect_timeout'))
  hosts.failed(B, error('no_host_fits'))
  assert.deepEqual([next(), next(), next()], ['cba', 'cba', 'cba'])
  clock.advance(15_000)
  assert.deepEqual([next(), next(), next()], ['abc', 'bca', 'cab'])
  hosts.failed(A, error('login_refused'))
  assert.equal(next(), 'bca')
  clock.advance(1_000)
  assert.equal(next(), 'bca')
  assert.equal(next(), 'cab')
})

test('success makes a host as good as the others at once', () => {
  const { hosts, next } = setUp('round-robin')
  hosts.failed(A, error('connect_refused'))
  assert.equal(next(), 'bca')
  hosts.succeeded(A)
  assert.equal(next(), 'bca')
  assert.equal(next(), 'cab')
  assert.equal(next(), 'abc')
})

test('a host that did not answer gets one second while another answers, until it does', () => {
  const { clock, hosts } = setUp('round-robin', [A, B])
  assert.equal(hosts.timeoutMs(A, 15_000), 15_000)
  hosts.failed(A, error('connect_timeout'))
  assert.deepEqual([hosts.timeoutMs(A, 15_000), hosts.timeoutMs(A, 0), hosts.timeoutMs(A, 300)], [1_000, 1_000, 300])
  assert.equal(hosts.timeoutMs(B, 15_000), 15_000)
  clock.advance(60_000)
  assert.equal(hosts.timeoutMs(A, 15_000), 1_000)
  hosts.failed(B, error('connect_timeout'))
  assert.equal(hosts.timeoutMs(A, 15_000), 15_000)
  hosts.succeeded(B)
  hosts.failed(A, error('connect_refused'))
  assert.equal(hosts.timeoutMs(A, 15_000), 15_000)
  const { hosts: single } = setUp('round-robin', [A])
  single.failed(A, error('connect_timeout'))
  assert.equal(single.timeoutMs(A, 15_000), 15_000)
})

test('the addresses of a name take turns within their family; disable keeps the order of the system', () => {
  const addresses = ['192.0.2.1', '2001:db8::1', '192.0.2.2']
  const { hosts } = setUp('round-robin', [A])
  const orders: string[] = []
  for (let turn = 0; turn < 3; turn++) {
    orders.push(hosts.addressOrder(addresses).join())
    hosts.nextTurn()
  }
  assert.deepEqual(orders, ['192.0.2.1,192.0.2.2,2001:db8::1', '192.0.2.2,192.0.2.1,2001:db8::1', '192.0.2.1,192.0.2.2,2001:db8::1'])
  assert.deepEqual(setUp('disable', [A]).hosts.addressOrder(addresses), addresses)
})

test('one failure is told as it is', () => {
  const failure = error('tls_failed', 'a:5432: no')
  assert.equal(setUp('disable', [A]).hosts.verdict([failure]), failure)
})

test('what passes by itself comes before what does not, and each host’s part is told', () => {
  const rows: [ErrorCode[], ErrorCode][] = [
    [['connect_refused', 'no_host_fits'], 'connect_refused'],
    [['no_host_fits', 'connect_timeout'], 'connect_timeout'],
    [['no_host_fits', 'no_host_fits'], 'no_host_fits'],
    [['tls_failed', 'no_host_fits'], 'no_host_fits'],
    [['database_missing', 'server_full'], 'server_full'],
    [['tls_failed', 'database_missing'], 'database_missing'],
    [['login_refused', 'login_refused'], 'login_refused'],
    [['no_host_fits', 'login_refused'], 'login_refused'],
  ]
  for (const [codes, expected] of rows) {
    const verdict = setUp('disable').hosts.verdict(codes.map((code) => error(code)))
    assert.deepEqual([verdict.code, verdict.detail], [expected, codes.join('; ')])
  }
})

test('a standby that refuses the credential while the primary is away is believed after 5 seconds', () => {
  const { clock, hosts } = setUp('disable', [A, B])
  const ask = () => hosts.verdict([error('connect_refused'), error('login_refused')]).code
  assert.equal(ask(), 'connect_refused')
  clock.advance(4_999)
  assert.equal(ask(), 'connect_refused')
  clock.advance(1)
  assert.equal(ask(), 'login_refused')
  hosts.succeeded(A)
  assert.equal(ask(), 'connect_refused')
})

test('that a host fails is told once for each reason, and that it answers again', () => {
  const { hosts, told } = setUp('disable', [A, B])
  for (const code of ['connect_refused', 'connect_refused', 'server_starting', 'no_host_fits', 'no_host_fits'] as const)
    hosts.failed(A, error(code))
  hosts.failed(A, error('connect_refused'))
  hosts.succeeded(A)
  hosts.succeeded(A)
  assert.deepEqual(told, ['a connect_refused', 'a server_starting', 'a answers', 'a connect_refused', 'a answers'])
  const { hosts: single, told: nothing } = setUp('disable', [A])
  single.failed(A, error('connect_refused'))
  assert.deepEqual(nothing, [])
})
