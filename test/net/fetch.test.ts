// fetch under its own trust: verification, client certificates, redirects, bounded answers.
import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { bunRuntime } from '../../src/net/bun_types.ts'
import { makeFetch, readCapped } from '../../src/net/fetch.ts'
import { serveHttp } from '../../src/net/http_server.ts'
import { type Certificate, makeCertificates } from '../kit/certificates.ts'
import { rejectionCode } from './recorder.ts'

const certificates = makeCertificates()

/** An HTTPS server with `certificate` that answers `served`; `use` gets its port. */
async function withServer(certificate: Certificate, use: (port: number) => Promise<void>): Promise<void> {
  const server = createServer({ cert: certificate.cert, key: certificate.key.reveal() }, (_request, response) => {
    response.setHeader('connection', 'close')
    response.end('served')
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await use((server.address() as AddressInfo).port)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

test('the given authority is trusted, another is not, none means the system', async () => {
  await withServer(certificates.server, async (port) => {
    const url = `https://localhost:${port}/`
    assert.equal(await (await makeFetch({ ca: certificates.otherCa + certificates.ca })(url)).text(), 'served')
    await assert.rejects(makeFetch({ ca: certificates.otherCa })(url))
    await assert.rejects(makeFetch({})(url))
    if (bunRuntime === undefined) assert.throws(() => makeFetch({ skipVerify: true }), { code: 'ENOTSUP' })
    else assert.equal(await (await makeFetch({ skipVerify: true })(url)).text(), 'served')
  })
})

test('an expired certificate and another host are refused', async () => {
  const ask = makeFetch({ ca: certificates.ca })
  await withServer(certificates.expired, async (port) => void (await assert.rejects(ask(`https://localhost:${port}/`))))
  await withServer(certificates.otherHost, async (port) => void (await assert.rejects(ask(`https://localhost:${port}/`))))
})

test('another server name is verified in place of the host, or refused where that is not possible', async () => {
  if (bunRuntime === undefined) {
    assert.throws(() => makeFetch({ serverName: 'other.example' }), { code: 'ENOTSUP' })
    return
  }
  await withServer(certificates.otherHost, async (port) => {
    const url = `https://localhost:${port}/`
    assert.equal(await (await makeFetch({ ca: certificates.ca, serverName: 'other.example' })(url)).text(), 'served')
    await assert.rejects(makeFetch({ ca: certificates.ca, serverName: 'third.example' })(url))
  })
})

test('a redirect is not followed, also when the caller asks for it', async () => {
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, () => new Response(null, { status: 307, headers: { location: '/x' } }))
  const answer = await makeFetch({})(`http://127.0.0.1:${listener.address.port}/`, { redirect: 'follow' })
  assert.equal(answer.status, 307)
  await answer.body?.cancel()
  await listener.close()
})

test('an answer is read up to its limit', async () => {
  assert.equal(await readCapped(new Response('x'.repeat(100)), 100), 'x'.repeat(100))
  assert.equal(await readCapped(new Response(null), 100), '')
  assert.equal(await rejectionCode(readCapped(new Response('x'.repeat(101)), 100)), 'ETOOLARGE')
})

test('a request whose answer is lost is sent once, also after one on the same connection was answered', async () => {
  let requests = 0
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => {
      if (++requests === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      else socket.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const fetched = makeFetch({})
  assert.equal(await (await fetched(address, { keepalive: false })).text(), 'ok')
  await assert.rejects(fetched(address, { keepalive: false }))
  assert.equal(requests, 2)
  await new Promise((resolve) => server.close(resolve))
})
