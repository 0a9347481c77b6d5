// Sources and their priority, and every mistake at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effectiveLines } from '../../src/settings/effective.ts'
import { bad, good, lines, loadFrom, ONE } from './load_kit.ts'

test('built-in values are pgbouncer’s, and a database resolves its defaults', () => {
  const { settings, sources } = good({ yaml: ONE })
  assert.equal(settings.listen_port, 6432)
  assert.deepEqual(settings.listen_addr, ['127.0.0.1', '::1'])
  assert.equal(settings.query_wait_timeout, 120_000)
  assert.equal(settings.server_lifetime, 3_600_000)
  assert.equal(sources.get('listen_port'), 'built-in')
  const app = settings.databases.get('app')!
  assert.equal(app.port[0], 5432)
  assert.equal(app.dbname, 'app')
  assert.equal(app.pool_size, 20)
  assert.equal(app.password?.reveal(), 'pw')
  assert.equal(app.server_tls_sslmode, 'prefer')
  assert.ok(Object.isFrozen(settings) && Object.isFrozen(app))
})

test('each source wins over the weaker ones and is named', () => {
  const weakest = { yaml: `vault_addr: http://127.0.0.1:1\nlisten_port: 1\n${ONE}` }
  const steps: readonly [Record<string, string>, string, string][] = [
    [{}, 'http://127.0.0.1:1', 'file config.yaml:1'],
    [{ VAULT_ADDR: 'http://127.0.0.1:2' }, 'http://127.0.0.1:2', 'VAULT_ADDR'],
    [{ BAO_ADDR: 'http://127.0.0.1:3' }, 'http://127.0.0.1:3', 'BAO_ADDR'],
    [{ VAULT_AGENT_ADDR: 'http://127.0.0.1:4' }, 'http://127.0.0.1:4', 'VAULT_AGENT_ADDR'],
    [{ PGLEASE_VAULT_ADDR: 'http://127.0.0.1:5' }, 'http://127.0.0.1:5', 'PGLEASE_VAULT_ADDR'],
  ]
  let env: Record<string, string> = {}
  for (const [more, value, source] of steps) {
    env = { ...env, ...more }
    const { settings, sources } = good({ ...weakest, env })
    assert.equal(settings.vault_addr, value)
    assert.equal(sources.get('vault_addr'), source)
  }
  const { settings, sources } = good({ ...weakest, env, flags: { vault_addr: 'http://127.0.0.1:6' } })
  assert.equal(settings.vault_addr, 'http://127.0.0.1:6')
  assert.equal(sources.get('vault_addr'), '--vault-addr')
})

test('a database’s own value wins over that of the process', () => {
  const yaml =
    'server_tls_sslmode: verify-ca\ndefault_pool_size: 7\nserver_role: owner\ndatabases:\n  a: { host: h, user: u }\n  b: { host: h, user: u, server_tls_sslmode: disable, pool_size: 3 }\n'
  const { settings, sources } = good({ yaml })
  assert.equal(settings.databases.get('a')?.server_tls_sslmode, 'verify-ca')
  assert.equal(settings.databases.get('a')?.pool_size, 7)
  assert.equal(settings.databases.get('a')?.server_role, 'owner')
  assert.equal(settings.databases.get('b')?.server_tls_sslmode, 'disable')
  assert.equal(settings.databases.get('b')?.pool_size, 3)
  assert.equal(sources.get('databases.a.server_tls_sslmode'), 'file config.yaml:1')
  assert.equal(sources.get('databases.b.server_tls_sslmode'), 'file config.yaml:6')
})

test('what users says of a user or a vault_path wins over its databases, and its limits hold over them', () => {
  const yaml = [
    'vault_token: t',
    'pool_mode: statement',
    'max_user_connections: 9',
    'databases:',
    '  a: { host: h, user: u, pool_mode: transaction, pool_size: 3 }',
    '  b: { host: h, user: u }',
    '  c: { host: h, vault_path: /database/creds/r/ }',
    '  d: { host: h, user: other }',
    'users:',
    '  u: { pool_mode: session, pool_size: 2, query_timeout: 7, max_user_client_connections: 5 }',
    '  database/creds/r: { max_user_connections: 1 }',
    '',
  ].join('\n')
  const loaded = good({ yaml })
  const { settings, sources } = loaded
  const of = (name: string) => settings.databases.get(name)!
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => of(name).pool_mode),
    ['session', 'session', 'statement', 'statement'],
  )
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => of(name).pool_size),
    [2, 2, 20, 20],
  )
  assert.deepEqual(
    ['a', 'd'].map((name) => of(name).query_timeout),
    [7000, 0],
  )
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => of(name).max_user_connections),
    [9, 9, 1, 9],
  )
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((name) => of(name).max_user_client_connections),
    [5, 5, 0, 0],
  )
  assert.equal(sources.get('databases.a.pool_mode'), 'file config.yaml:10')
  const shown = effectiveLines(loaded).filter(({ path }) => path.startsWith('users.'))
  assert.deepEqual(
    shown.map(({ path, value }) => `${path} ${value}`),
    ['users.u.max_user_client_connections 5', 'users."database/creds/r".max_user_connections 1'],
  )
})

