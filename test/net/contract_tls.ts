// What every Network must do with TLS, in both roles.
import assert from 'node:assert/strict'
import { connect as connectRaw } from 'node:net'
import { test } from 'node:test'
import type { Network, TlsClientOptions, TlsServerOptions } from '../../src/net/transport.ts'
import { type Certificate, makeCertificates } from '../kit/certificates.ts'
import { makePair, type Pair, Recorder, rejectionCode } from './recorder.ts'

const certificates = makeCertificates()
const MEGABYTE = 1024 * 1024

type Outcome = { readonly client: string; readonly server: string; readonly pair: Pair }

/** Asks, answers and upgrades both sides as PostgreSQL does; the outcome is each side's error code, '' = done. */
async function upgrade(network: Network, client: TlsClientOptions, server: TlsServerOptions): Promise<Outcome> {
  const pair = await makePair(network)
  const code = async (attempt: Promise<void>) =>
    attempt.then(
      () => '',
      () => rejectionCode(attempt),
    )
  const atServer = Promise.withResolvers<string>()
  const atClient = Promise.withResolvers<string>()
  pair.atServer.onData = () => {
    pair.atServer.onData = () => {}
    pair.server.write(Buffer.from('S'))
    atServer.resolve(code(pair.server.startTls({ role: 'server', server })))
  }
  pair.atClient.onData = () => {
    pair.atClient.onData = () => {}
    atClient.resolve(code(pair.client.startTls({ role: 'client', client })))
  }
  pair.client.write(Buffer.from('SSLRequest'))
  const clientCode = await atClient.promise
  if (clientCode !== '') await pair.atClient.untilEvent('close')
  return { client: clientCode, server: await atServer.promise, pair }
}

const server = (certificate: Certificate, more: Partial<TlsServerOptions> = {}): TlsServerOptions => ({
  ...certificate,
  clientCertificate: 'none',
  ...more,
})

const full = (more: Partial<TlsClientOptions> = {}): TlsClientOptions => ({
  serverName: 'localhost',
  ca: certificates.ca,
  verify: 'full',
  ...more,
})

/** `halfCloses`: whether a TLS peer may go on sending after our end (node:tls on Bun closes both directions). */
export function tlsContract(network: Network, halfCloses: boolean): void {
  exchangeContract(network, halfCloses)
  verifyContract(network)
  clientCertificateContract(network)
  attackContract(network)
}

function exchangeContract(network: Network, halfCloses: boolean): void {
  test('TLS: both roles, plain bytes only through it, 8 MB each way intact, half-close, certificate visible', async () => {
    const { client, server: serverCode, pair } = await upgrade(network, full({ alpn: ['postgresql'] }), server(certificates.server))
    assert.deepEqual([client, serverCode], ['', ''])
    assert.deepEqual([pair.client.secure, pair.server.secure], [true, true])
    const certificate = pair.client.peerCertificate()
    assert.match(certificate?.subject ?? '', /localhost/)
    assert.match(certificate?.fingerprint256 ?? '', /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/)
    assert.ok((certificate?.raw.length ?? 0) > 100)
    assert.equal(pair.server.peerCertificate(), undefined)
    const body = Buffer.alloc(8 * MEGABYTE, 'abcdefghijklmnopqrstuvwxyz0123456789-')
    pair.client.write(body)
    pair.server.write(body)
    await pair.atServer.until('the body', () => pair.atServer.received === body.length + 'SSLRequest'.length)
    await pair.atClient.until('the body', () => pair.atClient.received === body.length + 1)
    assert.ok(Buffer.concat(pair.atServer.chunks).subarray('SSLRequest'.length).equals(body))
    assert.ok(Buffer.concat(pair.atClient.chunks).subarray(1).equals(body))
    pair.client.end()
    await pair.atServer.untilEvent('end')
    if (halfCloses) {
      pair.server.write(Buffer.from('late'))
      await pair.atClient.until('late', () => pair.atClient.text().endsWith('late'))
    }
    pair.server.end()
    await Promise.all([pair.atClient.untilEvent('close'), pair.atServer.untilEvent('close')])
    await pair.close()
  })

  test('TLS: a paused reader stops the writer, and gets all when it resumes', async () => {
    const { pair } = await upgrade(network, full(), server(certificates.server))
    const body = Buffer.alloc(32 * MEGABYTE, 'abcdefghijklmnopqrstuvwxyz0123456789-')
    pair.server.pause()
    assert.equal(pair.client.write(body), false)
    pair.server.resume()
    await pair.atServer.until('the body', () => pair.atServer.received === body.length + 'SSLRequest'.length)
    await pair.atClient.untilEvent('drain')
    assert.ok(Buffer.concat(pair.atServer.chunks).subarray('SSLRequest'.length).equals(body))
    await pair.close()
  })
}

