// The old sidecar's variables, and each of its defects that must not return.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bad, good, lines } from './load_kit.ts'

const BASE = { DB_HOST: 'db.internal', DB_NAME: 'app', VAULT_PATH: 'database/creds/my-role', VAULT_TOKEN: 't' }
const app = (more: Record<string, string>) => good({ env: { ...BASE, ...more } }).settings.databases.get('app')!

test('three variables make a database, on port 5432, with TLS', () => {
  const { settings, sources } = good({ env: BASE })
  assert.equal(settings.listen_port, 5432)
  assert.deepEqual([...settings.databases.keys()], ['app'])
  assert.equal(app({}).host, 'db.internal')
  assert.equal(app({}).vault_path, 'database/creds/my-role')
  assert.equal(app({}).server_tls_sslmode, 'require')
  assert.equal(app({ DB_HOST: 'localhost' }).server_tls_sslmode, 'require')
  assert.equal(app({ DB_PORT: '6543' }).port[0], 6543)
  assert.equal(sources.get('databases.app.host'), 'DB_HOST')
  assert.equal(good({ env: { ...BASE, LISTEN_PORT: '7777' } }).settings.listen_port, 7777)
})

test('defect 1: SSL_MODE works; TLS_MODE wins over it with a warning when they differ', () => {
  assert.equal(app({ SSL_MODE: 'verify-full' }).server_tls_sslmode, 'verify-full')
  assert.equal(app({ TLS_MODE: 'prefer' }).server_tls_sslmode, 'prefer')
  const both = good({ env: { ...BASE, TLS_MODE: 'verify-full', SSL_MODE: 'disable' } })
  assert.equal(both.settings.databases.get('app')?.server_tls_sslmode, 'verify-full')
  assert.match(both.warnings[0]!, /TLS_MODE and SSL_MODE differ; TLS_MODE is used/)
  assert.deepEqual(good({ env: { ...BASE, TLS_MODE: 'verify-full', SSL_MODE: 'verify-full' } }).warnings, [])
})

test('defect 2: VAULT_CA_CERT works, and VAULT_CACERT wins', () => {
  const files = { '/a': '-----BEGIN CERTIFICATE-----', '/b': '-----BEGIN CERTIFICATE-----' }
  assert.equal(good({ env: { ...BASE, VAULT_CA_CERT: '/a' }, files }).settings.vault_cacert, '/a')
  assert.equal(good({ env: { ...BASE, VAULT_CA_CERT: '/a', VAULT_CACERT: '/b' }, files }).settings.vault_cacert, '/b')
})

test('defect 3: VAULT_KUBERNETES_ROLE defaults to default and may hold any character', () => {
  assert.equal(good({ env: BASE }).settings.vault_auth_role, 'default')
  assert.equal(good({ env: { ...BASE, VAULT_KUBERNETES_ROLE: 'team/app&x' } }).settings.vault_auth_role, 'team/app&x')
})

test('defect 4: passwords with spaces, quotes and backslashes stay what they are', () => {
  const password = ` it's "a" \\ pass;word # 0123 `
  const yaml = 'databases:\n  app: { host: db, user: u, password_file: /p }\n'
  assert.equal(
    good({ yaml, files: { '/p': `${password}\n` } })
      .settings.databases.get('app')
      ?.password?.reveal(),
    password,
  )
  const plain = good({ yaml: 'databases:\n  app: { host: db, user: 007, password: 0123 }\n' }).settings.databases.get('app')
  assert.equal(plain?.password?.reveal(), '0123')
  assert.equal(plain?.user, '007')
})

test('defect 5: the admin console’s name is no database', () => {
  assert.match(lines(bad({ env: { ...BASE, DB_NAME: 'pgbouncer' } }))[0]!, /admin console/)
})

test('defect 8: both loopback addresses are listened on; sizes and the pool mode can be configured', () => {
  assert.deepEqual(good({ env: BASE }).settings.listen_addr, ['127.0.0.1', '::1'])
  const sized = good({ env: { ...BASE, PGLEASE_DEFAULT_POOL_SIZE: '5', PGLEASE_MAX_CLIENT_CONN: '500' } }).settings
  assert.equal(sized.databases.get('app')?.pool_size, 5)
  assert.equal(sized.max_client_conn, 500)
  assert.equal(good({ env: { ...BASE, PGLEASE_POOL_MODE: 'session' } }).settings.databases.get('app')?.pool_mode, 'session')
})

test('defect 12: server_role and connect_query work with the environment alone', () => {
  assert.equal(app({ PGLEASE_SERVER_ROLE: 'app' }).server_role, 'app')
  assert.equal(app({ PGLEASE_CONNECT_QUERY: 'select 1' }).connect_query, 'select 1')
})

test('DB_* overrides the database of that name in the file', () => {
  const yaml = 'databases:\n  app: { host: old, dbname: real, vault_path: database/creds/old, server_tls_sslmode: verify-full }\n'
  const { settings, sources } = good({ yaml, env: BASE })
  const database = settings.databases.get('app')!
  assert.equal(database.host, 'db.internal')
  assert.equal(database.dbname, 'real')
  assert.equal(database.vault_path, 'database/creds/my-role')
  assert.equal(database.server_tls_sslmode, 'verify-full')
  assert.equal(sources.get('databases.app.vault_path'), 'VAULT_PATH')
})

test('a DB_PORT that Kubernetes made is ignored with a warning; POD_NAMESPACE and empty variables mean nothing', () => {
  const loaded = good({ env: { ...BASE, DB_PORT: 'tcp://10.0.0.9:5432', POD_NAMESPACE: 'x', TLS_MODE: '', LISTEN_PORT: '' } })
  assert.equal(loaded.settings.databases.get('app')?.port[0], 5432)
  assert.match(loaded.warnings[0]!, /^DB_PORT was made by Kubernetes/)
})

test('line ends of an environment file from Windows are no part of a value', () => {
  const env = Object.fromEntries(Object.entries({ ...BASE, DB_PORT: '6543' }).map(([name, value]) => [name, `${value}\r`]))
  const { settings } = good({ env: { ...env, VAULT_TOKEN: 't' } })
  assert.deepEqual([...settings.databases.keys()], ['app'])
  const { host, port, vault_path } = settings.databases.get('app')!
  assert.deepEqual([host, port[0], vault_path], ['db.internal', 6543, 'database/creds/my-role'])
})

test('what is missing is named', () => {
  assert.match(
    lines(bad({ env: { DB_HOST: 'h', VAULT_PATH: 'a/creds/b', VAULT_TOKEN: 't' } }))[0]!,
    /^DB_NAME \| {2}\| is not set, but DB_HOST and VAULT_PATH are/,
  )
  assert.match(
    lines(bad({ env: { DB_NAME: 'a', VAULT_PATH: 'a/creds/b', VAULT_TOKEN: 't' } }))[0]!,
    /^databases\.a\.host \| {2}\| is not set/,
  )
  assert.match(lines(bad({ env: { DB_NAME: 'a', DB_HOST: 'h' } }))[0]!, /^databases\.a\.vault_path \| {2}\| is not set and neither is user/)
})
