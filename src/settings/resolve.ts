// Makes the effective settings out of entries: the strongest source wins, defaults fill the rest, databases inherit.
import { GLOBAL_ROWS, GLOBALS, PER_DATABASE, PER_USER, rowsOf } from './declarations.ts'
import { type Entry, type Findings, pathOf } from './entry.ts'
import { hostsOf, type ServerHost } from './hosts.ts'
import { isLocal, withoutBrackets } from './local.ts'
import { databaseScope, userScope } from './scope.ts'
import type { DatabaseSettings, Settings, SslMode, VaultAuthMethod } from './settings.ts'
import { parseValue } from './value.ts'

export const BUILT_IN = 'built-in'

/** Every given value, parsed, by its path; what could not be parsed counts as given, so that nothing else is said about it. */
export interface Given {
  readonly values: ReadonlyMap<string, unknown>
  readonly sources: ReadonlyMap<string, string>
  /** Paths whose value is wrong. */
  readonly faulty: ReadonlySet<string>
}

/** Parses the last entry of each path: `entries` come in rising priority. */
export function parseEntries(entries: readonly Entry[], findings: Findings): Given {
  const strongest = new Map<string, Entry>()
  for (const entry of entries) strongest.set(pathOf(entry.scope, entry.name), entry)
  const values = new Map<string, unknown>()
  const sources = new Map<string, string>()
  const faulty = new Set<string>()
  for (const [path, entry] of strongest) {
    const row = rowsOf(entry.scope).get(entry.name)
    if (row === undefined) continue
    sources.set(path, entry.source)
    const parsed = parseValue(row, entry.raw)
    if ('value' in parsed) values.set(path, parsed.value)
    else {
      faulty.add(path)
      findings.mistake(path, entry.source, parsed.problem, parsed.fix)
    }
  }
  return { values, sources, faulty }
}

/** The method that the given settings amount to when none is named. */
function derivedMethod(given: Given): VaultAuthMethod {
  const has = (name: string) => given.values.get(name) !== undefined || given.faulty.has(name)
  if (has('vault_token')) return 'token'
  if (has('vault_token_file')) return 'token_file'
  return has('vault_role_id') && has('vault_secret_id') ? 'approle' : 'kubernetes'
}

