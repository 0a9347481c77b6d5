// The life of a credential against a real Vault and a real PostgreSQL, with TTLs of seconds.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { systemClock } from '../src/clock.ts'
import type { Credential } from '../src/credential.ts'
import { makeFetch } from '../src/net/fetch.ts'
import { Secret } from '../src/secret.ts'
import type { VaultSettings } from '../src/vault/context.ts'
import { createVault, type Vault } from '../src/vault/vault.ts'
import { startBadWire } from './kit/bad-wire.ts'
import { poll } from './kit/child.ts'
import { type PostgresServer, sharedPostgres } from './kit/postgres.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault, type VaultServer } from './kit/vault.ts'
import {
  type AppRole,
  appRole,
  createToken,
  type DatabaseMount,
  databasePolicy,
  type MountOptions,
  mountDatabase,
  writePolicy,
} from './kit/vault-database.ts'
import { RecordingLog, RecordingObserver, TestConsumer, vaultSettings } from './vault/double.ts'

interface Running {
  vault: Vault
  log: RecordingLog
  observer: RecordingObserver
}

function run(s: Scenario, settings: Partial<VaultSettings>): Running {
  const [log, observer] = [new RecordingLog(), new RecordingObserver()]
  const vault = createVault({ settings: vaultSettings(settings), fetch: makeFetch({}), clock: systemClock, log, observer })
  s.showOnFailure('pglease', () => log.text)
  s.defer(() => vault.close(2000))
  return { vault, log, observer }
}

function appRoleLogin(vault: { address: string }, login: AppRole): Partial<VaultSettings> {
  return {
    vault_addr: vault.address,
    vault_auth_method: 'approle',
    vault_auth_mount: login.mount,
    vault_role_id: new Secret(login.roleId),
    vault_secret_id: new Secret(login.secretId),
  }
}

/** Logs in as a pool would: true, or the SQLSTATE of the refusal. */
async function login(postgres: PostgresServer, credential: Credential): Promise<boolean | string> {
  const client = new pg.Client({ ...postgres.connection(), user: credential.user, password: credential.password.reveal() })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown'
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function servers(
  s: Scenario,
  options: MountOptions,
): Promise<{ server: VaultServer; postgres: PostgresServer; mount: DatabaseMount }> {
  const [server, postgres] = [await sharedVault(), await sharedPostgres()]
  const mount = await mountDatabase(server, postgres, options)
  s.defer(() => mount.dispose())
  return { server, postgres, mount }
}

/** Whether Vault still takes the token with this accessor. */
async function tokenLives(server: VaultServer, accessor: string): Promise<boolean> {
  return (await server.send('POST', 'auth/token/lookup-accessor', { accessor })).status === 200
}

async function accessors(server: VaultServer, mount: string): Promise<string[]> {
  const found: string[] = []
  for (const accessor of await server.list('auth/token/accessors')) {
    const answer = await server.send('POST', 'auth/token/lookup-accessor', { accessor })
    if (String(answer.data?.path).startsWith(`auth/${mount}/`)) found.push(accessor)
  }
  return found
}

const missing = await noVault()

scenario('leases are renewed, replaced before their maximum, and revoked when drained and at the end', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 3, maxTtl: 7 })
  const approle = await appRole(server, { policy: databasePolicy(mount), tokenPeriod: 60 })
  const { vault, observer } = run(s, appRoleLogin(server, approle))
  const source = vault.source('app', mount.path)
  const consumer = new TestConsumer(source, { accepts: (credential) => login(postgres, credential) })
  let most = 0
  await poll('the third generation serves', async () => {
    most = Math.max(most, (await mount.leasedRoles()).length)
    return consumer.proven >= 3 || undefined
  })
  assert.ok(most <= 2, `${most} roles at once`)
  assert.ok(observer.count('renewal:ok') >= 2)
  assert.equal(observer.count('rotation:ok'), 2)
  assert.deepEqual(consumer.events, ['offer 1', 'offer 2', 'offer 3'])
  await poll('only the role in use is left', async () => ((await mount.leasedRoles()).length === 1 ? true : undefined))
  assert.equal((await accessors(server, approle.mount)).length, 1)
  await vault.close(5000)
  assert.deepEqual(await mount.leases(), [])
  assert.deepEqual(await mount.leasedRoles(), [])
  assert.deepEqual(await accessors(server, approle.mount), [])
})

