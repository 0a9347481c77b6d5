// The effective settings: what every other part of pglease is handed. Durations are milliseconds, sizes bytes, 0 = off.
import type { Secret } from '../secret.ts'
import type { DATABASE_ROWS, GLOBAL_ROWS } from './declarations.ts'
import type { LIMIT_ROWS } from './declare_limits.ts'
import type { ServerHost } from './hosts.ts'
import type { ValueOf } from './row.ts'

type Globals = { readonly [Name in keyof typeof GLOBAL_ROWS]: ValueOf<(typeof GLOBAL_ROWS)[Name]> }

/** What a database may set of the limits and timeouts. */
export type Limits = Pick<Globals, keyof typeof LIMIT_ROWS>

export type SslMode = Globals['server_tls_sslmode']
export type ServerAuth = Globals['server_require_auth'][number]
export type VaultAuthMethod = Globals['vault_auth_method']

/** One database with every default resolved. Frozen. */
export interface DatabaseSettings extends Limits {
  /** The key in the configuration: what clients ask for, and the label of metrics. */
  readonly name: string
  /** As it was written; what it means is in `hosts`. */
  readonly host: string
  readonly port: readonly number[]
  readonly hosts: readonly ServerHost[]
  readonly load_balance_hosts: ValueOf<(typeof DATABASE_ROWS)['load_balance_hosts']>
  readonly target_session_attrs: ValueOf<(typeof DATABASE_ROWS)['target_session_attrs']>
  readonly dbname: string
  readonly user: string | undefined
  readonly password: Secret | undefined
  /** Checked: relative, no empty, `.` or `..` segments. Undefined = `user` is set. */
  readonly vault_path: string | undefined
  /** 0 = no limit. */
  readonly pool_size: number
  readonly pool_mode: Globals['pool_mode']
  /** Of its user, over all databases. 0 = no limit. */
  readonly max_user_connections: number
  readonly max_user_client_connections: number
  readonly server_lifetime: number
  readonly connect_query: string | undefined
  readonly server_role: string | undefined
  /** `disable` for a unix socket. */
  readonly server_tls_sslmode: SslMode
  readonly server_tls_ca_file: string | undefined
  readonly server_tls_cert_file: string | undefined
  readonly server_tls_key_file: string | undefined
  readonly server_require_auth: readonly ServerAuth[]
}

/** Every setting of the process under its own name, every default resolved, and the databases by name. Frozen. */
export interface Settings extends Globals {
  readonly databases: ReadonlyMap<string, DatabaseSettings>
}

/** Where the probes are. */
export type ProbeAddress = Pick<Settings, 'http_addr' | 'http_port'>

/** Something in the configuration that keeps pglease from starting. No text ever holds a secret. */
export interface Mistake {
  /** Setting, e.g. `listen_port` or `databases.app.vault_path`. */
  readonly setting: string
  /** Where it came from: `built-in`, `file config.yaml:12`, `VAULT_ADDR`, `--listen-port`, or '' when it is missing. */
  readonly source: string
  readonly problem: string
  /** What to do, an imperative sentence. */
  readonly fix: string
}

export interface LoadedSettings {
  readonly settings: Settings
  /** Source of every effective value by its path (`listen_port`, `databases.app.host`); same texts as Mistake.source. */
  readonly sources: ReadonlyMap<string, string>
  /** What deserves attention though pglease starts; for the log and `check`. */
  readonly warnings: readonly string[]
}
