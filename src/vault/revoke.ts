// Ends a lease in Vault, with what a person must do when Vault refuses or cannot drop the role.
import type { VaultContext } from './context.ts'
import { asFailure, type VaultFailure } from './failure.ts'
import type { TokenKeeper } from './token_keeper.ts'
import { Wakeable, waitForAny } from './wake.ts'

/** A role that owns objects is not dropped by trying again, but a busy server is. */
const RETRY_AFTER_MS = [1000, 5000, 25_000]
const REVOKE_TIMEOUT_MS = 10_000
/** Vault's words for a PostgreSQL that it cannot reach just now. */
const UNREACHED = /failed to connect|dial error|dial tcp|connection refused/i

type RevokeResult = 'ok' | 'denied' | 'failed'

interface RevokeTarget {
  readonly leaseId: string
  readonly source: string
  /** For the policy that is printed: `database/creds/app`. */
  readonly vaultPath: string
  readonly generation: number
}

export class Revoker {
  readonly #context: VaultContext
  readonly #keeper: TokenKeeper
  readonly #pause = new Wakeable()
  readonly #running = new Set<Promise<RevokeResult>>()
  #deadlineMs: number | undefined

  constructor(context: VaultContext, keeper: TokenKeeper) {
    this.#context = context
    this.#keeper = keeper
  }

  /** Revokes; `leftMs` tells how long the lease has still to live, after which there is nothing to do. Never throws. */
  revoke(target: RevokeTarget, leftMs: () => number): Promise<RevokeResult> {
    const running = this.#attempts(target, leftMs).then((result) => {
      this.#context.observer.revocation(result)
      this.#running.delete(running)
      return result
    })
    this.#running.add(running)
    return running
  }

  /** From now on every attempt ends within `budgetMs` from now. */
  limit(budgetMs: number): void {
    this.#deadlineMs = this.#context.clock.monotonicMs() + budgetMs
    this.#pause.wake()
  }

  /** Resolves when no revocation is running. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #budgetMs(): number {
    return this.#deadlineMs === undefined ? Number.POSITIVE_INFINITY : this.#deadlineMs - this.#context.clock.monotonicMs()
  }

  #boundedMs(ms: number, otherMs: number): number {
    return Math.max(1, Math.min(ms, otherMs, this.#budgetMs()))
  }

  async #attempts(target: RevokeTarget, leftMs: () => number): Promise<RevokeResult> {
    const { availability } = this.#context
    for (let attempt = 0; ; ) {
      if (leftMs() <= 0) return 'ok'
      if (this.#budgetMs() <= 0) return this.#leftBehind(target)
      const token = this.#keeper.current
      if (token === undefined || (availability.failure !== undefined && this.#deadlineMs === undefined)) {
        const changed = token === undefined ? this.#keeper.changed : availability.changed
        await waitForAny(this.#context.clock, [changed, this.#pause], this.#boundedMs(5000, leftMs()))
        continue
      }
      try {
        await this.#context.send({
          operation: 'lease_revoke',
          method: 'PUT',
          path: `sys/leases/revoke/${target.leaseId}`,
          token: token.secret,
          body: { sync: true },
          timeoutMs: this.#boundedMs(REVOKE_TIMEOUT_MS, this.#context.settings.vault_timeout),
        })
        this.#context.log.info('lease_revoked', 'revoked the lease', this.#fields(target))
        return 'ok'
      } catch (error) {
        const failure = asFailure(error)
        if (failure.code === 'vault_denied') return this.#denied(target)
        if (failure.away && this.#deadlineMs === undefined) continue
        const pause = RETRY_AFTER_MS[attempt++]
        if (pause === undefined) return this.#failed(target, failure)
        if (attempt === 1) this.#sayWhy(target, failure)
        await waitForAny(this.#context.clock, [this.#pause], this.#boundedMs(pause, leftMs()))
      }
    }
  }

  #fields(target: RevokeTarget): { source: string; generation: number; lease: string } {
    return { source: target.source, generation: target.generation, lease: target.leaseId }
  }

  #denied(target: RevokeTarget): RevokeResult {
    if (this.#context.once(`revoke ${target.vaultPath}`)) {
      const rule = `path "sys/leases/revoke/${target.vaultPath}/*" { capabilities = ["update"] }`
      const message = `the policy does not allow leases to be revoked, so they run out by themselves; add to it: ${rule}`
      this.#context.log.warning('lease_revoke_failed', message, { ...this.#fields(target), code: 'vault_denied' })
    }
    return 'denied'
  }

  #sayWhy(target: RevokeTarget, failure: VaultFailure): void {
    const remedy =
      failure.away || UNREACHED.test(failure.detail)
        ? 'it is tried again'
        : 'if its role still owns objects, set server_role so that a lasting role owns them, and let the revocation statements be DROP ROLE IF EXISTS alone'
    const message = `the lease could not be revoked: ${failure.message}; ${remedy}`
    this.#context.log.warning('lease_revoke_failed', message, { ...this.#fields(target), code: failure.code })
  }

  #failed(target: RevokeTarget, failure: VaultFailure): RevokeResult {
    const message = `the lease is left to Vault, which goes on trying at its end: ${failure.detail}`
    this.#context.log.error('lease_revoke_failed', message, { ...this.#fields(target), code: failure.code })
    return 'failed'
  }

  #leftBehind(target: RevokeTarget): RevokeResult {
    const message = 'there was no time left to revoke the lease; it ends by itself'
    this.#context.log.warning('lease_revoke_failed', message, this.#fields(target))
    return 'failed'
  }
}
