// One request to Vault: what is sent, how answers and their absence are mapped, and that no secret is in any error.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { PgleaseError } from '../../src/errors.ts'
import { Secret } from '../../src/secret.ts'
import { encodePath, type Fetch, VaultApi, type VaultRequest } from '../../src/vault/api.ts'
import { asFailure, filterText, VaultFailure } from '../../src/vault/failure.ts'
import { FakeClock } from '../kit/fake-clock.ts'

const TOKEN = 'hvs.CAESIJ-very-secret-token-of-tests'
const SECRET_ID = 'a-secret-id/with "odd" characters'

interface Sent {
  url: string
  method: string
  headers: Headers
  body: string
}

interface Tested {
  api: VaultApi
  sent: Sent[]
  statuses: string[]
  clock: FakeClock
}

function apiBefore(answers: (Response | Error | 'hang')[], address = 'https://vault.example:8200'): Tested {
  const [sent, statuses, clock] = [[] as Sent[], [] as string[], new FakeClock()]
  const fetch: Fetch = async (input, init) => {
    const request = input instanceof Request ? new Request(input, init) : new Request(String(input), init)
    sent.push({ url: request.url, method: request.method, headers: request.headers, body: await request.text() })
    const answer = answers.shift()
    if (answer === undefined) throw new Error('one request more than expected')
    if (answer === 'hang') return new Promise<Response>(() => undefined)
    if (answer instanceof Error) throw answer
    return answer
  }
  const observer = { vaultRequest: (_operation: string, status: string) => void statuses.push(status) }
  return { api: new VaultApi({ address, namespace: 'team/a', fetch, clock, observer }), sent, statuses, clock }
}

const READ: VaultRequest = {
  operation: 'creds_read',
  method: 'GET',
  path: 'database/creds/app',
  token: new Secret(TOKEN),
  timeoutMs: 5000,
}

async function failureOf(attempt: Promise<unknown>): Promise<VaultFailure> {
  try {
    await attempt
  } catch (error) {
    assert.ok(error instanceof VaultFailure)
    return error
  }
  throw new Error('it succeeded')
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers })

test('a request carries token and namespace, its path encoded and its secrets revealed only on the wire', async () => {
  const { api, sent, statuses } = apiBefore([json(200, { ok: 1 }), new Response(null, { status: 204 })])
  assert.deepEqual(await api.send({ ...READ, query: { list: 'true' } }), { ok: 1 })
  const login = {
    operation: 'login',
    method: 'POST',
    path: 'auth/app role/login',
    body: { secret_id: new Secret(SECRET_ID) },
    timeoutMs: 1,
  } as const
  assert.equal(await api.send(login), undefined)
  const [read, logged] = sent
  assert.equal(read?.url, 'https://vault.example:8200/v1/database/creds/app?list=true')
  assert.equal(read?.headers.get('x-vault-token'), TOKEN)
  assert.equal(read?.headers.get('x-vault-namespace'), 'team/a')
  assert.equal(read?.headers.get('x-vault-request'), 'true')
  assert.equal(logged?.url, 'https://vault.example:8200/v1/auth/app%20role/login')
  assert.equal(logged?.headers.get('x-vault-token'), null)
  assert.deepEqual(JSON.parse(logged?.body ?? ''), { secret_id: SECRET_ID })
  assert.deepEqual(statuses, ['200', '204'])
})

test('paths that a server might take for others are refused', () => {
  assert.equal(encodePath('kv/data/a b?c#d'), 'kv/data/a%20b%3Fc%23d')
  for (const path of ['', 'a//b', '/a', 'a/', 'a/../sys', 'a/./b']) assert.throws(() => encodePath(path), VaultFailure, path)
})

test('every status becomes its failure', async () => {
  const expected: [number, string, { away?: boolean }][] = [
    [400, 'vault_bad_request', {}],
    [403, 'vault_denied', {}],
    [404, 'vault_path_missing', {}],
    [405, 'vault_bad_answer', {}],
    [412, 'vault_unavailable', {}],
    [429, 'vault_unavailable', {}],
    [472, 'vault_unavailable', { away: true }],
    [473, 'vault_unavailable', {}],
    [500, 'vault_unavailable', {}],
    [502, 'vault_unavailable', { away: true }],
    [503, 'vault_unavailable', { away: true }],
  ]
  for (const [status, code, { away = false }] of expected) {
    const { api, sent } = apiBefore([json(status, { errors: ['why it is so'] })])
    const failure = await failureOf(api.send(READ))
    assert.equal(failure.code, code, String(status))
    assert.equal(failure.away, away, String(status))
    assert.equal(failure.lost, false, String(status))
    assert.match(failure.detail, new RegExp(`^database/creds/app: ${status} why it is so$`))
    assert.equal(sent.length, 1, 'never tried twice')
  }
})

test('a gateway that gave up may have let the request through: its answer is lost', async () => {
  const { api } = apiBefore([new Response('<html>Bad Gateway</html>', { status: 502 })])
  assert.equal((await failureOf(api.send(READ))).lost, true)
})

