// Cross checks of the configured databases: where each is, which credential it has, how its connections are protected.
import type { SourceOf } from './check_listeners.ts'
import { type Findings, pathOf } from './entry.ts'
import { hostNames } from './hosts.ts'
import { fitsSocket, isLocal } from './local.ts'
import { databaseScope, userScope } from './scope.ts'
import type { DatabaseSettings, Settings } from './settings.ts'
import { suggest } from './suggest.ts'

/** PostgreSQL cuts longer names, so two of them could become one. */
const LONGEST_NAME = 63
const IPV6 = /^\[?[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.%a-z]*\]?$/i

interface Checking {
  readonly database: DatabaseSettings
  readonly source: SourceOf
  readonly faulty: ReadonlySet<string>
  readonly findings: Findings
}

function report(checking: Checking, setting: string, problem: string, fix: string): void {
  const path = pathOf(databaseScope(checking.database.name), setting)
  const source = checking.source(path)
  if (!checking.faulty.has(path)) checking.findings.mistake(path, source === 'built-in' ? '' : source, problem, fix)
}

function checkName(checking: Checking): void {
  const { name } = checking.database
  if (name === '') report(checking, '', 'has no name', 'Name the database as its clients do.')
  else if (Buffer.byteLength(name) > LONGEST_NAME) report(checking, '', 'has a name of more than 63 bytes', 'Shorten it and set dbname.')
  else if (name.includes('\u0000')) report(checking, '', 'has a name with a zero byte', 'Remove it.')
  else if (name === 'pgbouncer') report(checking, '', 'has the name of the admin console', 'Choose another name and set dbname.')
}

/** What is wrong with a host, and the fix. The host is not quoted: what looks like a connection string may hold a password. */
function hostProblem(host: string): readonly [string, string] | undefined {
  if (host.startsWith('/')) return undefined
  if (/:\/\/|[@/]/.test(host)) {
    return ['is not a host name', 'Give the name alone; port, dbname, user and password are settings of their own.']
  }
  if (/\s/.test(host)) return ['has a space in it', 'Remove it.']
  if (host.includes(':') && !IPV6.test(host)) return ['has a port in it', 'Put the port into the setting port.']
  return undefined
}

const NO_NAME = ['has a comma without a name beside it', 'Separate the names of hosts by single commas.'] as const

function vaultPathProblem(path: string): readonly [string, string] | undefined {
  const fix = 'Write it as `vault read` takes it, such as database/creds/app.'
  const segments = path.split('/')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return ['has an empty, "." or ".." part', fix]
  if (/[\s?#%\\*]/.test(path)) return ['has a character that no path of Vault has', fix]
  if (segments[0] === 'v1') return ['begins with v1/', `${fix} v1/ is added.`]
  if (segments.length >= 3 && segments.at(-2) === 'creds') return undefined
  const problem = 'is not the path of a dynamic database role; static roles and key-value paths are not supported yet'
  return [problem, 'Use <mount>/creds/<role>, such as database/creds/app.']
}

function checkHost(checking: Checking): void {
  const { host, hosts, port } = checking.database
  if (host === '') return report(checking, 'host', 'is not set', 'Set it to the name or address of the PostgreSQL server.')
  const names = hostNames(host)
  const wrong = names.includes('') ? NO_NAME : names.map(hostProblem).find((problem) => problem !== undefined)
  if (wrong) report(checking, 'host', ...wrong)
  else if (port.length > 1 && port.length !== names.length) {
    report(checking, 'port', `has ${port.length} ports for ${names.length} hosts`, 'Give one port for all hosts, or one for each.')
  } else if (!hosts.every((one) => !one.host.startsWith('/') || fitsSocket(one.host, one.port))) {
    report(
      checking,
      'host',
      'is too long for a unix socket (107 bytes with its name)',
      'Name a shorter directory, such as a symbolic link.',
    )
  }
}

function checkCredential(checking: Checking): void {
  const { name, user, password, vault_path } = checking.database
  const wrong = vault_path === undefined ? undefined : vaultPathProblem(vault_path)
  if (wrong) report(checking, 'vault_path', ...wrong)
  const faulty = ['user', 'vault_path'].some((setting) => checking.faulty.has(pathOf(databaseScope(name), setting)))
  if (vault_path !== undefined && (user !== undefined || password !== undefined)) {
    const given = user === undefined ? 'password' : 'user'
    report(checking, given, 'contradicts vault_path: the credential comes from there', `Remove ${given} or vault_path.`)
  } else if (faulty || vault_path !== undefined || user !== undefined) return
  else if (password !== undefined) report(checking, 'user', 'is not set, but password is', 'Set user.')
  else report(checking, 'vault_path', 'is not set and neither is user', 'Set vault_path, or user and password.')
}

function checkProtection(checking: Checking): void {
  const { name, host, hosts, vault_path, server_tls_sslmode: mode, server_require_auth: auth } = checking.database
  const socket = hosts.every((one) => one.host.startsWith('/'))
  if (auth.includes('password') && !socket && mode !== 'verify-full') {
    const problem = 'allows a clear-text password on a connection that anyone could have answered'
    report(checking, 'server_require_auth', problem, 'Set server_tls_sslmode to verify-full, or take password out.')
  }
  if (vault_path !== undefined && host !== '' && !hosts.every((one) => isLocal(one.host)) && mode !== 'verify-full') {
    checking.findings.warn(
      `${pathOf(databaseScope(name), 'server_tls_sslmode')} is ${mode}: whoever answers in the server's place can take part in the login. Set verify-full and server_tls_ca_file.`,
    )
  }
  const { server_tls_cert_file: cert, server_tls_key_file: key } = checking.database
  if ((cert === undefined) !== (key === undefined)) {
    const [present, missing] =
      cert === undefined ? ['server_tls_key_file', 'server_tls_cert_file'] : ['server_tls_cert_file', 'server_tls_key_file']
    report(checking, missing!, `is not set, but ${present} is`, 'Set both or neither.')
  }
}

/** Everything about databases that no single value shows. */
export function checkDatabases(settings: Settings, source: SourceOf, faulty: ReadonlySet<string>, findings: Findings): void {
  for (const database of settings.databases.values()) {
    const checking: Checking = { database, source, faulty, findings }
    checkName(checking)
    checkHost(checking)
    checkCredential(checking)
    checkProtection(checking)
  }
}

/** `users`: the names that the file has settings for, with their sources. */
export function checkUsers(settings: Settings, users: ReadonlyMap<string, string>, findings: Findings): void {
  const known = [...settings.databases.values()].flatMap(({ user, vault_path }) => user ?? vault_path ?? [])
  for (const [name, source] of users) {
    if (known.includes(name)) continue
    const meant = suggest(name, known)
    const fix = meant === undefined ? 'Write the user or the vault_path of a database.' : `Did you mean ${meant}?`
    findings.mistake(pathOf(userScope(name), ''), source, 'is neither the user nor the vault_path of a database', fix)
  }
}
