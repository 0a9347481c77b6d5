// Reads the environment: VAULT_* and BAO_* of Vault's own tools, and PGLEASE_<SETTING> for everything.
import { GLOBALS } from './declarations.ts'
import { type Entry, type Findings, type ReadFile, readValueFile } from './entry.ts'
import type { Row } from './row.ts'
import { reportUnknown } from './unknown.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const PREFIX = 'PGLEASE_'
/** Names with our prefix that are no settings: used by scripts and tests, or the file itself. */
const NOT_SETTINGS = new Set(['PGLEASE_CACHE', 'PGLEASE_UNDER_TEST', 'PGLEASE_CONFIG'])
/** Kubernetes sets these in every pod for a service named pglease (or pglease-x). */
const SERVICE_LINK =
  /^PGLEASE_(?:PORT|PORT_.*|SERVICE_.*|.*_SERVICE_HOST|.*_SERVICE_PORT(?:_.*)?|.*_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/
/** Variables of Vault's tools that change what a client trusts or whom it talks to, and that do nothing here. */
const WITHOUT_EFFECT = [
  'VAULT_CACERT_BYTES',
  'VAULT_CAPATH',
  'VAULT_PROXY_ADDR',
  'VAULT_HTTP_PROXY',
  'VAULT_SRV_LOOKUP',
  'BAO_CACERT_BYTES',
  'BAO_CAPATH',
  'BAO_PROXY_ADDR',
  'BAO_HTTP_PROXY',
  'BAO_CLIENT_CERT_BYTES',
  'BAO_CLIENT_KEY_BYTES',
]
/** Read by the reader of the old image's names. */
const OTHER_READER = new Set(['LISTEN_PORT', 'VAULT_CA_CERT', 'VAULT_KUBERNETES_ROLE'])

/** The value of a variable or of its `_FILE` twin; undefined when neither is set. Reports both at once. */
function variable(
  env: Environment,
  name: string,
  setting: string,
  fileTwin: boolean,
  readFile: ReadFile,
  findings: Findings,
): { readonly raw: string; readonly source: string } | undefined {
  const value = env[name]
  const twin = fileTwin ? env[`${name}_FILE`] : undefined
  if (twin === undefined || twin === '') return value === undefined ? undefined : { raw: value, source: name }
  const source = `${name}_FILE`
  if (value !== undefined && value !== '') {
    findings.mistake(setting, source, `is set twice, also by ${name}`, 'Keep one of the two.')
    return undefined
  }
  const read = readValueFile(readFile, twin)
  if ('text' in read) return { raw: read.text, source }
  findings.mistake(setting, source, `names a file that cannot be read (${read.code})`, 'Name a file that pglease may read.')
  return undefined
}

/**
 * Strongest name that is set. For each VAULT_X the name BAO_X comes first; set but empty it hides VAULT_X, as in OpenBao.
 * An empty variable sets nothing.
 */
function vaultEntry(env: Environment, name: string, row: Row<unknown>, readFile: ReadFile, findings: Findings): Entry | undefined {
  const fileTwin = row.kind === 'secret' && !GLOBALS.has(`${name}_file`)
  for (const alias of row.environment.filter((each) => !OTHER_READER.has(each))) {
    const spellings = alias.startsWith('VAULT_') ? [alias.replace('VAULT_', 'BAO_'), alias] : [alias]
    for (const spelling of spellings) {
      const found = variable(env, spelling, name, fileTwin, readFile, findings)
      if (found === undefined) continue
      if (found.raw === '') break
      return { scope: undefined, name, raw: found.raw, source: found.source }
    }
  }
  return undefined
}

/** Entries of VAULT_* and BAO_*; unknown ones are not ours and are left alone. */
export function readVaultEnvironment(env: Environment, readFile: ReadFile, findings: Findings): readonly Entry[] {
  for (const name of WITHOUT_EFFECT) {
    if (env[name]) findings.warn(`${name} is set, but it is not supported yet and has no effect.`)
  }
  const entries: Entry[] = []
  for (const [name, row] of GLOBALS) {
    const entry = vaultEntry(env, name, row, readFile, findings)
    if (entry) entries.push(entry)
  }
  return entries
}

function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(value))
}

/** PGLEASE_X together with PGLEASE_X_FILE, where `x_file` is a setting of its own: two answers to one question. */
function reportContradictions(env: Environment, findings: Findings): void {
  for (const name of GLOBALS.keys()) {
    const plain = `${PREFIX}${name.toUpperCase()}`
    if (!GLOBALS.has(`${name}_file`) || !env[plain] || !env[`${plain}_FILE`]) continue
    findings.mistake(name, plain, `contradicts ${plain}_FILE, which is set too`, 'Keep one of the two.')
  }
}

/** Entries of PGLEASE_<SETTING> and PGLEASE_<SETTING>_FILE; an unknown name is a mistake. */
export function readOwnEnvironment(env: Environment, readFile: ReadFile, findings: Findings): readonly Entry[] {
  const entries: Entry[] = []
  for (const [variableName, value] of Object.entries(env)) {
    if (value === undefined || !variableName.startsWith(PREFIX) || NOT_SETTINGS.has(variableName)) continue
    const name = variableName.slice(PREFIX.length).toLowerCase()
    const isUpper = variableName === variableName.toUpperCase()
    const base = name.endsWith('_file') ? name.slice(0, -'_file'.length) : name
    if (isUpper && (GLOBALS.has(name) || GLOBALS.has(base))) continue
    if (isServiceLink(variableName, value)) continue
    reportUnknown(findings, undefined, name, variableName, (known) => `${PREFIX}${known.toUpperCase()}`)
  }
  for (const name of GLOBALS.keys()) {
    const fileTwin = !GLOBALS.has(`${name}_file`)
    const found = variable(env, `${PREFIX}${name.toUpperCase()}`, name, fileTwin, readFile, findings)
    if (found) entries.push({ scope: undefined, name, raw: found.raw, source: found.source })
  }
  reportContradictions(env, findings)
  return entries
}
