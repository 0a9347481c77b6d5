// What http_addr answers: probes, metrics, nothing else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ProbeCheck, type ProbeParts, publicApp } from '../../src/http/probes.ts'
import { serveHttp } from '../../src/net/http_server.ts'

const METRICS = '# HELP pglease_build_info Version\npglease_build_info 1\n'
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

function parts(changes: Partial<ProbeParts> = {}): ProbeParts {
  const ok = (name: string) => (): readonly ProbeCheck[] => [{ name, ok: true }]
  const renderMetrics = () => Promise.resolve(METRICS)
  return { startup: ok('listeners'), ready: ok('databases'), renderMetrics, metricsContentType: METRICS_TYPE, ...changes }
}

async function ask(app: ReturnType<typeof publicApp>, path: string, method = 'GET') {
  const response = await app(new Request(`http://10.0.0.1:9090${path}`, { method }))
  return { status: response.status, headers: response.headers, text: await response.text() }
}

test('each probe and its alias say ok with their checks', async () => {
  const app = publicApp(parts())
  const names: Record<string, string> = {
    '/startupz': 'listeners',
    '/startup': 'listeners',
    '/readyz': 'databases',
    '/readiness': 'databases',
  }
  for (const path of ['/livez', '/liveness', '/healthz']) names[path] = 'event_loop'
  for (const [path, name] of Object.entries(names)) {
    const { status, headers, text } = await ask(app, path)
    assert.equal(status, 200, path)
    assert.deepEqual(JSON.parse(text), { status: 'ok', checks: [{ name, ok: true }] }, path)
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.match(headers.get('content-type') ?? '', /^application\/json/)
  }
})

test('a failing check makes 503, and only what fails has a reason', async () => {
  const checks = [
    { name: 'first', ok: true, reason: 'must not show' },
    { name: 'second', ok: false, reason: 'no credential for "app" yet\n</x>' },
    { name: 'third', ok: false },
  ]
  const app = publicApp(parts({ startup: () => checks, ready: () => checks }))
  for (const path of ['/startupz', '/startup', '/readyz', '/readiness']) {
    const { status, text } = await ask(app, path)
    assert.equal(status, 503, path)
    const expected = [{ name: 'first', ok: true }, checks[1], { name: 'third', ok: false }]
    assert.deepEqual(JSON.parse(text), { status: 'failing', checks: expected })
  }
  for (const path of ['/livez', '/liveness', '/healthz']) assert.equal((await ask(app, path)).status, 200, path)
})

test('a probe asks anew each time', async () => {
  let ok = false
  const app = publicApp(parts({ ready: () => [{ name: 'databases', ok }] }))
  assert.equal((await ask(app, '/readyz')).status, 503)
  ok = true
  assert.equal((await ask(app, '/readyz')).status, 200)
})

test('metrics are rendered when they are asked for, with their own type', async () => {
  const { status, headers, text } = await ask(publicApp(parts()), '/metrics')
  assert.equal(status, 200)
  assert.equal(text, METRICS)
  assert.equal(headers.get('content-type'), METRICS_TYPE)
})

test('HEAD is GET without a body', async () => {
  const app = publicApp(parts({ ready: () => [{ name: 'databases', ok: false, reason: 'none' }] }))
  for (const [path, expected] of [
    ['/readyz', 503],
    ['/livez', 200],
    ['/metrics', 200],
  ] as const) {
    const { status, text } = await ask(app, path, 'HEAD')
    assert.equal(status, expected)
    assert.equal(text, '')
  }
})

test('other methods are refused, and run nothing', async () => {
  let asked = 0
  const app = publicApp(parts({ ready: () => [{ name: 'databases', ok: ++asked > 0 }] }))
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    for (const path of ['/readyz', '/livez', '/startup', '/metrics']) {
      const { status, headers } = await ask(app, path, method)
      assert.equal(status, 405, `${method} ${path}`)
      assert.equal(headers.get('allow'), 'GET, HEAD')
    }
  }
  assert.equal(asked, 0)
})

test('nothing of the admin listener is here, and a wrong path is told what is', async () => {
  const app = publicApp(parts())
  for (const path of ['/', '/api/state', '/api/events', '/quitquitquit', '/readyz/x', '/metrics/x', '//readyz']) {
    for (const method of ['GET', 'POST']) {
      const { status, text } = await ask(app, path, method)
      assert.equal(status, 404, `${method} ${path}`)
      assert.match(text, /\/startupz\n.*\/readyz\n.*\/livez\n/)
      assert.match(text, /\/metrics\n$/)
    }
  }
})

test('every answer has the security headers', async () => {
  const app = publicApp(parts())
  for (const [path, method] of [
    ['/livez', 'GET'],
    ['/metrics', 'GET'],
    ['/nowhere', 'GET'],
    ['/livez', 'POST'],
  ] as const) {
    const { headers } = await ask(app, path, method)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'", path)
    assert.equal(headers.get('access-control-allow-origin'), null, path)
    assert.equal(headers.get('cache-control'), 'no-store', path)
  }
})

test('an error reaches the listener and shows no detail', async () => {
  const seen: unknown[] = []
  const broken = parts({
    ready: () => {
      throw new Error('password=hunter2')
    },
    renderMetrics: () => Promise.reject(new Error('password=hunter2')),
  })
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, publicApp(broken), (error) => seen.push(error))
  for (const path of ['/readyz', '/metrics']) {
    const response = await fetch(`http://127.0.0.1:${listener.address.port}${path}`)
    assert.equal(`${response.status} ${await response.text()}`, '500 internal error\n')
  }
  assert.equal(seen.length, 2)
  await listener.close()
})
