// What admin_addr answers, and above all whom it refuses.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { adminApp } from '../../src/http/admin.ts'
import { exampleDatabase, exampleState, HEADER, ORIGIN, Parts } from './admin_kit.ts'

type App = ReturnType<typeof adminApp>

async function ask(app: App, path: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await app(new Request(`${ORIGIN}${path}`, { method, headers }))
  return { status: response.status, headers: response.headers, text: await response.text() }
}

test('without the header everything but the page is refused with the reason, and nothing happens', async () => {
  const parts = new Parts()
  const app = adminApp(parts)
  const withouts: Record<string, string>[] = [
    {},
    { 'X-Pglease-Request': 'false' },
    { 'X-Pglease-Request': '' },
    { 'X-Vault-Request': 'true' },
  ]
  const routes = [
    ['GET', '/api/state'],
    ['GET', '/api/events'],
    ['POST', '/quitquitquit'],
    ['GET', '/quitquitquit'],
    ['GET', '/nowhere'],
  ] as const
  for (const [method, path] of routes) {
    for (const headers of withouts) {
      const { status, text } = await ask(app, path, headers, method)
      assert.equal(status, 403, `${method} ${path}`)
      assert.match(text, /X-Pglease-Request: true/)
    }
  }
  assert.deepEqual([parts.quits, parts.asked, parts.listeners.size], [0, 0, 0])
  assert.equal((await ask(app, '/')).status, 200)
})

test('the state is JSON that says what the parts say', async () => {
  const { status, headers, text } = await ask(adminApp(new Parts()), '/api/state', HEADER)
  assert.equal(status, 200)
  assert.match(headers.get('content-type') ?? '', /^application\/json/)
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.deepEqual(JSON.parse(text), exampleState())
})

test('another origin is refused everywhere, also with the header', async () => {
  const parts = new Parts()
  const app = adminApp(parts)
  const origins = [
    'http://evil.example',
    'null',
    'http://127.0.0.1:9092',
    'http://127.0.0.1',
    'http://127.0.0.1:9091.evil.example',
    'ftp://127.0.0.1:9091',
  ]
  for (const origin of origins) {
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/api/state'],
      ['GET', '/api/events'],
      ['POST', '/quitquitquit'],
    ] as const) {
      const { status, text } = await ask(app, path, { ...HEADER, Origin: origin }, method)
      assert.equal(status, 403, `${origin} ${path}`)
      assert.match(text, /Origin/)
    }
  }
  assert.equal(parts.quits, 0)
  assert.equal((await ask(app, '/api/state', { ...HEADER, Origin: ORIGIN })).status, 200)
})

test('a request that a browser sends across sites is refused', async () => {
  const app = adminApp(new Parts())
  assert.equal((await ask(app, '/api/state', { ...HEADER, 'Sec-Fetch-Site': 'cross-site' })).status, 403)
  assert.equal((await ask(app, '/api/state', { ...HEADER, 'Sec-Fetch-Site': 'same-origin' })).status, 200)
  // a link from elsewhere leads to the page, which holds no data
  assert.equal((await ask(app, '/', { 'Sec-Fetch-Site': 'cross-site' })).status, 200)
})

test('a preflight is granted nothing', async () => {
  const headers = {
    Origin: 'http://evil.example',
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'x-pglease-request',
  }
  const answer = await ask(adminApp(new Parts()), '/quitquitquit', headers, 'OPTIONS')
  assert.equal(answer.status, 403)
  assert.equal(
    [...answer.headers.keys()].some((name) => name.startsWith('access-control-')),
    false,
  )
})

test('a name in the Host header is refused, so that no foreign name can be pointed here', async () => {
  const parts = new Parts()
  const answers = async (host: string, app: App) => {
    const states = [
      ['GET', '/'],
      ['GET', '/api/state'],
      ['POST', '/quitquitquit'],
    ] as const
    return Promise.all(
      states.map(async ([method, path]) => (await app(new Request(`http://${host}${path}`, { method, headers: HEADER }))).status),
    )
  }
  const app = adminApp(parts)
  for (const host of ['evil.example:9091', '127.0.0.1.nip.example', 'localhost.evil.example:9091', 'notlocalhost', 'pglease']) {
    assert.deepEqual(await answers(host, app), [403, 403, 403], host)
  }
  assert.equal(parts.quits, 0)
  for (const host of ['127.0.0.1:9091', '127.0.0.1', '[::1]:9091', 'localhost:9091', 'LOCALHOST']) {
    assert.deepEqual(await answers(host, app), [200, 200, 200], host)
  }
  // the header counts, not what the address line claims
  const forged = new Request(`${ORIGIN}/api/state`, { headers: { ...HEADER, Host: 'evil.example' } })
  assert.equal((await app(forged)).status, 403)
})

test('a listener that is not on loopback may be asked by name, but not from another site', async () => {
  const app = adminApp(Object.assign(new Parts(), { anyHost: true }))
  const url = 'http://pglease.apps.svc:9091/api/state'
  assert.equal((await app(new Request(url, { headers: HEADER }))).status, 200)
  assert.equal((await app(new Request(url, { headers: { ...HEADER, Origin: 'http://evil.example' } }))).status, 403)
})

