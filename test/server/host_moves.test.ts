// Links to addresses that a host name has no longer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DnsCache } from '../../src/net/dns_cache.ts'
import { TransportError } from '../../src/net/transport.ts'
import { HostMoves } from '../../src/server/host_moves.ts'
import type { Link } from '../../src/server/link.ts'
import { FakeClock } from '../kit/fake-clock.ts'

const linkTo = (serverName: string, host: string) => {
  const target = { address: { kind: 'tcp', host, port: 5432 }, sslmode: 'disable', serverName }
  return { moved: false, facts: { target } as unknown as Link['facts'] }
}

test('a link is marked when its name has other addresses, and never when the name is gone or is an address', async () => {
  const clock = new FakeClock()
  let answer: string[] | undefined = ['192.0.2.1', '192.0.2.2']
  const dns = new DnsCache({ maxTtlMs: 15_000, nxdomainTtlMs: 1_000 }, clock, async () => {
    if (answer === undefined) throw new TransportError('ENOTFOUND', 'db')
    return answer
  })
  const moves = new HostMoves(
    [
      { host: 'db', port: 5432 },
      { host: '192.0.2.9', port: 5432 },
    ],
    dns,
    1_000,
  )
  assert.equal(moves.none, false)
  assert.equal(
    new HostMoves(
      [
        { host: '[::1]', port: 1 },
        { host: '/run', port: 1 },
      ],
      dns,
      0,
    ).none,
    true,
  )
  const links = [linkTo('db', '192.0.2.1'), linkTo('db', '192.0.2.2'), linkTo('192.0.2.9', '192.0.2.9')]
  const marks = async () => {
    moves.check(links)
    await clock.run(0)
    moves.check(links)
    return links.map(({ moved }) => moved)
  }
  await dns.resolve('db', 1_000)
  assert.deepEqual(await marks(), [false, false, false])
  answer = ['192.0.2.2', '192.0.2.3']
  assert.deepEqual(await marks(), [false, false, false])
  clock.advance(15_000)
  assert.deepEqual(await marks(), [true, false, false])
  answer = undefined
  clock.advance(15_000)
  assert.deepEqual(await marks(), [true, false, false])
})
