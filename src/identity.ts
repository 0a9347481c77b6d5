// Who a client is, and the contract of finding out.

/** `key` tells pools apart that must not be shared between identities. */
export interface Identity {
  readonly user: string
  readonly database: string
  readonly key: string
}

/** Finds out who a client is; rejects with a PgleaseError. No pool is made and Vault is not asked before it has resolved. */
export type Authenticator = (claim: { readonly user: string; readonly database: string }) => Promise<Identity>

/** auth_type any and trust: whatever the client says, and all share one pool. Only for listeners that nobody else can reach. */
export const authenticateAny: Authenticator = async ({ user, database }) => ({ user, database, key: '' })
