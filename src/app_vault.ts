// Builds the Vault client from the settings: which Vault, which certificates, who measures it.
import { readFileSync } from 'node:fs'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { makeFetch } from './net/fetch.ts'
import { systemCertificates } from './net/tls.ts'
import { Secret } from './secret.ts'
import { isLocal } from './settings/local.ts'
import type { Settings } from './settings/settings.ts'
import { createVault, type Vault } from './vault/vault.ts'

/** The authority of a cluster's own services; trusted beside the system's when no vault_cacert is set. */
const SERVICE_ACCOUNT_CA = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'

function serviceAccountCa(): string | undefined {
  try {
    return readFileSync(SERVICE_ACCOUNT_CA, 'utf8')
  } catch {
    // not in a cluster, or a pod without the token: the system's certificates are enough
    return undefined
  }
}

/** The authorities to trust, in PEM; undefined = the system's. */
function trustedAuthorities(settings: Settings): string | undefined {
  if (settings.vault_cacert !== undefined) return readFileSync(settings.vault_cacert, 'utf8')
  const cluster = settings.vault_addr.startsWith('https:') ? serviceAccountCa() : undefined
  return cluster === undefined ? undefined : [cluster, ...systemCertificates()].join('\n')
}

/** Undefined when no database leases its credential. */
export function buildVault(settings: Settings, clock: Clock, log: Log, metrics: Metrics): Vault | undefined {
  if (![...settings.databases.values()].some((database) => database.vault_path !== undefined)) return undefined
  const ca = trustedAuthorities(settings)
  const { vault_client_cert, vault_client_key, vault_tls_server_name } = settings
  const fetch = makeFetch({
    ...(ca === undefined ? {} : { ca }),
    ...(vault_client_cert === undefined ? {} : { cert: readFileSync(vault_client_cert, 'utf8') }),
    ...(vault_client_key === undefined ? {} : { key: new Secret(readFileSync(vault_client_key, 'utf8')) }),
    ...(vault_tls_server_name === undefined ? {} : { serverName: vault_tls_server_name }),
    ...(settings.vault_skip_verify ? { skipVerify: true } : {}),
    // no proxy reaches this machine's loopback, where an agent may listen; Vault's own tools ask none either
    ...(isLocal(new URL(settings.vault_addr).hostname) ? { direct: true } : {}),
  })
  return createVault({ settings, fetch, clock, log, observer: metrics })
}
