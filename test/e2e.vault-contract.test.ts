// The stand-in Vault against the real one: the same requests, the same answers, the same roles in PostgreSQL.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBadWire } from './kit/bad-wire.ts'
import { staysPending } from './kit/child.ts'
import type { DevVault } from './kit/dev-vault.ts'
import type { OwnVault } from './kit/vault.ts'
import { differences, shapeOf } from './kit/vault-contract.ts'
import { contract, gone, lease, login, roleExists } from './kit/vault-contract-steps.ts'
import { databasePolicy } from './kit/vault-database.ts'

test('the comparison itself sees another status, type, duration and text, and steps that are missing', () => {
  const seen = { what: 'a', status: 200, shape: shapeOf({ n: 1, list: ['x'] }), errors: ['e'], durations: { ttl: 20 } }
  assert.deepEqual(differences([seen], [seen]), [])
  assert.deepEqual(differences([seen], [{ ...seen, durations: { ttl: 21 } }]), [])
  const others = [{ status: 204 }, { shape: shapeOf({ n: '1', list: ['x'] }) }, { errors: ['f'] }, { durations: { ttl: 22 } }]
  for (const other of others) assert.equal(differences([seen], [{ ...seen, ...other }]).length, 1)
  assert.notEqual(differences([seen], []).length, 0)
  assert.notEqual(differences([], [seen]).length, 0)
})

contract('configuration', async (player) => {
  const mount = `database-${player.vault.port}`
  player.hide(mount, 'mount')
  await player.send('mount', 'POST', `sys/mounts/${mount}`, { type: 'database' })
  await player.send('mount again', 'POST', `sys/mounts/${mount}`, { type: 'database' })
  await player.send('a role without a database', 'POST', `${mount}/roles/app`, { creation_statements: ['SELECT 1'] })
  const url = (port: number) => `postgresql://{{username}}:{{password}}@127.0.0.1:${port}/postgres?sslmode=disable`
  const config = {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: 'app',
    connection_url: url(player.postgres.port),
    username: player.postgres.superuser,
    password: player.postgres.password,
  }
  await player.send('a connection', 'POST', `${mount}/config/pg`, config)
  await player.send('a role', 'POST', `${mount}/roles/other`, { db_name: 'pg', creation_statements: ['SELECT 1'], default_ttl: '20s' })
  await player.send('a role that the connection does not allow', 'GET', `${mount}/creds/other`)
  await player.send('a role with a wrong maximum', 'POST', `${mount}/roles/app`, { db_name: 'pg', default_ttl: '20s', max_ttl: '10s' })
  await player.send('a role whose SQL fails', 'POST', `${mount}/roles/app`, { db_name: 'pg', creation_statements: ['SELECT nothing'] })
  const failed = await player.vault.send('GET', `${mount}/creds/app`)
  player.note('an SQL error is a 500', [failed.status, /column "nothing" does not exist/.test(failed.errors?.[0] ?? '')])
  await player.send('roles', 'GET', `${mount}/roles?list=true`)
  await player.send('a policy', 'PUT', 'sys/policies/acl/contract', { policy: 'path "a/b" { capabilities = ["read"] }' })
  await player.send('a missing password policy', 'POST', `${mount}/config/pg`, { ...config, password_policy: 'nobody' })
  await player.send('a role again', 'POST', `${mount}/roles/app`, { db_name: 'pg', creation_statements: ['CREATE ROLE "{{name}}"'] })
  const unset = await player.vault.send('GET', `${mount}/creds/app`)
  player.note('a missing password policy is a 500', unset.status)
  await player.send('unmount', 'DELETE', `sys/mounts/${mount}`)
  await player.send('what is unmounted', 'GET', `${mount}/creds/app`)
})

contract('leases: renewed to their maximum, revoked once and twice', async (player) => {
  const mounted = await player.mount({ defaultTtl: 20, maxTtl: 60 })
  const role = await player.approle({ policy: databasePolicy(mounted), tokenTtl: 120, noDefaultPolicy: true })
  const token = await login(player, 'a login', role)
  const first = await lease(player, 'a lease', mounted, token)
  await player.send('a renewal', 'PUT', 'sys/leases/renew', { lease_id: first.id, increment: 20 }, token)
  await player.send('a renewal that asks for nothing', 'PUT', 'sys/leases/renew', { lease_id: first.id }, token)
  await player.send('a renewal that asks for less', 'PUT', 'sys/leases/renew', { lease_id: first.id, increment: 5 }, token)
  await player.send('a renewal that is capped', 'PUT', 'sys/leases/renew', { lease_id: first.id, increment: 90 }, token)
  await player.send('a renewal by POST', 'POST', 'sys/leases/renew', { lease_id: first.id, increment: 20 }, token)
  await player.send('a lookup of it', 'PUT', 'sys/leases/lookup', { lease_id: first.id })
  await player.send('a lookup that the policy forbids', 'PUT', 'sys/leases/lookup', { lease_id: first.id }, token)
  player.note('leases', (await mounted.leases()).length)
  await player.send('a sync revocation', 'PUT', `sys/leases/revoke/${first.id}`, { sync: true }, token)
  player.note('the role is dropped', await roleExists(player.postgres, first.username))
  await player.send('a second revocation', 'PUT', `sys/leases/revoke/${first.id}`, { sync: true }, token)
  await player.send('a renewal of what is revoked', 'PUT', 'sys/leases/renew', { lease_id: first.id, increment: 20 }, token)
  await player.send('a lookup of what is revoked', 'PUT', 'sys/leases/lookup', { lease_id: first.id })
  const second = await lease(player, 'another lease', mounted, token)
  await player.send('a revocation with the body form', 'PUT', 'sys/leases/revoke', { lease_id: second.id }, token)
  await player.send('a revocation in the background', 'PUT', `sys/leases/revoke/${second.id}`, { sync: false }, token)
  await gone(player, second.username)
  await player.send('a list of no leases', 'GET', `sys/leases/lookup/${mounted.path}?list=true`)
})