test('names that begin alike are told apart, however long they are', () => {
  const path = (role: string) => `kubernetes-production-eu-central-1/postgres/cluster-a/database/creds/${role}`
  const name = (last: string) => `${'Reporting '.repeat(6)}${last}`
  const yaml = [
    'vault_token: t',
    'databases:',
    ...['one', 'two'].map((last) => `  "${name(last)}": { host: ${last}, vault_path: ${path(last)} }`),
    `users: { "${path('one')}": { pool_mode: session, pool_size: 3 }, "${path('two')}": { pool_size: 7 } }`,
    '',
  ].join('\n')
  const loaded = good({ yaml })
  const facts = [...loaded.settings.databases.values()].map(({ host, pool_mode, pool_size }) => `${host} ${pool_mode} ${pool_size}`)
  assert.deepEqual(facts, ['one session 3', 'two transaction 7'])
  assert.equal(new Set(effectiveLines(loaded).map((line) => line.path)).size, effectiveLines(loaded).length)
})

test('users has names that databases log in as, and settings that a user may have', () => {
  const first = (users: string) => {
    const [mistake] = bad({ yaml: `databases:\n  a: { host: h, user: report }\n${users}` })
    return `${mistake?.setting} ${mistake?.source}: ${mistake?.problem}. ${mistake?.fix}`
  }
  const where = 'file config.yaml:4'
  assert.equal(
    first('users:\n  reprot: { pool_size: 1 }\n'),
    `users.reprot ${where}: is neither the user nor the vault_path of a database. Did you mean report?`,
  )
  assert.equal(
    first('users:\n  report: { host: x }\n'),
    `users.report.host ${where}: belongs to a database. Move it under databases.<name>.host.`,
  )
  assert.equal(
    first('users:\n  report: { log_level: x }\n'),
    `users.report.log_level ${where}: belongs to the whole process. Move log_level to the top of the file.`,
  )
  assert.equal(first('users:\n  report: { pool_mod: x }\n'), `users.report.pool_mod ${where}: is not a setting. Did you mean pool_mode?`)
  assert.match(first('users:\n  report: 1\n'), /^users\.report .*: holds no settings\. Give it a setting/)
  assert.match(first('users: 1\n'), /^users .*: is not a list of named users\. Write `users:`/)
})

test('the default of server_tls_sslmode follows credential and host', () => {
  const yaml =
    'vault_token: t\ndatabases:\n  far: { host: db, vault_path: database/creds/r }\n  near: { host: 127.0.0.1, vault_path: database/creds/r }\n  plain: { host: db, user: u }\n  socket: { host: /run/pg, user: u, server_tls_sslmode: require }\n'
  const { settings } = good({ yaml })
  const modes = [...settings.databases.values()].map((database) => database.server_tls_sslmode)
  assert.deepEqual(modes, ['require', 'prefer', 'prefer', 'disable'])
})

test('the login method follows what is set', () => {
  const path = { ...{ DB_HOST: 'localhost', DB_NAME: 'a', VAULT_PATH: 'database/creds/r' } }
  const files = { '/var/run/secrets/kubernetes.io/serviceaccount/token': 'jwt' }
  const method = (env: Record<string, string>) => good({ env: { ...path, ...env }, files }).settings.vault_auth_method
  assert.equal(method({}), 'kubernetes')
  assert.equal(method({ VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's' }), 'approle')
  assert.equal(method({ VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's', VAULT_TOKEN_FILE: '/t' }), 'token_file')
  assert.equal(method({ VAULT_ROLE_ID: 'r', VAULT_TOKEN_FILE: '/t', VAULT_TOKEN: 't' }), 'token')
  assert.equal(
    good({ env: { ...path, VAULT_TOKEN: 't', PGLEASE_VAULT_AUTH_MOUNT: 'auth/k8s/east/' } }).settings.vault_auth_mount,
    'k8s/east',
  )
  assert.equal(good({ env: path, files }).settings.vault_auth_mount, 'kubernetes')
})

