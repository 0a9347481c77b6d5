// Cross checks of the Vault client: a login that can work, an address that may carry a token, files that exist.
import type { SourceOf } from './check_listeners.ts'
import { type Findings, failureCode, pathOf, type ReadFile } from './entry.ts'
import { isLocal } from './local.ts'
import { databaseScope } from './scope.ts'
import type { Settings } from './settings.ts'

/** A header value: what Vault itself demands of a token. */
const PRINTABLE = /^[\x21-\x7e]+$/

const ENCRYPTED_KEY = /BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type:.*ENCRYPTED/m

export interface VaultCheck {
  readonly settings: Settings
  readonly source: SourceOf
  readonly faulty: ReadonlySet<string>
  readonly readFile: ReadFile
  readonly findings: Findings
}

function need(check: VaultCheck, name: 'vault_token' | 'vault_token_file' | 'vault_role_id' | 'vault_secret_id'): void {
  if (check.settings[name] !== undefined || check.faulty.has(name)) return
  const fix = `Set ${name} (${name.toUpperCase()} in the environment), or choose another vault_auth_method.`
  check.findings.mistake(name, '', `is not set, but vault_auth_method ${check.settings.vault_auth_method} needs it`, fix)
}

function checkPodToken(check: VaultCheck): void {
  const { settings, source, findings } = check
  let code: string
  try {
    check.readFile(settings.vault_jwt_file)
    return
  } catch (error) {
    code = failureCode(error)
  }
  if (source('vault_auth_method') !== 'built-in') {
    findings.warn(`vault_jwt_file cannot be read now (${code}); the kubernetes login needs it.`)
    return
  }
  findings.mistake(
    'vault_auth_method',
    '',
    `is not set, and there is nothing to log in to Vault with: no token, no role id and secret id, no service-account token (${code})`,
    'Set VAULT_TOKEN, or vault_token_file, or vault_role_id and vault_secret_id; in Kubernetes let the pod mount its service-account token.',
  )
}

function checkLogin(check: VaultCheck): void {
  const { settings, source, findings } = check
  switch (settings.vault_auth_method) {
    case 'token':
      need(check, 'vault_token')
      break
    case 'token_file':
      need(check, 'vault_token_file')
      break
    case 'approle':
      need(check, 'vault_role_id')
      need(check, 'vault_secret_id')
      break
    case 'kubernetes':
      checkPodToken(check)
      if (settings.vault_auth_role === '') {
        findings.mistake('vault_auth_role', source('vault_auth_role'), 'is empty', 'Set it to the role of the kubernetes login.')
      }
      break
  }
  const token = settings.vault_token?.reveal()
  if (token !== undefined && !PRINTABLE.test(token)) {
    findings.mistake(
      'vault_token',
      source('vault_token'),
      'holds a space, a line break or another character that no token has',
      'Set the token alone.',
    )
  }
}

function checkAddress(check: VaultCheck): void {
  const { settings, findings } = check
  const url = new URL(settings.vault_addr)
  if (url.protocol === 'http:' && !isLocal(url.hostname)) {
    findings.warn('vault_addr begins with http:// and is another machine: token and credentials travel in clear text. Use https://.')
  }
  if (settings.vault_skip_verify) findings.warn('vault_skip_verify is true: anyone can pose as Vault. Set vault_cacert instead.')
  if (
    settings.vault_auth_mount.split('/').some((part) => part === '' || part === '.' || part === '..') ||
    /[\s?#%\\]/.test(settings.vault_auth_mount)
  ) {
    findings.mistake(
      'vault_auth_mount',
      check.source('vault_auth_mount'),
      'is not a path of Vault',
      'Write it as in `vault auth list`, such as kubernetes.',
    )
  }
  const { vault_client_cert: cert, vault_client_key: key } = settings
  if ((cert === undefined) !== (key === undefined)) {
    const [present, missing] = cert === undefined ? ['vault_client_key', 'vault_client_cert'] : ['vault_client_cert', 'vault_client_key']
    findings.mistake(missing!, '', `is not set, but ${present} is`, 'Set both or neither.')
  }
}

/** Everything about Vault that no single value shows; only where a database needs Vault. */
export function checkVault(check: VaultCheck): void {
  const needed = [...check.settings.databases.values()].some((database) => database.vault_path !== undefined)
  if (!needed) return
  if (!check.faulty.has('vault_auth_method')) checkLogin(check)
  checkAddress(check)
}

/** PEM files are read at start: one that is missing or is no PEM would only show at the first connection. */
export function checkPemFiles(check: VaultCheck): void {
  const files = new Map<string, { readonly file: string; readonly marker: string }>()
  const add = (path: string, file: string | undefined, marker: string) => {
    if (file !== undefined) files.set(path, { file, marker })
  }
  const certificate = '-----BEGIN CERTIFICATE-----'
  add('vault_cacert', check.settings.vault_cacert, certificate)
  add('vault_client_cert', check.settings.vault_client_cert, certificate)
  add('vault_client_key', check.settings.vault_client_key, 'PRIVATE KEY-----')
  for (const database of check.settings.databases.values()) {
    const pathFor = (name: string) =>
      check.source(pathOf(databaseScope(database.name), name)) === check.source(name) ? name : pathOf(databaseScope(database.name), name)
    add(pathFor('server_tls_ca_file'), database.server_tls_ca_file, certificate)
    add(pathFor('server_tls_cert_file'), database.server_tls_cert_file, certificate)
    add(pathFor('server_tls_key_file'), database.server_tls_key_file, 'PRIVATE KEY-----')
  }
  for (const [path, { file, marker }] of files) {
    try {
      const text = check.readFile(file)
      if (!text.includes(marker)) {
        check.findings.mistake(path, check.source(path), `names a file that holds no ${marker.replaceAll('-', '')}`, 'Name a PEM file.')
      } else if (marker.includes('KEY') && ENCRYPTED_KEY.test(text)) {
        const fix = 'Name a file that holds it without, readable by pglease alone; there is no setting for a passphrase.'
        check.findings.mistake(path, check.source(path), 'names a key that a passphrase protects', fix)
      }
    } catch (error) {
      check.findings.mistake(
        path,
        check.source(path),
        `names a file that cannot be read (${failureCode(error)})`,
        'Name a file that pglease may read.',
      )
    }
  }
}
