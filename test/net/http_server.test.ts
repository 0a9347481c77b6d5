// HTTP listeners: ports, errors without detail, bounded bodies, a graceful stop.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { serveHttp } from '../../src/net/http_server.ts'
import { rejectionCode } from './recorder.ts'

const text = async (response: Response) => `${response.status} ${await response.text()}`

test('port 0 is resolved, and an address in use is refused', async () => {
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, () => new Response('hello'))
  const { port } = listener.address
  assert.ok(port > 0)
  assert.equal(await text(await fetch(`http://127.0.0.1:${port}/`)), '200 hello')
  assert.equal(await rejectionCode(serveHttp({ host: '127.0.0.1', port }, () => new Response(''))), 'EADDRINUSE')
  await listener.close()
})

test('all addresses answer over IPv4', async () => {
  const listener = await serveHttp({ host: '*', port: 0 }, () => new Response('hello'))
  assert.equal(await text(await fetch(`http://127.0.0.1:${listener.address.port}/`)), '200 hello')
  await listener.close()
})

test('an error of the handler is a 500 without detail, thrown or rejected', async () => {
  const seen: unknown[] = []
  const handler = (request: Request) => {
    if (request.url.endsWith('/thrown')) throw new Error('password=hunter2')
    return Promise.reject(new Error('password=hunter2'))
  }
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, handler, (error) => seen.push(error))
  for (const path of ['thrown', 'rejected']) {
    assert.equal(await text(await fetch(`http://127.0.0.1:${listener.address.port}/${path}`)), '500 internal error\n')
  }
  assert.equal(seen.length, 2)
  await listener.close()
})

test('a large body is refused', async () => {
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, async (request) => new Response(await request.text()))
  const url = `http://127.0.0.1:${listener.address.port}/`
  assert.equal(await text(await fetch(url, { method: 'POST', body: 'small' })), '200 small')
  const large = await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) })
  assert.equal(large.status, 413)
  await large.body?.cancel()
  await listener.close()
})

test('a body of undeclared length is refused', async () => {
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, async (request) => new Response(await request.text()))
  const socket = connect({ host: '127.0.0.1', port: listener.address.port })
  socket.write('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
  const answer = await new Promise<string>((resolve) => socket.once('data', (chunk) => resolve(chunk.toString())))
  assert.match(answer, /^HTTP\/1\.1 411 /)
  socket.destroy()
  await listener.close()
})

test('close lets a request in progress finish', async () => {
  const entered = Promise.withResolvers<void>()
  const leave = Promise.withResolvers<void>()
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, async () => {
    entered.resolve()
    await leave.promise
    return new Response('finished')
  })
  const answer = fetch(`http://127.0.0.1:${listener.address.port}/`)
  await entered.promise
  const closed = listener.close()
  leave.resolve()
  assert.equal(await text(await answer), '200 finished')
  await closed
})
