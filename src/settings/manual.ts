// Writes docs/settings.md out of the declared rows.
import { GLOBALS, TOPICS } from './declarations.ts'
import type { Kind, Row, Topic } from './row.ts'
import { showValue } from './value.ts'

const TITLES: Readonly<Record<Topic, string>> = {
  listen: 'Listeners and clients',
  database: 'Databases',
  pool: 'Pools',
  server: 'Connections to PostgreSQL',
  vault: 'Vault',
  operation: 'Stopping and logs',
}

const KINDS: Readonly<Record<Kind, string>> = {
  text: 'text',
  query: 'SQL',
  integer: 'whole number',
  ports: 'whole number, or a list of them',
  fraction: 'fraction',
  boolean: 'true or false',
  duration: 'duration',
  size: 'size',
  mode: 'octal mode',
  choice: 'one of',
  choices: 'any of',
  list: 'list',
  file: 'file',
  directory: 'directory',
  url: 'address with scheme',
  secret: 'secret',
}

const INTRODUCTION = `# Settings

This page is generated from the declarations in \`src/settings/\`.

A setting comes from the strongest source that has it: built-in value, YAML file (\`--config FILE\` or \`PGLEASE_CONFIG\`), the variables of the inovex
image (\`DB_HOST\`, \`DB_PORT\`, \`DB_NAME\`, \`VAULT_PATH\`, \`TLS_MODE\`, \`SSL_MODE\`, \`LISTEN_PORT\`, \`VAULT_CA_CERT\`, \`VAULT_KUBERNETES_ROLE\`), \`VAULT_*\`, \`BAO_*\`,
\`PGLEASE_<SETTING>\`, flag (\`--listen-port 5432\`). \`PGLEASE_<SETTING>_FILE\` names a file that holds the value, and so does \`<secret>_file\` in YAML,
such as \`password_file\`. Secrets have no flag. An unknown name is a mistake, and all mistakes are reported at once (exit status 78). \`pglease check\` shows
every effective value with its source.

Durations are seconds (\`30\`) or have a unit: \`500ms\`, \`30s\`, \`5m\`, \`1h\`, \`1d\`. Sizes are bytes or have a unit: \`64k\`, \`16m\`, \`1g\`. Lists are separated by commas; in
YAML they may be lists. "db" marks what a database may set for itself, "user" what \`users:\` may set for a user, over its databases; "restart" what takes effect only when pglease starts.

\`\`\`yaml
vault_addr: https://vault.example:8200
vault_auth_role: app
databases:
  app:       { host: db.internal, dbname: app, vault_path: database/creds/app, pool_size: 20 }
  reporting: { host: db2.internal, user: report, password_file: /run/secrets/report }
users:
  report: { pool_mode: session, max_user_connections: 5 }
\`\`\`

A user is what databases log in as: their \`user\`, or their \`vault_path\`. Never a name that a client gives itself.
`

const cell = (text: string) => text.replaceAll('|', '\\|')

function defaultOf(row: Row<unknown>): string {
  if (row.defaultText !== undefined) return row.defaultText
  if (row.default === undefined) return 'none'
  const shown = showValue(row, row.default)
  return shown === '' ? '`""`' : `\`${shown}\``
}

function typeOf(row: Row<unknown>): string {
  const type = row.choices.length > 0 ? `${KINDS[row.kind]} ${row.choices.map((word) => `\`${word}\``).join(', ')}` : KINDS[row.kind]
  if (row.minimum === undefined || row.kind === 'duration') return type
  return row.maximum === undefined ? `${type}, from ${row.minimum}` : `${type}, ${row.minimum} to ${row.maximum}`
}

function notesOf(name: string, row: Row<unknown>): string {
  const notes = [row.change === 'restart' ? 'restart' : '', row.perDatabase && GLOBALS.has(name) ? 'db' : '', row.perUser ? 'user' : '']
  if (row.environment.length > 0) notes.push(row.environment.map((alias) => `\`${alias}\``).join(', '))
  return notes.filter((note) => note !== '').join('; ')
}

function table(topic: Topic, rows: Readonly<Record<string, Row<unknown>>>): string {
  const lead =
    topic === 'database'
      ? 'Under `databases.<name>`; the name is what clients ask for. Further ones are marked "db" in the other tables.\n\n'
      : ''
  const lines = Object.entries(rows).map(([name, row]) => {
    const refused = Object.keys(row.refused).map((word) => `\`${word}\``)
    const help = refused.length > 0 ? `${row.help} Not supported yet: ${refused.join(', ')}.` : row.help
    return `| \`${name}\` | ${cell(typeOf(row))} | ${cell(defaultOf(row))} | ${cell(help)} | ${cell(notesOf(name, row))} |`
  })
  const head = '| setting | type | default | meaning | notes |\n|---|---|---|---|---|'
  return `## ${TITLES[topic]}\n\n${lead}${head}\n${lines.join('\n')}\n`
}

/** The whole page in Markdown, ending in a line end. */
export function settingsManual(): string {
  return [INTRODUCTION, ...[...TOPICS].map(([topic, rows]) => table(topic, rows))].join('\n')
}
