// The stand-in Vault against the real one: logins and tokens, good and bad.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { poll } from './kit/child.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import { sameOnBoth } from './kit/vault-contract.ts'
import { contract, login, standIn } from './kit/vault-contract-steps.ts'
import { unique } from './kit/vault-database.ts'

contract('logins, good and bad', async (player) => {
  const role = await player.approle({ policy: 'default', tokenTtl: 30, tokenMaxTtl: 60 })
  const path = `auth/${role.mount}/login`
  await login(player, 'a login', role)
  await player.send('a wrong role id', 'POST', path, { role_id: 'nobody', secret_id: role.secretId }, '')
  await player.send('a wrong secret id', 'POST', path, { role_id: role.roleId, secret_id: 'wrong' }, '')
  await player.send('no secret id', 'POST', path, { role_id: role.roleId }, '')
  await player.send('a login at a wrong mount', 'POST', 'auth/nowhere/login', { role_id: 'x', secret_id: 'y' }, '')
  const periodic = await player.approle({ policy: 'default', tokenTtl: 30, tokenPeriod: 40 })
  await player.send('a periodic token', 'GET', 'auth/token/lookup-self', undefined, await login(player, 'a periodic login', periodic))
  const batch = await player.approle({ policy: 'default', tokenTtl: 30, tokenType: 'batch' })
  const batchToken = await login(player, 'a batch login', batch)
  await player.send('a batch token', 'GET', 'auth/token/lookup-self', undefined, batchToken)
  await player.send('a batch token is not renewed', 'PUT', 'auth/token/renew-self', {}, batchToken)
})

contract('the life of a token', async (player) => {
  const role = await player.approle({ policy: 'default', tokenTtl: 4, tokenMaxTtl: 6 })
  const token = await login(player, 'a login', role)
  await player.send('lookup', 'GET', 'auth/token/lookup-self', undefined, token)
  await player.send('a renewal', 'PUT', 'auth/token/renew-self', { increment: '3s' }, token)
  await player.send('a renewal that is capped', 'PUT', 'auth/token/renew-self', { increment: '30s' }, token)
  await player.send('lookup after renewals', 'GET', 'auth/token/lookup-self', undefined, token)
  await player.send('accessor', 'POST', 'auth/token/lookup-accessor', { accessor: 'nobody' })
  await player.send('no token', 'GET', 'auth/token/lookup-self', undefined, '')
  await player.send('a wrong token', 'GET', 'auth/token/lookup-self', undefined, 'hvs.nobody')
  await player.send('a wrong token elsewhere', 'GET', 'database/creds/app', undefined, 'hvs.nobody')
  await player.send('root', 'GET', 'auth/token/lookup-self')
  await player.send('root is not renewed', 'PUT', 'auth/token/renew-self', {})
  await poll('the token has ended', async () => {
    const { status } = await player.vault.send('GET', 'auth/token/lookup-self', undefined, token)
    return status === 403 || undefined
  })
  await player.send('lookup after the end', 'GET', 'auth/token/lookup-self', undefined, token)
  await player.send('a renewal after the end', 'PUT', 'auth/token/renew-self', {}, token)
  await player.send('revoking it after the end', 'PUT', 'auth/token/revoke-self', {}, token)
})

contract('tokens that are created, and revoked with their children', async (player) => {
  const body = { policies: ['default'], ttl: '30s', no_parent: true, explicit_max_ttl: '20s' }
  await player.send('with an explicit maximum', 'POST', 'auth/token/create', body)
  const few = await player.send('with two uses', 'POST', 'auth/token/create', { policies: ['default'], ttl: '30s', num_uses: 2 })
  for (const use of ['first', 'last', 'no further']) {
    await player.send(`the ${use} use`, 'GET', 'auth/token/lookup-self', undefined, few.auth?.client_token ?? '')
  }
  const plain = await player.send('not renewable', 'POST', 'auth/token/create', { policies: ['default'], ttl: '30s', renewable: false })
  await player.send('its renewal', 'PUT', 'auth/token/renew-self', {}, plain.auth?.client_token ?? '')
  const policy = `path "auth/token/create" { capabilities = ["update"] }`
  await player.vault.request('PUT', 'sys/policies/acl/maker', { policy })
  const parent = await player.send('a parent', 'POST', 'auth/token/create', { policies: ['maker'], ttl: '60s' })
  const token = parent.auth?.client_token ?? ''
  const child = await player.send('a child', 'POST', 'auth/token/create', { ttl: '30s' }, token)
  await player.send('a child with more rights', 'POST', 'auth/token/create', { policies: ['root'], ttl: '30s' }, token)
  await player.send('the child', 'GET', 'auth/token/lookup-self', undefined, child.auth?.client_token ?? '')
  await player.send('the parent ends itself', 'PUT', 'auth/token/revoke-self', {}, token)
  await player.send('the parent is gone', 'GET', 'auth/token/lookup-self', undefined, token)
  await poll('the child is gone', async () => {
    const { status } = await player.vault.send('GET', 'auth/token/lookup-self', undefined, child.auth?.client_token ?? '')
    return status === 403 || undefined
  })
  const other = await player.vault.request('POST', 'auth/token/create', { policies: ['default'], ttl: '60s' })
  const accessor = other.auth?.accessor
  const found = await player.send('by accessor', 'POST', 'auth/token/lookup-accessor', { accessor })
  player.note('the token itself stays secret', found.data?.id)
  player.note('it is listed', (await player.vault.list('auth/token/accessors')).includes(accessor ?? ''))
  await player.send('revoked by accessor', 'POST', 'auth/token/revoke-accessor', { accessor })
  await player.send('and gone', 'GET', 'auth/token/lookup-self', undefined, other.auth?.client_token ?? '')
})

