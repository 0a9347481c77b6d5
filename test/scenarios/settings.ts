// Wrong settings of many kinds at once: every one has to be reported in one go, without showing what may be secret.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PgleaseResult, runPglease } from '../kit/pglease.ts'

interface WrongSetting {
  /** What is wrong, in words. */
  kind: string
  /** What the report must say, on one line. */
  report: RegExp
  top?: Record<string, unknown>
  /** A database of its own, named after the place in the list. */
  database?: Record<string, unknown>
  env?: Record<string, string>
}

/** Part of every value that must not be shown. */
export const SECRET = 'hunter2'

const fine = { host: 'db.internal', user: 'u', password: SECRET }

export const WRONG_SETTINGS: readonly WrongSetting[] = [
  {
    kind: 'a setting that does not exist, in the file',
    top: { default_pool_sise: 5 },
    report: /default_pool_sise .*Did you mean default_pool_size/,
  },
  {
    kind: 'a setting that does not exist, in the environment',
    env: { PGLEASE_LISTEN_PROT: '1' },
    report: /\(PGLEASE_LISTEN_PROT\) is not a setting\. Did you mean PGLEASE_LISTEN_PORT/,
  },
  { kind: 'no number', top: { http_port: 'many' }, report: /http_port .*"many" is not a whole number/ },
  { kind: 'a number out of range', top: { max_client_conn: 0 }, report: /max_client_conn .*is below 1/ },
  { kind: 'no duration', top: { query_wait_timeout: '5 parsecs' }, report: /query_wait_timeout .*"5 parsecs"/ },
  { kind: 'no such choice', top: { log_level: 'loud' }, report: /log_level .*"loud".*(debug|info)/ },
  {
    kind: 'a choice that is not supported',
    top: { vault_auth_method: 'ldap' },
    report: /vault_auth_method .*"ldap" is /,
  },
  { kind: 'a setting of pgbouncer that is not supported', top: { auth_query: 'SELECT 1' }, report: /auth_query .*is not supported yet/ },
  {
    kind: 'everyone is let in from everywhere',
    top: { listen_addr: '0.0.0.0' },
    report: /listen_addr .*auth_type any.*Set listen_addr to 127\.0\.0\.1/,
  },
  { kind: 'a database without a host', database: { user: 'u' }, report: /databases\.db\d+\.host is not set/ },
  {
    kind: 'a path that Vault cannot have',
    database: { host: 'db.internal', vault_path: 'database/../creds/x' },
    report: /vault_path .*"\.\." part/,
  },
  {
    kind: 'a file that does not exist',
    database: { ...fine, server_tls_sslmode: 'verify-full', server_tls_ca_file: '/nowhere/ca.pem' },
    report: /server_tls_ca_file .*cannot be read \(ENOENT\)/,
  },
  {
    kind: 'a clear-text password to a server that is not verified',
    database: { ...fine, server_require_auth: ['password'] },
    report: /server_require_auth .*verify-full/,
  },
  {
    kind: 'a connection string for a host',
    database: { ...fine, host: `postgres://u:${SECRET}@db/app` },
    report: /databases\.db\d+\.host .*is not a host name/,
  },
  {
    kind: 'deadlines that contradict each other',
    top: { drain_timeout: 60 },
    report: /drain_timeout .*shutdown_timeout ends pglease after 25s/,
  },
  {
    kind: 'an address of Vault with a password',
    env: { VAULT_ADDR: `https://me:${SECRET}@vault.internal` },
    report: /vault_addr \(VAULT_ADDR\) holds a user or password/,
  },
  {
    kind: 'a value and its file',
    env: { PGLEASE_SERVER_ROLE: 'a', PGLEASE_SERVER_ROLE_FILE: '/b' },
    report: /server_role \(PGLEASE_SERVER_ROLE_FILE\) is set twice/,
  },
  {
    kind: 'verification of certificates switched off for the whole process',
    env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    report: /NODE_TLS_REJECT_UNAUTHORIZED .*switches off the verification/,
  },
]

/** Runs `command` (none = serve) with all of `wrong` at once. */
export async function runWithWrong(command: readonly string[], wrong: readonly WrongSetting[] = WRONG_SETTINGS): Promise<PgleaseResult> {
  const databases = Object.fromEntries(wrong.map(({ database }, index) => [`db${index}`, database ?? fine]))
  const top = Object.assign({}, ...wrong.map((one) => one.top ?? {})) as Record<string, unknown>
  const env = Object.assign({ VAULT_TOKEN: 'hvs.x' }, ...wrong.map((one) => one.env ?? {})) as Record<string, string>
  return runPglease(command, { config: { ...top, databases }, env })
}

/** The kinds that `result` does not report. */
export function unreported(result: PgleaseResult, wrong: readonly WrongSetting[] = WRONG_SETTINGS): string[] {
  const lines = result.stderr.split('\n')
  return wrong.filter(({ report }) => !lines.some((line) => report.test(line))).map(({ kind }) => kind)
}

/** A file that is no configuration at all: one mistake, with its place. */
export async function runWithBrokenFile(text: string): Promise<PgleaseResult> {
  const folder = mkdtempSync(join(tmpdir(), 'broken-'))
  const file = join(folder, 'pglease.yaml')
  writeFileSync(file, text)
  try {
    return await runPglease(['check'], { env: { PGLEASE_CONFIG: file, PGLEASE_LISTEN_PORT: undefined } })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
