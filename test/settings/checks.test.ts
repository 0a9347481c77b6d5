// Cross checks: combinations of values that are each fine alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bad, good, lines, ONE } from './load_kit.ts'

const only = (given: Parameters<typeof bad>[0]): string => {
  const found = lines(bad(given))
  assert.equal(found.length, 1, found.join('\n'))
  return found[0]!
}

const database = (facts: string, top = '') => ({ yaml: `${top}databases:\n  app: { ${facts} }\n`, env: { VAULT_TOKEN: 'hvs.x' } })

test('any and trust need loopback listeners', () => {
  for (const address of ['*', '0.0.0.0', '::', '10.0.0.1', 'db.internal', '127.0.0.1,192.168.1.1', '127.0.0.1.example.com', '::2']) {
    assert.match(
      only({ yaml: ONE, env: { PGLEASE_LISTEN_ADDR: address } }),
      /^listen_addr \|.*auth_type any lets in everyone.*Set listen_addr to 127.0.0.1/,
    )
  }
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', 'localhost'])
    good({ yaml: ONE, env: { PGLEASE_LISTEN_ADDR: address } })
})

test('IPv6 addresses may stand in brackets', () => {
  const env = { PGLEASE_LISTEN_ADDR: '[::1],127.0.0.1', PGLEASE_HTTP_ADDR: '[::1]', PGLEASE_ADMIN_ADDR: '[::1]' }
  const { settings } = good({ yaml: 'databases:\n  app: { host: "[::1],db", user: me, password: pw }\n', env })
  assert.deepEqual([settings.listen_addr, settings.http_addr, settings.admin_addr], [['::1', '127.0.0.1'], '::1', '::1'])
  assert.deepEqual(
    settings.databases.get('app')?.hosts.map(({ host }) => host),
    ['::1', 'db'],
  )
  assert.match(only({ yaml: `http_addr: 127.0.0.1,::1\n${ONE}` }), /^http_addr \|.*is not one address/)
  assert.match(only({ yaml: `admin_addr: /run/admin\n${ONE}` }), /^admin_addr \|.*is not one address/)
})

test('an empty listen_addr needs a unix socket', () => {
  assert.match(only({ yaml: ONE, env: { PGLEASE_LISTEN_ADDR: '' } }), /is empty and there is no unix_socket_dir/)
  const { settings } = good({ yaml: ONE, env: { PGLEASE_LISTEN_ADDR: '', PGLEASE_UNIX_SOCKET_DIR: '/run/p' } })
  assert.deepEqual(settings.listen_addr, [])
})

test('listeners, sockets and deadlines must fit together', () => {
  assert.match(only({ yaml: `http_port: 6432\n${ONE}` }), /^http_port \|.*is 6432, as listen_port is/)
  assert.match(only({ yaml: `http_port: 9091\n${ONE}` }), /^admin_port \|/)
  good({ yaml: `http_port: 0\nadmin_port: 0\n${ONE}` })
  good({ yaml: `http_addr: 127.0.0.5\nhttp_port: 6432\n${ONE}` })
  assert.match(only({ yaml: `unix_socket_dir: /${'x'.repeat(95)}\n${ONE}` }), /too long for a unix socket/)
  assert.match(only({ yaml: `unix_socket_dir: run\n${ONE}` }), /not an absolute path/)
  assert.match(only({ yaml: `drain_timeout: 60\n${ONE}` }), /^drain_timeout \|.*is 1m, but shutdown_timeout ends pglease after 25s/)
  good({ yaml: `drain_timeout: 60\nshutdown_timeout: 0\n${ONE}` })
})

