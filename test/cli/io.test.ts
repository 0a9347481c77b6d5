// The process's edges: HTTP with a deadline and without redirects.
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import process from 'node:process'
import { test } from 'node:test'
import { processIo } from '../../src/cli/io.ts'
import { bunRuntime } from '../../src/net/bun_types.ts'

async function withServer(answer: RequestListener, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  try {
    await use(`http://127.0.0.1:${address.port}/readyz`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

test('get answers status and body, and follows no redirect', async () => {
  await withServer(
    (request, response) => {
      if (request.url === '/readyz') response.writeHead(302, { location: '/elsewhere' }).end('moved')
      else response.end('followed')
    },
    async (url) => assert.deepEqual(await processIo.get(url, 5_000), { status: 302, body: 'moved' }),
  )
})

// Deno's fetch cannot be told to
if (bunRuntime !== undefined) {
  test('get takes no proxy from the environment', async () => {
    const { http_proxy: before } = process.env
    process.env.http_proxy = 'http://127.0.0.1:1'
    try {
      await withServer(
        (_, response) => void response.end('direct'),
        async (url) => assert.deepEqual(await processIo.get(url, 5_000), { status: 200, body: 'direct' }),
      )
    } finally {
      if (before === undefined) delete process.env.http_proxy
      else process.env.http_proxy = before
    }
  })
}

test('get gives up at its deadline when nothing answers', async () => {
  await withServer(
    () => {},
    async (url) => {
      await assert.rejects(processIo.get(url, 50), { name: 'TimeoutError' })
    },
  )
})
