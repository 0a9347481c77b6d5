// The whole way once: a lease from a real Vault, queries through a rotation, probes, metrics, and an orderly end.
import assert from 'node:assert/strict'
import { poll } from './kit/child.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import { appRole, appRoleSettings, databasePolicy, mountDatabase } from './kit/vault-database.ts'

const missing = await noVault()

scenario('leases, serves queries through a rotation, tells how it is, revokes and ends with 0', async (run) => {
  if (missing && skip(missing)) return
  const [vault, postgres] = [await sharedVault(), await sharedPostgres()]
  const database = await postgres.createDatabase()
  run.defer(() => postgres.dropDatabase(database))
  const mount = await mountDatabase(vault, postgres, { defaultTtl: 4, maxTtl: 9, database })
  run.defer(() => mount.dispose())
  const login = await appRole(vault, { policy: databasePolicy(mount), tokenTtl: 60 })
  const { host, port } = postgres
  const pglease = await run.pglease({
    config: {
      ...appRoleSettings(vault, login),
      databases: { app: { host, port, dbname: database, vault_path: mount.path, server_tls_sslmode: 'disable' } },
    },
  })
  await pglease.waitStarted()
  await pglease.waitReady()
  assert.equal((await pglease.http('/livez')).status, 200)

  const client = await pglease.client('app')
  const roles = new Set<string>()
  let queries = 0
  await poll('queries are served by a second role', async () => {
    const { rows } = await client.query('SELECT current_user AS role, $1::int AS echo', [queries])
    assert.equal(rows[0].echo, queries++)
    roles.add(rows[0].role)
    return roles.size >= 2 ? true : undefined
  })
  for (const role of roles) assert.match(role, /^v-/)
  assert.deepEqual(client.errors, [])
  await poll('the first role is gone', async () => ((await mount.leasedRoles()).length === 1 ? true : undefined))

  const metrics = await pglease.metrics()
  assert.ok(metrics.sum('pglease_queries_total', { database: 'app' }) >= queries)
  const generation = metrics.sum('pglease_lease_generation', { source: 'app' })
  assert.ok(generation >= 2)
  assert.equal(metrics.sum('pglease_rotations_total', { source: 'app', result: 'ok' }), generation - 1)
  assert.equal(metrics.sum('pglease_client_connections', { database: 'app' }), 1)
  assert.ok(metrics.sum('pglease_lease_remaining_seconds', { source: 'app' }) > 0)
  assert.equal(metrics.find('pglease_build_info').length, 1)

  await client.end()
  const ended = await pglease.stop('SIGTERM')
  assert.deepEqual(ended, { code: 0, signal: null })
  assert.deepEqual(await mount.leases(), [])
  assert.deepEqual(await mount.leasedRoles(), [])
  assert.ok(!(pglease.child.stdout + pglease.child.stderr).includes(login.secretId), 'no secret is printed')
})