scenario('a token with a maximum is replaced, and its leases with it, five lives long', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 60, maxTtl: 600 })
  const approle = await appRole(server, { policy: databasePolicy(mount), tokenTtl: 4, tokenMaxTtl: 5 })
  const { vault, observer } = run(s, appRoleLogin(server, approle))
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('five token lives', () => observer.count('login:ok') >= 5 || undefined, 60_000)
  const generation = consumer.proven
  assert.ok(generation >= 4)
  assert.ok(!consumer.events.some((event) => event.startsWith('overdue') || event.startsWith('gone')), consumer.events.join())
  await poll('the next generation serves', () => consumer.proven > generation || undefined)
  await poll('one token, one role', async () => {
    const [tokens, roles] = [await accessors(server, approle.mount), await mount.leasedRoles()]
    return (tokens.length === 1 && roles.length === 1) || undefined
  })
  await vault.close(5000)
  assert.deepEqual(await mount.leasedRoles(), [])
  assert.deepEqual(await accessors(server, approle.mount), [])
})

scenario('a token that was given to us survives us; its leases do not', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 30, maxTtl: 60 })
  const token = await createToken(server, databasePolicy(mount), 60)
  const { vault } = run(s, { vault_addr: server.address, vault_auth_method: 'token', vault_token: new Secret(token) })
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the first generation serves', () => consumer.proven === 1 || undefined)
  assert.equal((await mount.leases()).length, 1)
  await vault.close(5000)
  assert.deepEqual(await mount.leases(), [])
  assert.equal((await server.send('GET', 'auth/token/lookup-self', undefined, token)).status, 200)
})

scenario('a token file is read again: the successor is leased under the new token', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 30, maxTtl: 60 })
  const folder = mkdtempSync(join(tmpdir(), 'pglease-token-'))
  s.defer(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'token')
  const policy = await writePolicy(server, databasePolicy(mount))
  writeFileSync(file, `${await createToken(server, policy, 60)}\n`)
  const { vault } = run(s, { vault_addr: server.address, vault_auth_method: 'token_file', vault_token_file: file })
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the first generation serves', () => consumer.proven === 1 || undefined)
  writeFileSync(file, `${await createToken(server, policy, 60)}\n`)
  await poll('the second generation serves', () => consumer.proven === 2 || undefined)
  await poll('the first is revoked', async () => (await mount.leases()).length === 1 || undefined)
})

scenario('a policy that forbids revoking: the HCL is printed once, and the end of the token ends the leases', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 3, maxTtl: 4 })
  const approle = await appRole(server, { policy: databasePolicy(mount, ['revoke']), tokenPeriod: 60 })
  const { vault, log, observer } = run(s, appRoleLogin(server, approle))
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the third generation serves', () => consumer.proven === 3 || undefined)
  await vault.close(5000)
  const said = log.of('lease_revoke_failed').map((line) => line.msg)
  assert.equal(said.length, 1)
  assert.ok(said[0]?.includes(`path "sys/leases/revoke/${mount.path}/*" { capabilities = ["update"] }`))
  assert.ok(observer.count('revocation:denied') >= 2)
  assert.equal(observer.count('login:ok'), 1)
  await poll('the roles are dropped with the token', async () => (await mount.leasedRoles()).length === 0 || undefined)
})

scenario('a wrong path and a missing policy are permanent and named', async (s) => {
  if (missing && skip(missing)) return
  const { server, mount } = await servers(s, { defaultTtl: 30, maxTtl: 60 })
  const approle = await appRole(server, { policy: databasePolicy(mount, ['creds']), tokenPeriod: 60 })
  const { vault } = run(s, appRoleLogin(server, approle))
  const denied = new TestConsumer(vault.source('app', mount.path))
  await poll('the denial is told', () => denied.trouble_ !== undefined || undefined)
  assert.equal(denied.trouble_?.code, 'vault_denied')
  assert.ok(denied.trouble_?.detail.includes(mount.path))
  await vault.close(1000)
  const root = run(s, { vault_addr: server.address, vault_auth_method: 'token', vault_token: new Secret(server.rootToken) })
  const wrong = new TestConsumer(root.vault.source('app', `${mount.mount}/creds/nobody`))
  await poll('the mistake is told', () => wrong.trouble_ !== undefined || undefined)
  assert.ok(['vault_path_missing', 'vault_bad_request'].includes(wrong.trouble_?.code ?? ''), JSON.stringify(wrong.trouble_))
  assert.equal(root.vault.state().token.remainingMs, Number.POSITIVE_INFINITY)
})

