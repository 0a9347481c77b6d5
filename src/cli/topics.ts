// The pages of `pglease help TOPIC`.
import { GLOBALS, PER_DATABASE } from '../settings/declarations.ts'
import { EXIT, EXIT_MEANINGS } from './exit.ts'

function settingsPage(): string {
  const entry = ([name, row]: [string, { readonly help: string }]) => `  ${name}\n      ${row.help}\n`
  const own = [...PER_DATABASE].filter(([name]) => !GLOBALS.has(name))
  return `Settings (defaults and types: docs/settings.md; effective values: pglease check)\n\n${[...GLOBALS].map(entry).join('')}\nUnder databases.<name>:\n\n${own.map(entry).join('')}`
}

function exitPage(): string {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[]
  return `Exit statuses\n\n${names.map((name) => `  ${String(EXIT[name]).padStart(3)}  ${EXIT_MEANINGS[name]}\n`).join('')}`
}

const ENVIRONMENT_PAGE = `Environment, in rising priority (flags are stronger, the file is weaker)

  DB_HOST DB_PORT DB_NAME VAULT_PATH TLS_MODE SSL_MODE LISTEN_PORT VAULT_CA_CERT VAULT_KUBERNETES_ROLE
      As the inovex image reads them; DB_NAME adds or overrides that database.
  VAULT_ADDR VAULT_TOKEN VAULT_CACERT VAULT_NAMESPACE ...
      As Vault's own tools read them. BAO_ADDR and the like are stronger.
  PGLEASE_<SETTING>, such as PGLEASE_LISTEN_PORT
      Any setting of the process. PGLEASE_<SETTING>_FILE names a file that holds the value.
  PGLEASE_CONFIG
      The configuration file, as --config.
`

const SIGNALS_PAGE = `Signals

  TERM  serve until the clients have left or drain_timeout ends, let transactions finish, revoke, exit 0
  INT   let running transactions finish, revoke, exit 0
  QUIT  end now; revocation is still tried for 2 s
  A second TERM or INT, or shutdown_timeout, ends at once.
  HUP, USR1, USR2  logged and ignored: reload, pause and resume are not supported yet
`

export const HELP_TOPICS: ReadonlyMap<string, () => string> = new Map([
  ['settings', settingsPage],
  ['environment', () => ENVIRONMENT_PAGE],
  ['exit', exitPage],
  ['signals', () => SIGNALS_PAGE],
])
