// Loads the settings from all their sources, or reports every mistake at once.
import { checkDatabases, checkUsers } from './check_databases.ts'
import { checkListeners } from './check_listeners.ts'
import { checkPemFiles, checkVault } from './check_vault.ts'
import { GLOBALS } from './declarations.ts'
import { type Entry, Findings, failureCode, type ReadFile, readTextFile } from './entry.ts'
import { type Environment, readOwnEnvironment, readVaultEnvironment } from './environment.ts'
import { readInovex } from './inovex.ts'
import { BUILT_IN, parseEntries, resolveSettings } from './resolve.ts'
import type { LoadedSettings, Mistake, ProbeAddress } from './settings.ts'
import { reportUnknown } from './unknown.ts'
import { readYaml, type YamlResult } from './yaml.ts'

export interface LoadInput {
  readonly env: Environment
  /** Values of flags by the setting's name (`listen_port`), and `config` for the file. */
  readonly flags: ReadonlyMap<string, string>
  /** Synchronous; throws what the system throws. */
  readonly readFile: ReadFile
}

export interface RefusedSettings {
  readonly mistakes: readonly Mistake[]
  readonly warnings: readonly string[]
  /** Where the probes are, for those who ask a process that runs; a wrong value counts as its default. */
  readonly probes: ProbeAddress
}

export type LoadResult = LoadedSettings | RefusedSettings

/** `listen_port` as `--listen-port`. */
export function flagOf(name: string): string {
  return `--${name.replaceAll('_', '-')}`
}

function readConfigFile(input: LoadInput, findings: Findings): YamlResult {
  const flag = input.flags.get('config')
  const file = flag ?? input.env.PGLEASE_CONFIG
  const nothing: YamlResult = { entries: [], databases: new Map(), users: new Map() }
  if (file === undefined || file === '') return nothing
  const source = flag === undefined ? 'PGLEASE_CONFIG' : '--config'
  if (file.endsWith('.ini')) {
    findings.mistake(
      'config',
      source,
      'names an ini file, which is not supported yet',
      'Write the configuration as YAML; the names are the same.',
    )
    return nothing
  }
  try {
    return readYaml(readTextFile(input.readFile, file), file, input.readFile, findings)
  } catch (error) {
    findings.mistake(
      'config',
      source,
      `names a file that cannot be read (${failureCode(error)})`,
      'Name a YAML file that pglease may read.',
    )
    return nothing
  }
}

function readFlags(flags: ReadonlyMap<string, string>, findings: Findings): readonly Entry[] {
  const entries: Entry[] = []
  for (const [name, raw] of flags) {
    if (name === 'config') continue
    if (GLOBALS.has(name)) entries.push({ scope: undefined, name, raw, source: flagOf(name) })
    else reportUnknown(findings, undefined, name, flagOf(name), flagOf)
  }
  return entries
}

function checkRuntime(env: Environment, findings: Findings): void {
  const name = 'NODE_TLS_REJECT_UNAUTHORIZED'
  if (env[name] !== '0') return
  findings.mistake(
    name,
    name,
    'switches off the verification of every certificate',
    'Unset it; server_tls_sslmode and vault_skip_verify say what is verified.',
  )
}

/** Reads built-in values, the file, the environment and flags, in rising priority. Never throws; no result holds a bare secret. */
export function load(input: LoadInput): LoadResult {
  const findings = new Findings()
  const file = readConfigFile(input, findings)
  const inovex = readInovex(input.env, findings)
  const given = parseEntries(
    [
      ...file.entries,
      ...inovex.entries,
      ...readVaultEnvironment(input.env, input.readFile, findings),
      ...readOwnEnvironment(input.env, input.readFile, findings),
      ...readFlags(input.flags, findings),
    ],
    findings,
  )
  const names = new Set(file.databases.keys())
  if (inovex.database !== undefined) names.add(inovex.database)
  const { settings, sources } = resolveSettings(given, names, inovex)
  const source = (path: string) => sources.get(path) ?? BUILT_IN

  if (names.size === 0 && !findings.mistakes.some(({ setting }) => /^(?:config|DB_NAME|databases\b.*)$/s.test(setting))) {
    const fix = 'Set DB_HOST, DB_NAME and VAULT_PATH, or write databases: into a file and name it with --config.'
    findings.mistake('databases', '', 'is empty: no database is configured', fix)
  }
  checkRuntime(input.env, findings)
  checkListeners(settings, source, findings)
  checkDatabases(settings, source, given.faulty, findings)
  checkUsers(settings, file.users, findings)
  const vault = { settings, source, faulty: given.faulty, readFile: input.readFile, findings }
  checkVault(vault)
  checkPemFiles(vault)
  return findings.mistakes.length > 0
    ? { mistakes: findings.mistakes, warnings: findings.warnings, probes: { http_addr: settings.http_addr, http_port: settings.http_port } }
    : { settings, sources, warnings: findings.warnings }
}
