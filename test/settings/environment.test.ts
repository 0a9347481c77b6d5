// Environment names: Vault's, OpenBao's, ours, and what Kubernetes puts there unasked.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bad, good, lines, ONE } from './load_kit.ts'

test('a set but empty BAO_X hides VAULT_X', () => {
  assert.equal(good({ yaml: ONE, env: { VAULT_NAMESPACE: 'team' } }).settings.vault_namespace, 'team')
  assert.equal(good({ yaml: ONE, env: { VAULT_NAMESPACE: 'team', BAO_NAMESPACE: '' } }).settings.vault_namespace, undefined)
  assert.equal(good({ yaml: ONE, env: { VAULT_ADDR: '' } }).settings.vault_addr, 'https://127.0.0.1:8200')
})

test('X_FILE reads the value of X without its line end', () => {
  const { settings, sources } = good({
    yaml: ONE,
    env: { PGLEASE_VAULT_ROLE_ID_FILE: '/r', VAULT_SECRET_ID_FILE: '/s', PGLEASE_LISTEN_PORT_FILE: '/p' },
    files: { '/r': 'role\r\n', '/s': ' s \n\n', '/p': '7000\n' },
  })
  assert.equal(settings.vault_role_id?.reveal(), 'role')
  assert.equal(settings.vault_secret_id?.reveal(), ' s ')
  assert.equal(settings.listen_port, 7000)
  assert.equal(sources.get('vault_secret_id'), 'VAULT_SECRET_ID_FILE')
})

test('files of values and settings are UTF-8, with or without a byte order mark', () => {
  const env = { VAULT_SECRET_ID_FILE: '/secret', VAULT_ROLE_ID: 'r' }
  const latin1 = Buffer.from('gr\u00fcn', 'latin1').toString('utf8')
  assert.equal(good({ yaml: ONE, env, files: { '/secret': '\ufeffgrün\n' } }).settings.vault_secret_id?.reveal(), 'grün')
  assert.match(lines(bad({ yaml: ONE, env, files: { '/secret': latin1 } }))[0]!, /^vault_secret_id .*cannot be read \(it is not UTF-8\)/)
  assert.match(
    lines(bad({ yaml: `${ONE}# ${latin1}\n` }))[0]!,
    /^config \| --config \| names a file that cannot be read \(it is not UTF-8\)/,
  )
  good({ yaml: `vault_cacert: /ca\n${ONE}`, files: { '/ca': `${latin1}\n-----BEGIN CERTIFICATE-----\n` } })
})

test('X_FILE is the setting where one has that name', () => {
  assert.equal(good({ yaml: ONE, env: { PGLEASE_VAULT_TOKEN_FILE: '/t' } }).settings.vault_token_file, '/t')
  assert.equal(good({ yaml: ONE, env: { BAO_TOKEN_PATH: '/t' } }).settings.vault_token_file, '/t')
  assert.deepEqual(lines(bad({ yaml: ONE, env: { PGLEASE_VAULT_TOKEN_FILE: '/t', PGLEASE_VAULT_TOKEN: 'x' } })), [
    'vault_token | PGLEASE_VAULT_TOKEN | contradicts PGLEASE_VAULT_TOKEN_FILE, which is set too | Keep one of the two.',
  ])
})

test('X and X_FILE together, or a file that cannot be read, are mistakes that do not show the path', () => {
  assert.match(
    lines(bad({ yaml: ONE, env: { PGLEASE_LISTEN_PORT: '1', PGLEASE_LISTEN_PORT_FILE: '/p' } }))[0]!,
    /^listen_port \| PGLEASE_LISTEN_PORT_FILE \| is set twice/,
  )
  const text = lines(bad({ yaml: ONE, env: { PGLEASE_VAULT_SECRET_ID_FILE: 'hunter2' } }))[0]!
  assert.match(text, /^vault_secret_id \| PGLEASE_VAULT_SECRET_ID_FILE \| names a file that cannot be read \(ENOENT\)/)
  assert.ok(!text.includes('hunter2'))
})

test('names that are not ours are left alone', () => {
  good({
    yaml: ONE,
    env: {
      PGLEASE_CACHE: 'x',
      PGLEASE_UNDER_TEST: 'x',
      PGLEASE_PORT: 'tcp://10.0.0.1:5432',
      PGLEASE_PORT_5432_TCP: 'tcp://10.0.0.1:5432',
      PGLEASE_PORT_5432_TCP_ADDR: '10.0.0.1',
      PGLEASE_SERVICE_HOST: '10.0.0.1',
      PGLEASE_SERVICE_PORT_HTTP: '80',
      PGLEASE_METRICS_SERVICE_HOST: '10.0.0.1',
      PGLEASE_METRICS_PORT: 'tcp://10.0.0.1:9090',
      PGLEASE_METRICS_PORT_9090_TCP_PROTO: 'tcp',
      VAULT_SOMETHING: 'x',
      BAO_SOMETHING: 'x',
      DB_USER: 'x',
      HOME: '/',
    },
  })
})

test('unknown names with our prefix are mistakes', () => {
  for (const name of ['PGLEASE_LISTEN', 'PGLEASE_', 'PGLEASE_listen_port', 'PGLEASE_FILE', 'PGLEASE_DATABASES', 'PGLEASE_VAULT_PATH']) {
    assert.equal(bad({ yaml: ONE, env: { [name]: 'x' } }).length, 1, name)
  }
})