test('quit: POST with the header, and only once however often it is asked', async () => {
  const parts = new Parts()
  const app = adminApp(parts)
  assert.equal((await ask(app, '/quitquitquit', HEADER, 'POST')).status, 200)
  assert.equal((await ask(app, '/quitquitquit', HEADER, 'POST')).status, 200)
  assert.equal(parts.quits, 1)
})

test('quit: no other method', async () => {
  const parts = new Parts()
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
    const { status, headers } = await ask(adminApp(parts), '/quitquitquit', HEADER, method)
    assert.equal(status, 405, method)
    assert.equal(headers.get('allow'), 'POST')
  }
  assert.equal(parts.quits, 0)
})

test('quit: no browser, not even from the status page', async () => {
  const parts = new Parts()
  const app = adminApp(parts)
  const browsers: Record<string, string>[] = [{ Origin: ORIGIN }, { 'Sec-Fetch-Site': 'same-origin' }, { 'Sec-Fetch-Site': 'none' }]
  for (const headers of browsers) {
    const { status, text } = await ask(app, '/quitquitquit', { ...HEADER, ...headers }, 'POST')
    assert.equal(status, 403)
    assert.match(text, /browser/)
  }
  assert.equal(parts.quits, 0)
})

test('quit: off by default, and the answer names the setting', async () => {
  const parts = new Parts()
  parts.quit = undefined
  for (const method of ['POST', 'GET', 'PUT']) {
    const { status, text } = await ask(adminApp(parts), '/quitquitquit', HEADER, method)
    assert.equal(status, 404, method)
    assert.match(text, /quitquitquit: true/)
    assert.match(text, /PGLEASE_QUITQUITQUIT/)
  }
})

test('other methods and paths', async () => {
  const app = adminApp(new Parts())
  for (const [path, allow] of [
    ['/', 'GET, HEAD'],
    ['/api/state', 'GET, HEAD'],
    ['/api/events', 'GET'],
  ] as const) {
    const { status, headers } = await ask(app, path, HEADER, 'POST')
    assert.equal(status, 405, path)
    assert.equal(headers.get('allow'), allow)
  }
  const { status, text } = await ask(app, '/metrics', HEADER)
  assert.equal(status, 404)
  for (const place of ['GET /api/state', 'GET /api/events', 'POST /quitquitquit']) assert.ok(text.includes(place))
})

test('the page is one document without data: no name, hostile or not, is in it', async () => {
  const parts = new Parts()
  const before = (await ask(adminApp(parts), '/')).text
  const hostile = '"><script>alert(1)</script>'
  parts.example = exampleState({ version: hostile, databases: [exampleDatabase(hostile)] })
  const { status, headers, text } = await ask(adminApp(parts), '/')
  assert.equal(status, 200)
  assert.equal(headers.get('content-type'), 'text/html; charset=UTF-8')
  assert.equal(text, before)
  assert.equal(text.includes('alert(1)'), false)
  assert.equal(text.includes('vault.example'), false)
  assert.equal(parts.asked, 0)
})

test('the policy admits the page its own script and style, and nothing from anywhere else', async () => {
  const { headers, text } = await ask(adminApp(new Parts()), '/')
  const policy = headers.get('content-security-policy') ?? ''
  for (const [tag, directive] of [
    ['script', 'script-src'],
    ['style', 'style-src'],
  ] as const) {
    const inline = [...text.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map((match) => match[1]!)
    assert.equal(inline.length, 1, tag)
    const hash = createHash('sha256').update(inline[0]!).digest('base64')
    assert.ok(policy.includes(`${directive} 'sha256-${hash}';`), tag)
  }
  assert.match(policy, /^default-src 'none';/)
  assert.match(policy, /frame-ancestors 'none'/)
  assert.doesNotMatch(policy, /unsafe|\*|https?:/)
  // nothing that the policy would block, and no address but those of namespaces
  assert.doesNotMatch(text, / style="| on[a-z]+="|<script [^>]*src|<link [^>]*stylesheet/)
  assert.deepEqual([...new Set([...text.matchAll(/https?:\/\/[^\s"'<]+/g)].map(([url]) => url))], ['http://www.w3.org/2000/svg'])
})

test('every answer has the security headers', async () => {
  const app = adminApp(new Parts())
  const routes = [
    ['/', 'GET'],
    ['/api/state', 'GET'],
    ['/nowhere', 'GET'],
    ['/api/state', 'POST'],
    ['/quitquitquit', 'POST'],
  ] as const
  for (const [path, method] of routes) {
    for (const given of [{}, HEADER]) {
      const { headers } = await ask(app, path, given, method)
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
      assert.equal(headers.get('x-frame-options'), 'DENY', path)
      assert.equal(headers.get('referrer-policy'), 'no-referrer', path)
      assert.equal(headers.get('cache-control'), 'no-store', path)
      assert.match(headers.get('content-security-policy') ?? '', /default-src 'none'/, path)
    }
  }
})