scenario('a token revoked behind our back is replaced, and its dead leases too', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 6, maxTtl: 60 })
  const approle = await appRole(server, { policy: databasePolicy(mount), tokenPeriod: 60 })
  const { vault, observer } = run(s, appRoleLogin(server, approle))
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the first generation serves', () => consumer.proven === 1 || undefined)
  const [accessor = ''] = await accessors(server, approle.mount)
  await server.request('POST', 'auth/token/revoke-accessor', { accessor })
  assert.equal(await tokenLives(server, accessor), false)
  await poll('the second generation serves', () => consumer.proven === 2 || undefined)
  assert.equal(observer.count('login:ok'), 2)
  assert.ok(consumer.events.includes('overdue 1'))
})

scenario('Vault frozen past the end of the lease: few requests, and a new generation soon after the thaw', async (s) => {
  if (missing && skip(missing)) return
  const [server, postgres] = [await s.vault(), await sharedPostgres()]
  const mount = await mountDatabase(server, postgres, { defaultTtl: 5, maxTtl: 60 })
  s.defer(() => mount.dispose())
  const approle = await appRole(server, { policy: databasePolicy(mount), tokenPeriod: 60 })
  const wire = await startBadWire({ host: server.host, port: server.port }, { http: true })
  s.defer(() => wire.stop())
  const { vault } = run(s, appRoleLogin({ address: `http://127.0.0.1:${wire.port}` }, approle))
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the first generation serves', () => consumer.proven === 1 || undefined)
  const before = wire.requestCount
  await server.freeze()
  await poll('the lease is overdue', () => consumer.events.includes('overdue 1') || undefined)
  await poll('Vault is asked again and again', () => wire.requestCount - before >= 4 || undefined, 60_000)
  assert.ok(wire.requestLines.slice(before).filter((line) => line.includes('/creds/')).length === 0)
  server.thaw()
  const thawed = Date.now()
  await poll('the second generation serves', () => consumer.proven >= 2 || undefined)
  assert.ok(Date.now() - thawed < 6000, `${Date.now() - thawed} ms after the thaw`)
})

scenario('a lost answer to a read of credentials is counted and not repeated at once', async (s) => {
  if (missing && skip(missing)) return
  const { server, postgres, mount } = await servers(s, { defaultTtl: 30, maxTtl: 60 })
  const approle = await appRole(server, { policy: databasePolicy(mount), tokenPeriod: 60 })
  const wire = await startBadWire({ host: server.host, port: server.port }, { http: true })
  s.defer(() => wire.stop())
  wire.loseNext(/\/creds\//)
  const { vault, observer } = run(s, appRoleLogin({ address: `http://127.0.0.1:${wire.port}` }, approle))
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the loss is counted', () => observer.count('orphaned') === 1 || undefined)
  assert.equal(observer.count('request:creds_read'), 1)
  await poll('the first generation serves', () => consumer.proven === 1 || undefined)
  assert.equal(observer.count('orphaned'), 1)
  assert.equal(observer.count('request:creds_read'), 2)
})

scenario('Vault sealed at start: nothing is sent but health checks, and all is served when it is unsealed', async (s) => {
  if (missing && skip(missing)) return
  const [server, postgres] = [await s.vault(), await sharedPostgres()]
  const mount = await mountDatabase(server, postgres, { defaultTtl: 30, maxTtl: 60 })
  s.defer(() => mount.dispose())
  const approle = await appRole(server, { policy: databasePolicy(mount), tokenPeriod: 60 })
  await server.seal()
  const { vault, observer } = run(s, appRoleLogin(server, approle))
  const consumer = new TestConsumer(vault.source('app', mount.path), { accepts: (credential) => login(postgres, credential) })
  await poll('the reason is told', () => consumer.trouble_ !== undefined || undefined)
  assert.equal(consumer.trouble_?.code, 'vault_unavailable')
  assert.match(consumer.trouble_?.detail ?? '', /sealed/)
  assert.equal(vault.ready(), false)
  assert.equal(observer.count('request:login'), 0)
  await server.unseal()
  await poll('the first generation serves', () => consumer.proven === 1 || undefined)
  assert.equal(consumer.trouble_, undefined)
})
