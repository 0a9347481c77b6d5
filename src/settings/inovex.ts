// Reads the variables of the inovex sidecar image, so that its deployments work unchanged.
import type { Entry, Findings } from './entry.ts'
import type { Environment } from './environment.ts'
import { databaseScope, type Scope } from './scope.ts'

export interface InovexResult {
  readonly entries: readonly Entry[]
  /** The database that DB_NAME adds or overrides. */
  readonly database: string | undefined
  /** One of DB_HOST, DB_NAME, VAULT_PATH is set: clients then expect port 5432. */
  readonly used: boolean
}

/** SSL_MODE was documented, TLS_MODE was read: both work, and TLS_MODE wins. */
function tlsMode(env: Environment, findings: Findings): { readonly raw: string; readonly source: string } | undefined {
  const tls = env.TLS_MODE
  const ssl = env.SSL_MODE
  if (tls && ssl && tls.toLowerCase() !== ssl.toLowerCase()) {
    findings.warn('TLS_MODE and SSL_MODE differ; TLS_MODE is used. Remove SSL_MODE.')
  }
  if (tls) return { raw: tls, source: 'TLS_MODE' }
  return ssl ? { raw: ssl, source: 'SSL_MODE' } : undefined
}

/** DB_PORT, unless Kubernetes made it for a service named `db`. */
function serverPort(env: Environment, findings: Findings): string | undefined {
  const port = env.DB_PORT
  if (port === undefined || !/^(?:tcp|udp|sctp):\/\//.test(port)) return port
  findings.warn(
    'DB_PORT was made by Kubernetes for a service named db and is ignored. Set enableServiceLinks: false in the pod to be rid of it.',
  )
  return undefined
}

/** Entries of DB_*, VAULT_PATH, TLS_MODE and the like. An empty variable sets nothing; POD_NAMESPACE and other DB_* are not ours. */
export function readInovex(env: Environment, findings: Findings): InovexResult {
  const entries: Entry[] = []
  const add = (scope: Scope | undefined, name: string, source: string, raw: string | undefined) => {
    if (raw) entries.push({ scope, name, raw, source })
  }
  add(undefined, 'listen_port', 'LISTEN_PORT', env.LISTEN_PORT)
  add(undefined, 'vault_cacert', 'VAULT_CA_CERT', env.VAULT_CA_CERT)
  add(undefined, 'vault_auth_role', 'VAULT_KUBERNETES_ROLE', env.VAULT_KUBERNETES_ROLE)

  const set = ['DB_NAME', 'DB_HOST', 'VAULT_PATH'].filter((name) => env[name])
  const database = env.DB_NAME?.trim() || undefined
  if (set.length > 0 && database === undefined) {
    findings.mistake(
      'DB_NAME',
      '',
      `is not set, but ${set.join(' and ')} ${set.length > 1 ? 'are' : 'is'}`,
      'Set DB_NAME to the name of the database.',
    )
  }
  if (database !== undefined) {
    const mode = tlsMode(env, findings)
    const scope = databaseScope(database)
    add(scope, 'host', 'DB_HOST', env.DB_HOST)
    add(scope, 'port', 'DB_PORT', serverPort(env, findings))
    add(scope, 'vault_path', 'VAULT_PATH', env.VAULT_PATH)
    if (mode) add(scope, 'server_tls_sslmode', mode.source, mode.raw)
  }
  return { entries, database, used: set.length > 0 }
}
