// Leases of the stand-in Vault: granted, renewed up to their maximum, and ended with the role that they are for.
import { grantedTtl, type Json, Refusal, randomText, secondsUntil } from './dev_vault_answer.ts'
import type { DatabaseEngine, LeasedUser } from './dev_vault_database.ts'
import type { Expiry } from './dev_vault_expiry.ts'
import type { Token } from './dev_vault_tokens.ts'

/** A role that could not be dropped is tried again after 10 s, 20 s, ... as Vault does, and then left. */
const RETRY_MS = 10_000
const RETRIES = 6

class Lease {
  readonly id: string
  readonly engine: DatabaseEngine
  readonly user: LeasedUser
  readonly token: Token
  readonly issuedMs = Date.now()
  expireMs = 0
  renewedMs: number | undefined
  /** The revocation under way. */
  revoking: Promise<void> | undefined

  constructor(path: string, engine: DatabaseEngine, user: LeasedUser, token: Token) {
    this.id = `${path}/${randomText(24)}`
    this.engine = engine
    this.user = user
    this.token = token
  }

  described(): Json {
    return {
      id: this.id,
      issue_time: new Date(this.issuedMs).toISOString(),
      expire_time: new Date(this.expireMs).toISOString(),
      last_renewal: this.renewedMs === undefined ? null : new Date(this.renewedMs).toISOString(),
      renewable: true,
      ttl: secondsUntil(this.expireMs),
    }
  }
}

export class Leases {
  readonly #expiry: Expiry
  readonly #byId = new Map<string, Lease>()

  constructor(expiry: Expiry) {
    this.#expiry = expiry
  }

  /** Makes a role and leases it to `token`. */
  async grant(path: string, engine: DatabaseEngine, role: string, token: Token): Promise<{ lease: Lease; password: string; ttl: number }> {
    const { user, password, ttl: wanted, maxTtl } = await engine.createUser(role, token.options.displayName)
    const lease = new Lease(path, engine, user, token)
    const { ttl } = grantedTtl({ ttl: wanted, maxTtl, issuedMs: lease.issuedMs })
    this.#byId.set(lease.id, lease)
    const granted = this.#extend(lease, ttl)
    if (token.ended) {
      // it ended while PostgreSQL was at work
      this.#begin(lease)
      throw new Refusal(500, 'failed to register lease: the token is gone')
    }
    return { lease, password, ttl: granted }
  }

  find(id: string): Lease | undefined {
    return this.#byId.get(id)
  }

  /** What of the ids follows `prefix/`, up to the next slash. */
  below(prefix: string): string[] {
    const start = prefix === '' ? '' : `${prefix}/`
    const rests = [...this.#byId.keys()].filter((id) => id.startsWith(start)).map((id) => id.slice(start.length))
    return [...new Set(rests.map((rest) => rest.replace(/\/.*$/, '/')))]
  }

  /** Answers the lease's new duration and Vault's warnings. */
  async renew(id: string, increment: number): Promise<{ ttl: number; warnings: string[] }> {
    const lease = this.#byId.get(id)
    if (!lease) throw new Refusal(400, 'lease not found')
    if (lease.expireMs <= Date.now()) throw new Refusal(400, 'lease expired')
    const { ttl, warnings } = grantedTtl({ increment, ...lease.engine.ttls(lease.user), issuedMs: lease.issuedMs })
    await lease.engine.renewUser(lease.user, ttl)
    if (this.#byId.get(id) !== lease) throw new Refusal(400, 'lease not found')
    lease.renewedMs = Date.now()
    return { ttl: this.#extend(lease, ttl), warnings }
  }

  /** Waits until the role is dropped; an unknown lease is none to revoke. Throws when PostgreSQL refuses: the lease then stays. */
  async revoke(id: string): Promise<void> {
    const lease = this.#byId.get(id)
    if (!lease) return
    try {
      await this.#drop(lease)
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error)
      throw new Refusal(400, `failed to revoke entry: resp: (*logical.Response)(nil) err: ${said}`)
    }
  }

  /** Revokes without anyone waiting. */
  revokeLater(id: string): void {
    const lease = this.#byId.get(id)
    if (lease) this.#begin(lease)
  }

  /** Every lease below `prefix` goes; with `force` also those whose roles stay. */
  async revokePrefix(prefix: string, force: boolean): Promise<void> {
    const found = [...this.#byId.values()].filter(({ id }) => prefix === '' || id.startsWith(`${prefix}/`))
    for (const lease of found) {
      try {
        await this.revoke(lease.id)
      } catch (error) {
        if (!force) throw error
        this.#forget(lease)
      }
    }
  }

  /** A token has ended: its leases follow. */
  endedToken(token: Token): void {
    for (const lease of this.#byId.values()) if (lease.token === token) this.#begin(lease)
  }

  /** A batch token's leases end with it, whatever was granted. */
  #extend(lease: Lease, ttl: number): number {
    const tokenEnd = lease.token.options.batch ? lease.token.expireMs : undefined
    lease.expireMs = Math.min(Date.now() + ttl * 1000, tokenEnd ?? Number.POSITIVE_INFINITY)
    this.#expiry.at(lease, lease.expireMs, () => this.#begin(lease))
    return Math.min(ttl, Math.max(0, Math.round((lease.expireMs - Date.now()) / 1000)))
  }

  #begin(lease: Lease, attempt = 0): void {
    this.#drop(lease).catch(() => {
      if (attempt >= RETRIES || this.#byId.get(lease.id) !== lease) return
      this.#expiry.at(lease, Date.now() + RETRY_MS * 2 ** attempt, () => this.#begin(lease, attempt + 1))
    })
  }

  #drop(lease: Lease): Promise<void> {
    lease.revoking ??= lease.engine.dropUser(lease.user).then(
      () => this.#forget(lease),
      (error: unknown) => {
        lease.revoking = undefined
        throw error
      },
    )
    return lease.revoking
  }

  #forget(lease: Lease): void {
    this.#expiry.cancel(lease)
    this.#byId.delete(lease.id)
  }
}