contract('a lease near its maximum and at its end', async (player) => {
  const mounted = await player.mount({ defaultTtl: 3, maxTtl: 4 })
  const { id, username } = await lease(player, 'a lease', mounted)
  const capped = await player.send('a renewal near the maximum', 'PUT', 'sys/leases/renew', { lease_id: id, increment: 3600 })
  player.note('it is short', (capped.lease_duration ?? 0) <= 4)
  const client = await player.postgres.sql('SELECT rolvaliduntil IS NOT NULL AS ends FROM pg_roles WHERE rolname = $1', 'postgres', [
    username,
  ])
  player.note('VALID UNTIL', client)
  await gone(player, username)
  await player.send('a renewal after the end', 'PUT', 'sys/leases/renew', { lease_id: id, increment: 3 })
  player.note('no lease is left', await mounted.leases())
})

contract('a role that cannot be dropped', async (player) => {
  const mounted = await player.mount({ defaultTtl: 60, maxTtl: 120, revocationStatements: ['DROP ROLE "{{name}}"'] })
  const { id, username } = await lease(player, 'a lease', mounted)
  await player.postgres.sql(`CREATE TABLE "t_${username}" (); ALTER TABLE "t_${username}" OWNER TO "${username}"`)
  await player.send('a revocation that fails', 'PUT', `sys/leases/revoke/${id}`, { sync: true })
  player.note('the lease stays', (await mounted.leases()).length)
  await player.postgres.sql(`DROP TABLE "t_${username}"`)
  await player.send('a revocation that succeeds', 'PUT', `sys/leases/revoke/${id}`, { sync: true })
  player.note('the role is gone', await roleExists(player.postgres, username))
})

contract('PostgreSQL out of reach of Vault, and back', async (player) => {
  const wire = await startBadWire(player.postgres)
  try {
    const mounted = await player.mount({ defaultTtl: 60, maxTtl: 120, hosts: `127.0.0.1:${wire.port}` })
    const { id, username } = await lease(player, 'a lease', mounted)
    wire.refuse = true
    wire.resetAll()
    const creds = await player.vault.send('GET', mounted.path)
    const renewal = await player.vault.send('PUT', 'sys/leases/renew', { lease_id: id, increment: 60 })
    const revocation = await player.vault.send('PUT', `sys/leases/revoke/${id}`, { sync: true })
    player.note('statuses', [creds.status, renewal.status, revocation.status])
    const first = (answer: { errors?: string[] }) => (answer.errors?.[0] ?? '').split(':')[0]
    player.note('how the texts begin', [first(creds), first(renewal), first(revocation)])
    player.note('the lease stays', (await mounted.leases()).length)
    wire.refuse = false
    await player.send('a renewal', 'PUT', 'sys/leases/renew', { lease_id: id, increment: 60 })
    await player.send('a revocation', 'PUT', `sys/leases/revoke/${id}`, { sync: true })
    player.note('the role is gone', await roleExists(player.postgres, username))
    await lease(player, 'a lease after it', mounted)
  } finally {
    wire.refuse = false
    await player.dispose()
    await wire.stop()
  }
})

contract('a token that ends takes its leases along', async (player) => {
  const mounted = await player.mount({ defaultTtl: 60, maxTtl: 120 })
  const role = await player.approle({ policy: databasePolicy(mounted), tokenTtl: 60 })
  const token = await login(player, 'a login', role)
  const first = await lease(player, 'a lease', mounted, token)
  await player.send('revoke-self', 'PUT', 'auth/token/revoke-self', {}, token)
  await player.send('revoke-self again', 'PUT', 'auth/token/revoke-self', {}, token)
  await gone(player, first.username)
  const short = await player.approle({ policy: databasePolicy(mounted), tokenTtl: 2, tokenMaxTtl: 2 })
  const second = await lease(player, 'a lease of a short token', mounted, await login(player, 'a short login', short))
  await gone(player, second.username)
  const batch = await player.approle({ policy: databasePolicy(mounted), tokenTtl: 30, tokenType: 'batch' })
  const third = await lease(player, 'a lease of a batch token', mounted, await login(player, 'a batch login', batch))
  await player.send('its renewal', 'PUT', 'sys/leases/renew', { lease_id: third.id, increment: 60 })
  await player.send('revoke-force', 'PUT', `sys/leases/revoke-force/${mounted.mount}`)
  player.note('nothing is left', [await mounted.leases(), await mounted.leasedRoles()])
})