test('Retry-After is heard, within a minute', async () => {
  for (const [said, ms] of [
    ['7', 7000],
    ['9999', 60_000],
    ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
    ['-3', 0],
  ] as const) {
    const { api } = apiBefore([json(429, { errors: [] }, { 'retry-after': said })])
    assert.equal((await failureOf(api.send(READ))).retryAfterMs, ms, said)
  }
})

test('no answer within the deadline: unreachable, and lost', async () => {
  const { api, clock, statuses } = apiBefore(['hang'])
  const failed = failureOf(api.send(READ))
  await clock.run(4999)
  assert.deepEqual(statuses, [])
  await clock.run(1)
  const failure = await failed
  assert.equal(failure.code, 'vault_unreachable')
  assert.equal(failure.lost, true)
  assert.equal(failure.away, true)
  assert.deepEqual(statuses, ['timeout'])
  assert.equal(clock.pending, 0)
})

test('a connection that was not made loses nothing; one that broke may', async () => {
  const refused = Object.assign(new Error('Unable to connect. Is the computer able to access the url?'), { code: 'ConnectionRefused' })
  const reset = Object.assign(new Error('The socket connection was closed unexpectedly'), { code: 'ECONNRESET' })
  assert.equal((await failureOf(apiBefore([refused]).api.send(READ))).lost, false)
  const deno = new TypeError('error sending request', { cause: new Error('client error (Connect): tcp connect error: Connection refused') })
  assert.equal((await failureOf(apiBefore([deno]).api.send(READ))).lost, false)
  const broken = await failureOf(apiBefore([reset]).api.send(READ))
  assert.equal(broken.lost, true)
  assert.equal(broken.away, true)
  assert.equal(broken.code, 'vault_unreachable')
})

test('a 2xx that is no JSON, or longer than a megabyte, is lost', async () => {
  const garbage = await failureOf(apiBefore([new Response('<html>')]).api.send(READ))
  assert.equal(garbage.code, 'vault_bad_answer')
  assert.equal(garbage.lost, true)
  const long = await failureOf(apiBefore([new Response('"'.padEnd(1_100_000, 'x'))]).api.send(READ))
  assert.equal(long.code, 'vault_bad_answer')
  assert.equal(long.lost, true)
})

test('a redirect is followed once, and never to an address that must not get the token', async () => {
  const redirect = (location: string) => new Response(null, { status: 307, headers: { location } })
  const followed = apiBefore([redirect('https://active.example:8200/v1/database/creds/app'), json(200, {})])
  await followed.api.send(READ)
  assert.deepEqual(
    followed.sent.map(({ url }) => new URL(url).host),
    ['vault.example:8200', 'active.example:8200'],
  )
  for (const location of ['http://vault.example:8200/v1/x', 'ftp://vault.example/x', 'https://']) {
    const { api, sent } = apiBefore([redirect(location), json(200, {})])
    assert.equal((await failureOf(api.send(READ))).code, 'vault_bad_answer', location)
    assert.equal(sent.length, 1, location)
  }
  const plain = apiBefore([redirect('http://active.example:8200/v1/x'), json(200, {})], 'http://vault.example:8200')
  await plain.api.send(READ)
  const twice = apiBefore([redirect('https://a.example/v1/x'), redirect('https://b.example/v1/x'), json(200, {})])
  assert.equal((await failureOf(twice.api.send(READ))).code, 'vault_bad_answer')
})

test('no secret of the request is in any error, whatever the server says', async () => {
  const echo = `token ${TOKEN} and ${encodeURIComponent(SECRET_ID)} and ${JSON.stringify(SECRET_ID)} and ${Buffer.from(SECRET_ID).toString('base64')}`
  const request: VaultRequest = { ...READ, method: 'POST', body: { secret_id: new Secret(SECRET_ID) } }
  const errors = [
    json(400, { errors: [echo] }),
    json(500, { errors: [`dial postgres://user:p4ssw0rd@db:5432 ${echo}`] }),
    new Error(`cannot send ${echo}`),
    Object.assign(new Error(echo), { code: TOKEN }),
  ]
  for (const answer of errors) {
    const failure = await failureOf(apiBefore([answer]).api.send(request))
    const shown = `${inspect(failure, { depth: 9, showHidden: true })} ${JSON.stringify(failure)} ${failure.message}`
    for (const secret of [TOKEN, SECRET_ID, encodeURIComponent(SECRET_ID), Buffer.from(SECRET_ID).toString('base64'), 'p4ssw0rd']) {
      assert.ok(!shown.includes(secret), shown)
    }
  }
})

test('text of another program: one line, short, without what looks like a secret', () => {
  assert.equal(filterText('a\r\nb\u0000\u200bc'), 'a b c')
  assert.ok(filterText('x'.repeat(5000)).length < 310)
  assert.equal(filterText('jwt eyJhbGciOi.eyJzdWIi.c2ln and hvs.CAESIJabcdefghijklmnop'), 'jwt [redacted] and [redacted]')
  assert.equal(filterText("host=db password='a b' user=x"), 'host=db password=[redacted] user=x')
})

test('what is unknown is a bug of ours, and its message is not repeated', () => {
  assert.equal(asFailure(new Error(TOKEN)).detail, 'unexpected Error')
  assert.equal(asFailure(new PgleaseError('vault_login_failed', 'why')).code, 'vault_login_failed')
})