test('paths of Vault are checked', () => {
  const path = (text: string) => database(`host: localhost, vault_path: "${text}"`)
  for (const wrong of [
    'a/./creds/r',
    'a/../creds/r',
    'a//creds/r',
    'v1/database/creds/r',
    'database/creds/r?x=1',
    'database/creds/%2e',
    'database/static-creds/r',
    'secret/data/x',
    'creds/r',
  ]) {
    assert.match(only(path(wrong)), /^databases\.app\.vault_path \| file config\.yaml:2/, wrong)
  }
  assert.equal(good(path('/team/database/creds/r/')).settings.databases.get('app')?.vault_path, 'team/database/creds/r')
})

test('hosts that are no hosts are refused without being shown', () => {
  for (const wrong of [
    'postgres://me:hunter2@db/app',
    'me:hunter2@db',
    'db:5432',
    'db,hunter2:5',
    'db,,hunter2',
    'hunter2 db',
    'db/hunter2',
  ]) {
    const text = only(database(`host: "${wrong}", user: u`))
    assert.match(text, /^databases\.app\.host/)
    assert.ok(!text.includes('hunter2'))
  }
  for (const right of ['db', 'db.internal', '10.1.2.3', '::1', 'fe80::1%eth0', '/var/run/postgresql'])
    good(database(`host: "${right}", user: u`))
})

test('the socket of a server must have a path that fits', () => {
  good(database(`host: /${'x'.repeat(92)}, user: u`))
  assert.match(only(database(`host: /${'x'.repeat(93)}, user: u`)), /^databases\.app\.host \|.*too long for a unix socket/)
  assert.match(only(database(`host: "db,/${'x'.repeat(93)}", user: u`)), /^databases\.app\.host \|.*too long for a unix socket/)
})

test('a clear-text password needs verify-full or a unix socket', () => {
  const auth = 'user: u, server_require_auth: [scram-sha-256, password]'
  assert.match(only(database(`host: db, ${auth}`)), /^databases\.app\.server_require_auth/)
  assert.match(only(database(`host: db, server_tls_sslmode: verify-ca, ${auth}`)), /verify-full/)
  good(database(`host: db, server_tls_sslmode: verify-full, ${auth}`))
  assert.deepEqual(good(database(`host: /run, ${auth}`)).settings.databases.get('app')?.server_require_auth, ['scram-sha-256', 'password'])
})

test('a login to Vault must be possible', () => {
  const vault = { yaml: 'databases:\n  app: { host: localhost, vault_path: database/creds/r }\n' }
  assert.match(only(vault), /^vault_auth_method \| {2}\|.*no service-account token \(ENOENT\).*Set VAULT_TOKEN/)
  assert.match(only({ ...vault, env: { VAULT_AUTH_METHOD: 'token' } }), /^vault_token \|.*needs it \| Set vault_token/)
  const approle = lines(bad({ ...vault, env: { VAULT_AUTH_METHOD: 'approle' } }))
  assert.deepEqual(
    approle.map((line) => line.split(' ')[0]),
    ['vault_role_id', 'vault_secret_id'],
  )
  assert.match(
    only({ ...vault, env: { VAULT_AUTH_METHOD: 'ldap' } }).replace(/vault_auth_method \| {2}.*/, ''),
    /"ldap" is not supported yet/,
  )
  const printable = only({ ...vault, env: { VAULT_TOKEN: 'hunter 2' } })
  assert.match(printable, /^vault_token \| VAULT_TOKEN \| holds a space/)
  assert.ok(!printable.includes('hunter'))
  assert.deepEqual(
    good({ ...vault, env: { VAULT_AUTH_METHOD: 'kubernetes' } }).warnings.map((text) => text.split(' ')[0]),
    ['vault_jwt_file'],
  )
})

test('an address of Vault shows nothing of a user or password in it', () => {
  for (const address of ['https://me:hunter2@vault', 'hunter2', 'https://vault/?t=hunter2', 'ftp://hunter2', 'http://[hunter2']) {
    const text = only({ yaml: ONE, env: { VAULT_ADDR: address } })
    assert.match(text, /^vault_addr \| VAULT_ADDR/)
    assert.ok(!text.includes('hunter2'))
  }
})

