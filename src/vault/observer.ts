// What the Vault client tells whoever measures it; metrics implement it.

/** The label `operation` of metrics: a closed list, never a path. */
export type VaultOperation =
  | 'health'
  | 'login'
  | 'token_lookup'
  | 'token_renew'
  | 'token_revoke'
  | 'creds_read'
  | 'lease_renew'
  | 'lease_revoke'

export interface VaultObserver {
  /** `status` is the HTTP status, or `timeout` or `unreachable` when no answer came. */
  vaultRequest(operation: VaultOperation, status: string, ms: number): void
  /** denied: Vault refused it; failed: it could not be answered. */
  vaultLogin(result: 'ok' | 'denied' | 'failed'): void
  leaseRenewal(source: string, result: 'ok' | 'short' | 'failed'): void
  /** `ms` runs from the first attempt to read the successor until every consumer has proven it. */
  rotation(source: string, result: 'ok' | 'failed', ms: number): void
  revocation(result: 'ok' | 'denied' | 'failed'): void
  /** An answer to a read of credentials was lost: Vault may have made a role that nobody uses. */
  possiblyOrphaned(source: string): void
}
