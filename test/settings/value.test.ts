// Each kind of value: what it reads as, and what it refuses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LISTEN_ROWS } from '../../src/settings/declare_listen.ts'
import { OPERATION_ROWS } from '../../src/settings/declare_operation.ts'
import { SERVER_ROWS } from '../../src/settings/declare_server.ts'
import { VAULT_ROWS } from '../../src/settings/declare_vault.ts'
import { type Row, row } from '../../src/settings/row.ts'
import { parseDuration, parseValue, showDuration, showValue } from '../../src/settings/value.ts'

function value(declared: Row<unknown>, raw: unknown): unknown {
  const parsed = parseValue(declared, raw)
  return 'value' in parsed ? parsed.value : `! ${parsed.problem}`
}

test('durations are milliseconds', () => {
  const cases: readonly [string, number | undefined][] = [
    ['30', 30_000],
    ['0', 0],
    ['1.5', 1500],
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['', undefined],
    ['-1', undefined],
    ['5w', undefined],
    ['1h30m', undefined],
    ['abc', undefined],
    ['1e3', undefined],
    ['Infinity', undefined],
  ]
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text)
  assert.equal(value(OPERATION_ROWS.drain_timeout, ' 5m '), 300_000)
  assert.equal(value(OPERATION_ROWS.drain_timeout, '400d'), '! is longer than 365 days')
  assert.equal(value(VAULT_ROWS.vault_timeout, '0'), '! is below 1ms')
  for (const [shown, ms] of [
    ['0', 0],
    ['1500ms', 1500],
    ['90s', 90_000],
    ['2m', 120_000],
    ['24h', 86_400_000],
  ] as const)
    assert.equal(showDuration(ms), shown)
})

test('numbers, sizes, modes and fractions', () => {
  assert.equal(value(LISTEN_ROWS.http_port, '65535'), 65535)
  assert.equal(value(LISTEN_ROWS.http_port, '65536'), '! is above 65535')
  assert.equal(value(LISTEN_ROWS.http_port, '-1'), '! is below 0')
  assert.equal(value(LISTEN_ROWS.http_port, '0x10'), '! "0x10" is not a whole number')
  assert.equal(value(LISTEN_ROWS.max_packet_size, '64K'), 65536)
  assert.equal(value(LISTEN_ROWS.max_packet_size, '1mb'), 1_048_576)
  assert.equal(value(LISTEN_ROWS.max_packet_size, '2g'), '! is above 2147483647 bytes')
  assert.equal(value(LISTEN_ROWS.unix_socket_mode, '0700'), 0o700)
  assert.equal(value(LISTEN_ROWS.unix_socket_mode, '0o660'), 0o660)
  assert.equal(value(LISTEN_ROWS.unix_socket_mode, '0999'), '! "0999" is not a file mode')
  assert.equal(value(VAULT_ROWS.lease_renew_fraction, '2/3'), 2 / 3)
  assert.equal(value(VAULT_ROWS.lease_renew_fraction, '1/0'), '! "1/0" is not a fraction')
  assert.equal(value(VAULT_ROWS.lease_renew_fraction, '0.95'), '! is above 0.9')
  assert.equal(showValue(LISTEN_ROWS.unix_socket_mode, 0o70), '0070')
})

test('words, switches and lists', () => {
  assert.equal(value(OPERATION_ROWS.log_level, 'WARN'), 'warning')
  assert.equal(value(SERVER_ROWS.server_tls_sslmode, 'allow'), 'prefer')
  assert.equal(
    value(SERVER_ROWS.server_tls_sslmode, 'toString'),
    '! "toString" is not one of disable, prefer, require, verify-ca, verify-full',
  )
  assert.equal(value(OPERATION_ROWS.log_connections, 'Off'), false)
  assert.equal(value(OPERATION_ROWS.log_connections, 'maybe'), '! "maybe" is neither true nor false')
  assert.deepEqual(value(LISTEN_ROWS.ignore_startup_parameters, 'a, b,,a'), ['a', 'b'])
  assert.deepEqual(value(LISTEN_ROWS.ignore_startup_parameters, ''), [])
  assert.deepEqual(value(SERVER_ROWS.server_require_auth, ['md5', 'MD5', 'trust']), ['md5', 'trust'])
  assert.equal(value(SERVER_ROWS.server_require_auth, []), '! is empty')
  assert.equal(value(SERVER_ROWS.server_require_auth, 'md5,none'), '! "none" is not one of scram-sha-256, md5, password, trust')
  assert.equal(value(OPERATION_ROWS.log_level, ['info']), '! is a list')
  assert.equal(value(OPERATION_ROWS.log_level, 7), '! is neither a text nor a list of texts')
})

test('texts have no control characters, queries may have lines', () => {
  assert.equal(value(VAULT_ROWS.vault_namespace, 'a\nb'), '! holds a line break or another control character')
  assert.equal(value(SERVER_ROWS.connect_query, 'select 1;\nselect 2'), 'select 1;\nselect 2')
  assert.equal(value(SERVER_ROWS.connect_query, 'a\u0000'), '! holds a zero byte')
  assert.equal(value(VAULT_ROWS.vault_jwt_file, ''), '! is empty')
  assert.equal(value(VAULT_ROWS.vault_cacert, ''), undefined)
  assert.equal(value(LISTEN_ROWS.http_addr, ''), '')
  assert.equal(value(VAULT_ROWS.vault_addr, 'HTTPS://Vault:8200//'), 'https://vault:8200')
})

test('a secret is hidden and a wrong one is not quoted', () => {
  const secret = row<unknown>('secret', { default: undefined, help: '' })
  assert.equal(showValue(secret, value(secret, 'hunter2')), '[redacted]')
  assert.equal(value(secret, 'hunter2\u0000'), '! holds a zero byte')
  assert.equal(value(secret, ['hunter2']), '! is a list')
})