test('ten kinds of wrong settings are all reported at once', () => {
  const yaml = `listen_prot: 1
http_port: ninety
query_wait_timeout: 5 weeks
auth_type: md5
pool_mode: sesion
peer_id: 100
server_tls_sslmode: verify
databases:
  app: { host: db, vault_path: database/../creds/app, pool_size: many }
  both: { host: db, user: u, vault_path: database/creds/app }
  none: { host: db }
  lost: { user: u }
`
  const env = { PGLEASE_LISTEN_ADDR: '0.0.0.0', PGLEASE_DEFAULT_POOLSIZE: '3', NODE_TLS_REJECT_UNAUTHORIZED: '0', VAULT_TOKEN: 't' }
  assert.deepEqual(
    lines(bad({ yaml, env })).map((line) => line.split(' | ').slice(0, 3).join(' | ')),
    [
      'listen_prot | file config.yaml:1 | is not a setting',
      'peer_id | file config.yaml:6 | is not supported yet',
      'default_poolsize | PGLEASE_DEFAULT_POOLSIZE | is not a setting',
      'http_port | file config.yaml:2 | "ninety" is not a whole number',
      'query_wait_timeout | file config.yaml:3 | "5 weeks" is not a duration',
      'auth_type | file config.yaml:4 | "md5" is not supported yet',
      'pool_mode | file config.yaml:5 | "sesion" is not one of session, transaction, statement',
      'server_tls_sslmode | file config.yaml:7 | "verify" is not one of disable, prefer, require, verify-ca, verify-full',
      'databases.app.pool_size | file config.yaml:9 | "many" is not a whole number',
      'NODE_TLS_REJECT_UNAUTHORIZED | NODE_TLS_REJECT_UNAUTHORIZED | switches off the verification of every certificate',
      'listen_addr | PGLEASE_LISTEN_ADDR | "0.0.0.0" can be reached from other machines, but auth_type any lets in everyone who connects',
      'databases.app.vault_path | file config.yaml:9 | has an empty, "." or ".." part',
      'databases.both.user | file config.yaml:10 | contradicts vault_path: the credential comes from there',
      'databases.none.vault_path |  | is not set and neither is user',
      'databases.lost.host |  | is not set',
    ],
  )
})

test('a misspelt name is answered with the one that was meant, as its source writes it', () => {
  const fix = (given: Parameters<typeof bad>[0]) => bad(given)[0]?.fix
  assert.equal(fix({ yaml: `listen_prot: 1\n${ONE}` }), 'Did you mean listen_port?')
  assert.equal(fix({ yaml: `pool_size: 1\n${ONE}` }), 'Move it under databases.<name>.pool_size.')
  assert.equal(fix({ yaml: ONE, env: { PGLEASE_LISTEN_PROT: '1' } }), 'Did you mean PGLEASE_LISTEN_PORT?')
  assert.equal(fix({ yaml: ONE, env: { PGLEASE_POOLSIZE: '1' } }), 'Did you mean PGLEASE_DEFAULT_POOL_SIZE?')
  assert.equal(fix({ yaml: ONE, flags: { log_levle: '1' } }), 'Did you mean --log-level?')
  for (const name of ['DATABASES', 'USERS', 'DATABASE']) {
    assert.match(fix({ yaml: ONE, env: { [`PGLEASE_${name}`]: '1' } }) ?? '', /^Write (databases|users): into the file that/, name)
  }
})

test('no database, no file, an ini file: each says what to do', () => {
  assert.match(lines(bad({}))[0]!, /^databases \| {2}\| is empty: no database is configured \| Set DB_HOST/)
  for (const yaml of ['databases:\n', 'databases: app\n', 'databases: [{ app: { host: h } }]\n']) {
    assert.match(lines(bad({ yaml })).join('\n'), /^databases \| .* \| is not a list of named databases \| .*$/, yaml)
  }
  assert.match(lines(bad({ yaml: 'databases:\n  app: db.internal\n' })).join('\n'), /^databases\.app \| .* \| holds no settings \| .*$/)
  assert.deepEqual(lines(bad({ flags: { config: 'gone.yaml' } })).length, 1)
  assert.match(lines(bad({ flags: { config: 'gone.yaml' } }))[0]!, /^config \| --config \| names a file that cannot be read \(ENOENT\)/)
  assert.match(lines(bad({ env: { PGLEASE_CONFIG: 'pgbouncer.ini' } }))[0]!, /^config \| PGLEASE_CONFIG \| names an ini file/)
})

test('warnings do not keep it from loading', () => {
  const yaml =
    'vault_addr: http://vault.example:8200\nvault_skip_verify: true\nvault_token: t\ndatabases:\n  app: { host: db, vault_path: database/creds/r }\n'
  const result = loadFrom({ yaml, env: { VAULT_CAPATH: '/etc/ca' } })
  assert.ok('settings' in result)
  assert.deepEqual(
    result.warnings.map((text) => text.split(' ')[0]),
    ['VAULT_CAPATH', 'databases.app.server_tls_sslmode', 'vault_addr', 'vault_skip_verify'],
  )
})