function resolveGlobals(given: Given, inovexUsed: boolean, sources: Map<string, string>): Record<string, unknown> {
  const globals: Record<string, unknown> = {}
  for (const [name, row] of GLOBALS) {
    const known = given.values.has(name)
    globals[name] = known ? given.values.get(name) : row.default
    sources.set(name, known ? (given.sources.get(name) ?? BUILT_IN) : BUILT_IN)
  }
  if (!given.values.has('listen_port') && inovexUsed) {
    globals.listen_port = 5432
    sources.set('listen_port', 'built-in, because DB_HOST, DB_NAME or VAULT_PATH is set')
  }
  if (!given.values.has('vault_auth_method')) globals.vault_auth_method = derivedMethod(given)
  globals.listen_addr = (globals.listen_addr as readonly string[]).map(withoutBrackets)
  for (const name of ['http_addr', 'admin_addr']) globals[name] = withoutBrackets(String(globals[name]))
  const mount = String(globals.vault_auth_mount)
    .replace(/^auth\//, '')
    .replace(/^\/+|\/+$/g, '')
  // The method token_file logs in nowhere; a mount is only ever asked for by methods that carry its name.
  globals.vault_auth_mount = mount === '' ? String(globals.vault_auth_method) : mount
  return globals
}

interface DatabaseContext {
  readonly given: Given
  readonly globals: Readonly<Record<string, unknown>>
  readonly globalSources: ReadonlyMap<string, string>
  /** The database that the variables of the old image describe. */
  readonly inovex: string | undefined
}

function defaultSslMode(context: DatabaseContext, name: string, hosts: readonly ServerHost[], vaultPath: unknown): SslMode {
  if (context.given.values.has('server_tls_sslmode')) return context.globals.server_tls_sslmode as SslMode
  const local = hosts.every(({ host }) => isLocal(host))
  return name === context.inovex || (vaultPath !== undefined && !local) ? 'require' : 'prefer'
}

/** What `users` says of the one that the database logs in as, over what the database says (as in pgbouncer). */
function takeOfUser(
  { given, globals }: DatabaseContext,
  name: string,
  resolved: Record<string, unknown>,
  sources: Map<string, string>,
): void {
  const user = userScope(String(resolved.user ?? resolved.vault_path))
  for (const setting of PER_USER.keys()) {
    const path = pathOf(user, setting)
    const isGiven = given.values.has(path)
    if (!PER_DATABASE.has(setting)) resolved[setting] = isGiven ? given.values.get(path) : globals[setting]
    else if (isGiven) resolved[setting] = given.values.get(path)
    if (!isGiven) continue
    const source = given.sources.get(path) ?? BUILT_IN
    sources.set(PER_DATABASE.has(setting) ? pathOf(databaseScope(name), setting) : path, source)
  }
}

function resolveDatabase(context: DatabaseContext, name: string, sources: Map<string, string>): DatabaseSettings {
  const { given, globals } = context
  const scope = databaseScope(name)
  const own = (setting: string) => given.values.get(pathOf(scope, setting))
  const host = String(own('host') ?? '')
  const resolved: Record<string, unknown> = { name }
  for (const [setting, row] of PER_DATABASE) {
    const path = pathOf(scope, setting)
    const inherited = Object.hasOwn(GLOBAL_ROWS, setting)
    const value = given.values.has(path) ? own(setting) : inherited ? globals[setting] : row.default
    resolved[setting] = value
    const inheritedSource = inherited ? context.globalSources.get(setting) : undefined
    sources.set(path, given.values.has(path) ? (given.sources.get(path) ?? BUILT_IN) : (inheritedSource ?? BUILT_IN))
  }
  // parsed by the schema of its row
  const hosts = hostsOf(host, resolved.port as readonly number[])
  resolved.host = host
  resolved.hosts = hosts
  resolved.dbname ??= name
  if (resolved.pool_size === undefined) {
    resolved.pool_size = globals.default_pool_size
    sources.set(pathOf(scope, 'pool_size'), context.globalSources.get('default_pool_size') ?? BUILT_IN)
  }
  if (typeof resolved.vault_path === 'string') resolved.vault_path = resolved.vault_path.replace(/^\/+|\/+$/g, '')
  takeOfUser(context, name, resolved, sources)
  if (!given.values.has(pathOf(scope, 'server_tls_sslmode'))) {
    resolved.server_tls_sslmode = defaultSslMode(context, name, hosts, own('vault_path'))
  }
  if (hosts.every((one) => one.host.startsWith('/'))) resolved.server_tls_sslmode = 'disable'
  // Every key of DatabaseSettings but `name` and `hosts` is a key of PER_DATABASE or PER_USER, parsed by the schema of its row.
  return Object.freeze(resolved) as unknown as DatabaseSettings
}

export interface Resolved {
  readonly settings: Settings
  readonly sources: ReadonlyMap<string, string>
}

/** The effective settings, frozen. `databases` are the names to resolve; wrong values count as their defaults. */
export function resolveSettings(
  given: Given,
  databases: Iterable<string>,
  inovex: { readonly used: boolean; readonly database: string | undefined },
): Resolved {
  const sources = new Map<string, string>()
  const globals = resolveGlobals(given, inovex.used, sources)
  const context: DatabaseContext = { given, globals, globalSources: new Map(sources), inovex: inovex.database }
  const resolved = new Map<string, DatabaseSettings>()
  for (const name of databases) resolved.set(name, resolveDatabase(context, name, sources))
  // Every key of Settings but `databases` is a key of GLOBALS, parsed by the schema of its row.
  const settings = Object.freeze({ ...globals, databases: resolved }) as unknown as Settings
  return { settings, sources }
}