test('certificates come in pairs and must be readable PEM files', () => {
  const pem = '-----BEGIN CERTIFICATE-----\n'
  const key = '-----BEGIN PRIVATE KEY-----\n'
  const given = database('host: db, user: u, server_tls_cert_file: /c', 'server_tls_ca_file: /ca\n')
  assert.match(
    only({ ...given, files: { '/c': pem, '/ca': pem } }),
    /^databases\.app\.server_tls_key_file \| {2}\| is not set, but server_tls_cert_file is/,
  )
  const pair = database('host: db, user: u, server_tls_cert_file: /c, server_tls_key_file: /k', 'server_tls_ca_file: /ca\n')
  good({ ...pair, files: { '/c': pem, '/k': key, '/ca': pem } })
  assert.match(
    only({ ...pair, files: { '/c': pem, '/k': pem, '/ca': pem } }),
    /^databases\.app\.server_tls_key_file \|.*holds no PRIVATE KEY/,
  )
  for (const locked of ['-----BEGIN ENCRYPTED PRIVATE KEY-----', '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n']) {
    const files = { '/c': pem, '/k': locked, '/ca': pem }
    assert.match(only({ ...pair, files }), /^databases\.app\.server_tls_key_file \|.*names a key that a passphrase protects/)
  }
  assert.match(only({ ...pair, files: { '/c': pem, '/k': key } }), /^server_tls_ca_file \| file config\.yaml:1 \|.*ENOENT/)
})

test('names of databases are bounded', () => {
  const named = (name: string) => ({ yaml: `databases:\n  ${name}: { host: db, user: u }\n` })
  assert.match(only(named('pgbouncer')), /admin console/)
  assert.match(only(named('x'.repeat(64))), /more than 63 bytes/)
  assert.match(only(named('""')), /has no name/)
  assert.deepEqual([...good(named('null')).settings.databases.keys()], ['null'])
})

test('NODE_TLS_REJECT_UNAUTHORIZED=0 is refused', () => {
  assert.match(only({ yaml: ONE, env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }), /switches off the verification/)
})

test('several hosts have one port for all, or one each; a name may come twice', () => {
  const hostsOf = (facts: string) =>
    good(database(`${facts}, user: u`))
      .settings.databases.get('app')
      ?.hosts.map(({ host, port }) => `${host}:${port}`)
      .join(' ')
  assert.equal(hostsOf('host: "a, b", port: 6000'), 'a:6000 b:6000')
  assert.equal(hostsOf('host: "a,b"'), 'a:5432 b:5432')
  assert.equal(hostsOf('host: "a,a,/run", port: "6000,,6002"'), 'a:6000 a:5432 /run:6002')
  assert.equal(hostsOf('host: "a,b", port: [6000, 6001]'), 'a:6000 b:6001')
  assert.match(only(database('host: "a,b,c", port: "6000,6001", user: u')), /^databases\.app\.port \|.*has 2 ports for 3 hosts/)
  assert.match(only(database('host: a, port: "6000,x", user: u')), /^databases\.app\.port \|.*"x" is not a whole number/)
  assert.match(only(database('host: a, port: 70000, user: u')), /^databases\.app\.port \|.*is above 65535/)
  assert.match(only(database('host: "a,,b", user: u')), /^databases\.app\.host \|.*has a comma without a name beside it/)
})

test('of several hosts each is looked at: for TLS by default, and for a clear-text password', () => {
  const mode = (host: string) => good(database(`host: "${host}", user: u`)).settings.databases.get('app')?.server_tls_sslmode
  assert.deepEqual([mode('/run,/tmp'), mode('/run,db'), mode('db')], ['disable', 'prefer', 'prefer'])
  const auth = 'user: u, server_require_auth: [scram-sha-256, password]'
  assert.match(only(database(`host: "/run,db", ${auth}`)), /^databases\.app\.server_require_auth/)
  good(database(`host: "/run,/tmp", ${auth}`))
})