contract('policies and wrong paths', async (player) => {
  const mounted = await player.mount({ defaultTtl: 60, maxTtl: 120 })
  const { id } = await lease(player, 'a lease of root', mounted)
  for (const without of ['creds', 'renew', 'revoke', 'token'] as const) {
    const policy = databasePolicy(mounted, [without])
    const role = await player.approle({ policy, tokenTtl: 60, noDefaultPolicy: true })
    const token = await login(player, `a login without ${without}`, role)
    await player.send(`without ${without}: creds`, 'GET', mounted.path, undefined, token)
    await player.send(`without ${without}: renew`, 'PUT', 'sys/leases/renew', { lease_id: id, increment: 60 }, token)
    await player.send(`without ${without}: revoke`, 'PUT', `sys/leases/revoke/${mounted.path}/nobody`, { sync: true }, token)
    await player.send(`without ${without}: lookup-self`, 'GET', 'auth/token/lookup-self', undefined, token)
    await player.send(`without ${without}: renew-self`, 'PUT', 'auth/token/renew-self', {}, token)
    await player.send(`without ${without}: another role`, 'GET', `${mounted.mount}/creds/other`, undefined, token)
    await player.send(`without ${without}: nowhere`, 'GET', 'nowhere/creds/app', undefined, token)
  }
  await player.send('an unknown role', 'GET', `${mounted.mount}/creds/nobody`)
  await player.send('an unknown mount', 'GET', 'nowhere/creds/app')
  await player.send('an unknown path of a mount', 'GET', `${mounted.mount}/nothing/app`)
  await player.send('a wrong method', 'DELETE', mounted.path)
  await player.send('credentials by POST', 'POST', mounted.path, {})
  await player.send('a renewal without a lease', 'PUT', 'sys/leases/renew', {})
  const deny = `path "${mounted.mount}/creds/*" { capabilities = ["read"] }\npath "${mounted.path}" { capabilities = ["deny"] }`
  const denied = await player.approle({ policy: deny, tokenTtl: 60 })
  await player.send('the more exact rule counts', 'GET', mounted.path, undefined, await login(player, 'a denied login', denied))
})

contract(
  'frozen and thawed',
  async (player) => {
    const vault = player.vault as OwnVault | DevVault
    const mounted = await player.mount({ defaultTtl: 3, maxTtl: 60 })
    const { username } = await lease(player, 'a lease', mounted)
    const ended = performance.now() + 3500
    await vault.freeze()
    const late = vault.send('GET', 'sys/health')
    const givenUp = fetch(`${vault.address}/v1/${mounted.path}`, {
      headers: { 'X-Vault-Token': vault.rootToken },
      signal: AbortSignal.timeout(500),
    })
    await assert.rejects(givenUp)
    player.note('it answers nothing', await staysPending(late, ended - performance.now()))
    player.note('nothing ends while it is frozen', await roleExists(player.postgres, username))
    vault.thaw()
    const thawed = performance.now()
    player.note('it answers', (await late).status)
    await gone(player, username)
    player.note('soon', performance.now() - thawed < 3000)
    player.note('what was given up made no lease', await mounted.leases())
  },
  true,
)

contract(
  'sealed and unsealed',
  async (player) => {
    const mounted = await player.mount({ defaultTtl: 3, maxTtl: 60 })
    const { username } = await lease(player, 'a lease', mounted)
    await player.send('health', 'GET', 'sys/health', undefined, '')
    await player.send('health of a standby', 'GET', 'sys/health?standbyok=true&perfstandbyok=true', undefined, '')
    await player.send('seal', 'PUT', 'sys/seal')
    await player.send('health while sealed', 'GET', 'sys/health?standbyok=true&perfstandbyok=true', undefined, '')
    await player.send('credentials while sealed', 'GET', mounted.path)
    await player.send('a login while sealed', 'POST', 'auth/approle/login', {}, '')
    // past the end of the lease, as PostgreSQL counts
    await player.postgres.sql('SELECT pg_sleep(4)')
    player.note('nothing ends while sealed', await roleExists(player.postgres, username))
    await player.send('unseal', 'PUT', 'sys/unseal', { key: player.vault.unsealKey }, '')
    await gone(player, username)
    await player.send('credentials after unsealing', 'GET', mounted.path)
  },
  true,
)
