// The stand-in Vault by itself: its faults, its policies and its clock. What it shares with the real one is in e2e.vault-contract.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { poll, staysPending } from './kit/child.ts'
import { durationText, seconds } from './kit/dev_vault_answer.ts'
import { Policies } from './kit/dev_vault_policy.ts'
import { type DevVault, startDevVault } from './kit/dev-vault.ts'
import { createToken } from './kit/vault-database.ts'

/** A test with a stand-in that must not have made mistakes of its own. */
function withVault(name: string, body: (vault: DevVault) => Promise<void>): void {
  test(name, async () => {
    const vault = await startDevVault()
    try {
      await body(vault)
      assert.equal(vault.log, '')
    } finally {
      await vault.stop()
    }
  })
}

const lookup = (vault: DevVault, token: string) => vault.send('GET', 'auth/token/lookup-self', undefined, token)

withVault('frozen, it takes requests and answers none; what ended meanwhile ends at the thaw', async (vault) => {
  const token = await createToken(vault, 'default', 1)
  vault.freeze()
  const late = vault.send('GET', 'sys/health', undefined, '')
  assert.ok(await staysPending(late, 1200))
  assert.ok(vault.requests.includes('GET /v1/sys/health'))
  vault.thaw()
  assert.equal((await late).status, 200)
  await poll('the token has ended', async () => ((await lookup(vault, token)).status === 403 ? true : undefined))
})

withVault('a status is answered without the request being carried out, as often as told', async (vault) => {
  vault.faults.answer(/token\/create/, 500, { errors: ['out of order'], times: 2 })
  const before = await vault.list('auth/token/accessors')
  for (const _ of [1, 2]) {
    const answer = await vault.send('POST', 'auth/token/create', { ttl: '60s', policies: ['default'] })
    assert.deepEqual([answer.status, answer.errors], [500, ['out of order']])
  }
  assert.deepEqual(await vault.list('auth/token/accessors'), before)
  assert.equal((await vault.send('POST', 'auth/token/create', { ttl: '60s', policies: ['default'] })).status, 200)
  const remove = vault.faults.answer(/./, 429, { headers: { 'retry-after': '7' } })
  const limited = await fetch(`${vault.address}/v1/sys/health`)
  assert.deepEqual([limited.status, limited.headers.get('retry-after')], [429, '7'])
  assert.doesNotMatch(await limited.text(), /errors/)
  remove()
  assert.equal((await vault.send('GET', 'sys/health')).status, 200)
})

withVault('a lost answer: the request is carried out, the connection cut', async (vault) => {
  const before = (await vault.list('auth/token/accessors')).length
  vault.faults.lose(/POST .*token\/create/)
  const { hostname, port } = new URL(vault.address)
  const body = JSON.stringify({ ttl: '60s', policies: ['default'] })
  const lost = await rawPost(hostname, Number(port), '/v1/auth/token/create', vault.rootToken, body)
  assert.equal(lost, '')
  assert.equal((await vault.list('auth/token/accessors')).length, before + 1)
  assert.match(await rawPost(hostname, Number(port), '/v1/auth/token/create', vault.rootToken, body), /^HTTP\/1\.1 200/)
})

/** All that a server sends to one POST until it ends the connection. A client that repeats requests by itself would hide the loss. */
async function rawPost(host: string, port: number, path: string, token: string, body: string): Promise<string> {
  const { connect } = await import('node:net')
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ host, port })
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      answer += text
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
    const head = `POST ${path} HTTP/1.1\r\nHost: vault\r\nX-Vault-Token: ${token}\r\nConnection: close`
    socket.write(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  })
}

withVault('a delay is a delay', async (vault) => {
  vault.faults.delay(/sys\/health/, 300, 1)
  const slow = vault.send('GET', 'sys/health')
  assert.ok(await staysPending(slow, 200))
  assert.equal((await slow).status, 200)
})

withVault('a Kubernetes login takes the token that is accepted now', async (vault) => {
  await vault.request('POST', 'sys/auth/kubernetes', { type: 'kubernetes' })
  const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'team' }
  await vault.request('POST', 'auth/kubernetes/role/app', { ...bound, token_policies: ['app'], token_ttl: '60s' })
  const login = (jwt: string) => vault.send('POST', 'auth/kubernetes/login', { role: 'app', jwt }, '')
  vault.acceptedJwts.add('first')
  const answer = await login('first')
  assert.deepEqual([answer.status, answer.auth?.policies], [200, ['app', 'default']])
  vault.acceptedJwts.add('second').delete('first')
  assert.equal((await login('first')).status, 403)
  assert.equal((await login('second')).status, 200)
})

test('policies: the most exact rule counts, deny wins, and what is not granted is forbidden', () => {
  const policies = new Policies()
  policies.write('app', 'path "db/creds/*" { capabilities = ["read"] }\n# a remark\npath "db/creds/secret" { capabilities = ["deny"] }')
  policies.write(
    'more',
    'path "db/creds/secret" { capabilities = ["read"] }\npath "team/+/creds" {\n  capabilities = ["list", "update"]\n}',
  )
  const cases: [names: string[], path: string, capability: 'read' | 'update' | 'list', allowed: boolean][] = [
    [['app'], 'db/creds/app', 'read', true],
    [['app'], 'db/creds/app', 'update', false],
    [['app'], 'db/creds/secret', 'read', false],
    [['more'], 'db/creds/secret', 'read', true],
    [['app', 'more'], 'db/creds/secret', 'read', false],
    [['more'], 'team/a/creds', 'list', true],
    [['more'], 'team/a/b/creds', 'list', false],
    [['default'], 'auth/token/lookup-self', 'read', true],
    [['default'], 'db/creds/app', 'read', false],
    [['root'], 'anything', 'update', true],
    [['nobody'], 'db/creds/app', 'read', false],
  ]
  for (const [names, path, capability, allowed] of cases) {
    assert.equal(policies.allow(names, path, capability), allowed, `${names} ${capability} ${path}`)
  }
  assert.throws(() => policies.write('odd', 'path "a" { policy = "read" }'))
})

test('durations are read and printed as Vault does', () => {
  assert.deepEqual([20, '20', '20s', '1h30m', '768h', undefined].map(seconds), [20, 20, 20, 5400, 2_764_800, 0])
  assert.throws(() => seconds('soon'))
  assert.deepEqual([0, 5, 60, 3600, 3661, 7320, 3601].map(durationText), ['0s', '5s', '1m', '1h', '1h1m1s', '2h2m', '1h1s'])
})