/** A service account's token as Kubernetes signs it, for a reader that leaves the signature to the reviewer. */
function serviceAccountToken(account: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: 'https://kubernetes.default.svc',
    aud: ['vault'],
    sub: `system:serviceaccount:team:${account}`,
    iat: now - 60,
    nbf: now - 60,
    exp: now + 600,
    'kubernetes.io': { namespace: 'team', serviceaccount: { name: account, uid: 'a7c1c3a5-8a6e-4d0c-9f0f-3f8e4e1b2d90' } },
  }
  return `${part({ alg: 'RS256', kid: 'k' })}.${part(claims)}.${Buffer.from(account).toString('base64url')}`
}

/** What Vault asks about a token: the TokenReview API, for tokens of the account `app`. */
async function startReviewer(s: Scenario, accepted: ReadonlySet<string>): Promise<string> {
  const server = createServer(async (request, response) => {
    const review = JSON.parse(await new Response(Readable.toWeb(request) as ReadableStream<Uint8Array>).text()) as {
      spec: { token: string }
    }
    const user = { username: 'system:serviceaccount:team:app', uid: 'a7c1c3a5-8a6e-4d0c-9f0f-3f8e4e1b2d90' }
    const status = accepted.has(review.spec.token) ? { authenticated: true, user, audiences: ['vault'] } : { authenticated: false }
    response.writeHead(201, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', status }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  s.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

scenario('Kubernetes logins, good and bad', async (s) => {
  const missing = await noVault()
  if (missing && skip(missing)) return
  const stand = await standIn(s)
  const [good, unknown] = [serviceAccountToken('app'), `${serviceAccountToken('app')}other`]
  stand.acceptedJwts.add(good)
  const reviewer = await startReviewer(s, stand.acceptedJwts)
  await sameOnBoth(await sharedVault(), stand, await sharedPostgres(), async (player) => {
    const mount = unique('kubernetes-')
    player.hide(mount, 'login')
    await player.send('mount', 'POST', `sys/auth/${mount}`, { type: 'kubernetes' })
    const config = { kubernetes_host: reviewer, disable_local_ca_jwt: true, token_reviewer_jwt: 'reviewer' }
    await player.send('configuration', 'POST', `auth/${mount}/config`, config)
    const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'team' }
    await player.send('a role without accounts', 'POST', `auth/${mount}/role/wrong`, { token_policies: ['default'] })
    await player.send('a role', 'POST', `auth/${mount}/role/app`, {
      ...bound,
      audience: 'vault',
      token_policies: ['default'],
      token_ttl: '30s',
    })
    const path = `auth/${mount}/login`
    const answer = await player.send('a login', 'POST', path, { role: 'app', jwt: good }, '')
    await player.send('its token', 'GET', 'auth/token/lookup-self', undefined, answer.auth?.client_token ?? '')
    await player.send('a token that the reviewer does not know', 'POST', path, { role: 'app', jwt: unknown }, '')
    await player.send('an unknown role', 'POST', path, { role: 'nobody', jwt: good }, '')
    await player.send('no token', 'POST', path, { role: 'app' }, '')
    await player.send('no role', 'POST', path, { jwt: good }, '')
    await player.send('unmount', 'DELETE', `sys/auth/${mount}`)
    await player.send('the token after it', 'GET', 'auth/token/lookup-self', undefined, answer.auth?.client_token ?? '')
  })
})