function verifyContract(network: Network): void {
  const rows: [string, Certificate, Partial<TlsClientOptions>, RegExp][] = [
    ['full, an address of the certificate', certificates.server, { serverName: '127.0.0.1' }, /^$/],
    ['full, an IPv6 address of the certificate', certificates.server, { serverName: '::1' }, /^$/],
    ['full, another address', certificates.server, { serverName: '127.0.0.2' }, /ALTNAME/],
    ['full, another host', certificates.otherHost, {}, /ALTNAME/],
    ['full, no host to compare with', certificates.server, { serverName: '' }, /NO_SERVER_NAME/],
    ['full, another authority', certificates.server, { ca: certificates.otherCa }, /UNABLE_TO|SELF_SIGNED/],
    ['full, expired', certificates.expired, {}, /CERT_HAS_EXPIRED/],
    ['full, self-signed', certificates.selfSigned, {}, /SELF_SIGNED|UNABLE_TO/],
    ['full, a CA that is no certificate', certificates.server, { ca: 'garbage' }, /./],
    ['ca, another host', certificates.otherHost, { verify: 'ca' }, /^$/],
    ['ca, another authority', certificates.server, { verify: 'ca', ca: certificates.otherCa }, /UNABLE_TO|SELF_SIGNED/],
    ['ca, another authority and host', certificates.otherHost, { verify: 'ca', ca: certificates.otherCa }, /UNABLE_TO|SELF_SIGNED/],
    ['ca, expired', certificates.expired, { verify: 'ca' }, /CERT_HAS_EXPIRED/],
    ['ca, self-signed', certificates.selfSigned, { verify: 'ca' }, /SELF_SIGNED|UNABLE_TO/],
    ['none, self-signed', certificates.selfSigned, { verify: 'none' }, /^$/],
    ['none, another authority and host', certificates.otherHost, { verify: 'none', ca: certificates.otherCa }, /^$/],
    ['none, expired', certificates.expired, { verify: 'none' }, /^$/],
  ]
  for (const [name, certificate, options, expected] of rows) {
    test(`TLS verification: ${name}`, async () => {
      const outcome = await upgrade(network, full(options), server(certificate))
      assert.match(outcome.client, expected)
      assert.equal(outcome.pair.client.secure, outcome.client === '')
      if (outcome.client === '') {
        outcome.pair.client.write(Buffer.from('works'))
        await outcome.pair.atServer.until('works', () => outcome.pair.atServer.text().endsWith('works'))
        assert.ok(outcome.pair.client.peerCertificate() !== undefined)
      }
      await outcome.pair.close()
    })
  }
}

function clientCertificateContract(network: Network): void {
  test('TLS: a required client certificate is refused when missing or from another authority, and shown when good', async () => {
    const required = server(certificates.server, { clientCertificate: 'require', ca: certificates.ca })
    for (const given of [{}, certificates.selfSigned]) {
      const refused = await upgrade(network, full(given), required)
      assert.notEqual(refused.server, '')
      assert.equal(refused.pair.server.secure, false)
      await refused.pair.close()
    }
    const good = await upgrade(network, full(certificates.client), required)
    assert.deepEqual([good.client, good.server], ['', ''])
    assert.match(good.pair.server.peerCertificate()?.subject ?? '', /client/)
    await good.pair.close()
  })

  test('TLS: a client certificate that is only asked for: none is fine, an unverified one is not shown', async () => {
    const asked = server(certificates.server, { clientCertificate: 'request', ca: certificates.ca })
    for (const given of [{}, certificates.selfSigned, certificates.client]) {
      const outcome = await upgrade(network, full(given), asked)
      assert.deepEqual([outcome.client, outcome.server], ['', ''])
      assert.equal(outcome.pair.server.peerCertificate() !== undefined, given === certificates.client)
      await outcome.pair.close()
    }
  })
}

function attackContract(network: Network): void {
  test('TLS: plain bytes in place of the handshake never become data', async () => {
    const atServer = new Recorder()
    const outcome = Promise.withResolvers<string>()
    const listener = await network.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 }, (transport) => {
      transport.setHandler(atServer)
      atServer.onData = () => {
        transport.write(Buffer.from('S'))
        outcome.resolve(rejectionCode(transport.startTls({ role: 'server', server: server(certificates.server) })))
        atServer.onData = () => {}
      }
    })
    const attacker = connectRaw({ host: '127.0.0.1', port: listener.address.kind === 'tcp' ? listener.address.port : 0 })
    attacker.on('error', () => {})
    attacker.write('SSLRequest')
    attacker.once('data', () => attacker.write('SELECT injected FROM before_the_handshake; and some more bytes'))
    assert.notEqual(await outcome.promise, '')
    await atServer.untilEvent('close')
    assert.equal(atServer.text(), 'SSLRequest')
    attacker.destroy()
    listener.close()
  })

  test('TLS: destroy during the handshake rejects it', async () => {
    const pair = await makePair(network)
    const attempt = rejectionCode(pair.client.startTls({ role: 'client', client: full() }))
    pair.client.destroy()
    assert.notEqual(await attempt, '')
    await pair.close()
  })

  test('TLS: a peer that goes away during the handshake rejects it', async () => {
    const pair = await makePair(network)
    const attempt = rejectionCode(pair.client.startTls({ role: 'client', client: full() }))
    pair.server.destroy()
    assert.notEqual(await attempt, '')
    await pair.close()
  })
}
