import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, PgleaseError } from '../../src/errors.ts'
import { type Address, TransportError } from '../../src/net/transport.ts'
import { Secret } from '../../src/secret.ts'
import { type DialTarget, dial, dialFirst, isVerified, type SslMode } from '../../src/server/dial.ts'
import { sslRequest } from '../../src/wire/pgprotocol.ts'
import { errorResponse } from '../../src/wire/reply.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { MemoryNetwork, type MemoryTransport } from '../kit/memory-transport.ts'
import { playServer, type Step } from '../kit/scripted-server.ts'

const TCP: Address = { kind: 'tcp', host: 'db', port: 5432 }
const target = (sslmode: SslMode, more: Partial<DialTarget> = {}): DialTarget => ({
  address: TCP,
  sslmode,
  serverName: 'db.example',
  ...more,
})
const ENCRYPTING: readonly SslMode[] = ['prefer', 'require', 'verify-ca', 'verify-full']
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const answering = (step: Step, prepare: (near: MemoryTransport) => void = () => {}): MemoryNetwork =>
  new MemoryNetwork((far, near) => {
    prepare(near)
    playServer(far, [step])
  })

async function refused(network: MemoryNetwork, to: DialTarget, code: ErrorCode, detail: RegExp): Promise<void> {
  const clock = new FakeClock()
  const error = await dial(network, to, 1_000, clock).then(
    () => assert.fail(`connected, expected ${code}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof PgleaseError, String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.detail, detail)
  assert.equal(clock.pending, 0)
  for (let turns = 0; turns < 3; turns++) await turn()
  for (const connection of network.connections) assert.ok(connection.closed, 'no connection is left open')
}

test('disable and unix sockets never ask for TLS', async () => {
  const unix: Address = { kind: 'unix', path: '/run/.s.PGSQL.5432' }
  for (const to of [target('disable'), target('verify-full', { address: unix }), target('require', { address: unix })]) {
    const network = answering('silence')
    const transport = await dial(network, to, 1_000, new FakeClock())
    assert.equal(transport.secure, false)
    assert.equal(network.connections[0]?.written.length, 0)
  }
})

test('the other modes ask, and verify what they promise', async () => {
  const rows: [SslMode, string | undefined, string][] = [
    ['prefer', undefined, 'none'],
    ['prefer', 'PEM', 'none'],
    ['require', undefined, 'none'],
    ['require', 'PEM', 'ca'],
    ['verify-ca', 'PEM', 'ca'],
    ['verify-full', undefined, 'full'],
  ]
  for (const [sslmode, ca, verify] of rows) {
    const network = answering(Buffer.from('S'))
    const transport = await dial(network, target(sslmode, { ca }), 1_000, new FakeClock())
    const near = network.connections[0]
    assert.equal(transport.secure, true)
    assert.deepEqual(near?.written, [sslRequest()])
    assert.deepEqual(near?.tlsOptions, {
      role: 'client',
      client: { serverName: 'db.example', verify, alpn: ['postgresql'], ...(ca && { ca }) },
    })
  }
})

test('a client certificate is handed on', async () => {
  const network = answering(Buffer.from('S'))
  const key = new Secret('KEY')
  await dial(network, target('verify-full', { ca: 'CA', cert: 'CERT', key }), 1_000, new FakeClock())
  const options = network.connections[0]?.tlsOptions
  assert.deepEqual(options?.role === 'client' && [options.client.cert, options.client.key, options.client.ca], ['CERT', key, 'CA'])
})

test('a server without TLS is used by prefer only', async () => {
  for (const sslmode of ENCRYPTING) {
    if (sslmode === 'prefer') {
      assert.equal((await dial(answering(Buffer.from('N')), target(sslmode), 1_000, new FakeClock())).secure, false)
    } else await refused(answering(Buffer.from('N')), target(sslmode), 'tls_failed', new RegExp(`does not support TLS, but .* ${sslmode}`))
  }
})

test('bytes before the handshake are refused (CVE-2021-23222)', async () => {
  for (const sslmode of ENCRYPTING) {
    for (const bytes of ['SR', 'NR', `S${'x'.repeat(100)}`]) {
      await refused(answering(Buffer.from(bytes)), target(sslmode), 'tls_failed', /^db:5432: received unencrypted data after SSL response/)
    }
  }
})

test('a server that is being stopped declines TLS and says goodbye at once: that passes by itself', async () => {
  for (const sslmode of ENCRYPTING) {
    const farewell = Buffer.concat([Buffer.from('N'), errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'stopping' })])
    await refused(answering(farewell), target(sslmode), 'connect_refused', /^db:5432: the server declined TLS and ended with an error/)
  }
})

test('plain bytes that come after a refusal of TLS close the connection', async () => {
  const network = answering(Buffer.from('N'))
  const transport = await dial(network, target('prefer'), 1_000, new FakeClock())
  const near = network.connections[0] as MemoryTransport
  near.peer.write(Buffer.from('R'))
  for (let turns = 0; turns < 3; turns++) await turn()
  assert.equal(near.closed?.kind, 'local')
  assert.equal(transport, near)
})

test('other answers to SSLRequest fail', async () => {
  const error = errorResponse({ severity: 'FATAL', sqlstate: '53300', message: 'forged' })
  await refused(answering(error), target('prefer'), 'connect_refused', /answered SSLRequest with an error$/)
  await refused(answering(Buffer.from('E')), target('require'), 'connect_refused', /with an error$/)
  await refused(answering(Buffer.from('HTTP')), target('require'), 'server_misbehaved', /unknown answer/)
  await refused(answering('close'), target('require'), 'connect_refused', /ended before the answer/)
})

test('a failed handshake is tls_failed, unless the server went away', async () => {
  const failing = (code: string) =>
    answering(Buffer.from('S'), (near) => {
      near.tlsFailure = new TransportError(code, 'text of the library')
    })
  for (const sslmode of ENCRYPTING)
    await refused(failing('SELF_SIGNED_CERT'), target(sslmode), 'tls_failed', /^db:5432: text of the library$/)
  await refused(failing('ECONNRESET'), target('require'), 'connect_refused', /text of the library/)
})

test('errors of the network are mapped', async () => {
  const rows: [string, ErrorCode][] = [
    ['ECONNREFUSED', 'connect_refused'],
    ['ENOENT', 'connect_refused'],
    ['EHOSTUNREACH', 'connect_refused'],
    ['ENOTFOUND', 'host_not_found'],
    ['EAI_AGAIN', 'host_not_found'],
    ['ETIMEDOUT', 'connect_timeout'],
  ]
  for (const [code, expected] of rows) {
    const network = answering('silence')
    network.failure = new TransportError(code, `connect to db:5432: ${code}`)
    await refused(network, target('require'), expected, new RegExp(`^connect to db:5432: ${code}$`))
  }
})

test('the deadline covers connecting, the answer and the handshake', async () => {
  const hanging = answering('silence')
  hanging.hangs = true
  const handshake = answering(Buffer.from('S'), (near) => {
    near.tlsHangs = true
  })
  for (const network of [hanging, answering('silence'), handshake]) {
    const clock = new FakeClock()
    const promise = dial(network, target('require'), 1_000, clock)
    promise.catch(() => {})
    await clock.run(999)
    assert.equal(clock.pending, 1)
    await clock.run(1)
    await assert.rejects(promise, { code: 'connect_timeout', detail: 'db:5432: no connection within 1000 ms' })
    await clock.run(0)
    for (const connection of network.connections) assert.ok(connection.closed)
  }
})

test('a signal abandons the attempt', async () => {
  const controller = new AbortController()
  const network = answering('silence')
  const clock = new FakeClock()
  const promise = dial(network, target('require'), 1_000, clock, controller.signal)
  promise.catch(() => {})
  await clock.run(0)
  controller.abort()
  await assert.rejects(promise, { code: 'connect_refused', detail: 'db:5432: given up' })
  await clock.run(0)
  assert.ok(network.connections[0]?.closed)
  assert.equal(clock.pending, 0)
})

test('of a list the first that answers is used, else the last error', async () => {
  const targets = ['one', 'two', 'three'].map((host) => target('disable', { address: { kind: 'tcp', host, port: 1 } }))
  const asked: string[] = []
  const network = new MemoryNetwork((_far, _near, address) => {
    const host = address.kind === 'tcp' ? address.host : ''
    asked.push(host)
    if (host !== 'three') throw new TransportError('ECONNREFUSED', `${host} refused`)
  })
  const { target: used } = await dialFirst(network, targets, 1_000, new FakeClock())
  assert.deepEqual([asked, used], [['one', 'two', 'three'], targets[2]])
  await assert.rejects(dialFirst(network, targets.slice(0, 2), 1_000, new FakeClock()), {
    code: 'connect_refused',
    detail: 'two:1: two refused',
  })
  const controller = new AbortController()
  controller.abort()
  await assert.rejects(dialFirst(network, targets, 1_000, new FakeClock(), controller.signal), { detail: 'one:1: given up' })
})

test('only verify-full and unix sockets are verified peers', () => {
  for (const sslmode of ['disable', ...ENCRYPTING] as const) {
    assert.equal(isVerified(target(sslmode)), sslmode === 'verify-full')
    assert.ok(isVerified(target(sslmode, { address: { kind: 'unix', path: '/x' } })))
  }
})
