// One lease's life: renewed while it may be, a successor asked for in time, and its end.
import { backoffMs } from '../clock.ts'
import type { Credential } from '../credential.ts'
import type { VaultContext } from './context.ts'
import { asFailure, type VaultFailure } from './failure.ts'
import { type GenerationState, move } from './generation.ts'
import {
  type Instant,
  isShortGrant,
  type LeaseTimes,
  leaseLeftMs,
  renewalAskMs,
  renewalInMs,
  renewalTimeoutMs,
  successorInMs,
} from './schedule.ts'
import { RenewLeaseAnswer } from './schema.ts'
import type { Token } from './token.ts'
import type { TokenKeeper } from './token_keeper.ts'
import { Wakeable, waitForAny } from './wake.ts'

/** Nothing waits longer than this without looking at the clocks again: a machine may have slept. */
const LONGEST_WAIT_MS = 30_000

/** A lease as Vault granted it. Its token is retained (`TokenKeeper.retain`) until the lease is over. */
export interface LeaseGrant {
  readonly leaseId: string
  readonly credential: Credential
  readonly token: Token
  readonly sent: Instant
  readonly durationMs: number
  readonly renewable: boolean
}

export interface LeaseOwner {
  /** Told once: the maximum is near, or it cannot be renewed. */
  wantsSuccessor(lease: Lease): void
  /** Its end came, or Vault knows it no more. */
  ended(lease: Lease): void
}

export class Lease {
  readonly leaseId: string
  readonly credential: Credential
  readonly token: Token
  readonly #context: VaultContext
  readonly #keeper: TokenKeeper
  readonly #owner: LeaseOwner
  readonly #wake = new Wakeable()
  #state: GenerationState = 'offered'
  #times: LeaseTimes
  #stopped = false
  #lost = false
  #jitter: number
  #notBefore = 0
  #failures = 0
  #successorWanted = false

  constructor(context: VaultContext, keeper: TokenKeeper, owner: LeaseOwner, grant: LeaseGrant) {
    this.#context = context
    this.#keeper = keeper
    this.#owner = owner
    this.leaseId = grant.leaseId
    this.credential = grant.credential
    this.token = grant.token
    this.#jitter = context.clock.random()
    this.#times = {
      issued: grant.sent,
      firstMs: grant.durationMs,
      granted: grant.sent,
      grantedMs: grant.durationMs,
      renewable: grant.renewable,
      final: false,
    }
  }

  get generation(): number {
    return this.credential.generation
  }

  get state(): GenerationState {
    return this.#state
  }

  /** Whether its end or its maximum has called for a successor. */
  get successorWanted(): boolean {
    return this.#successorWanted
  }

  /** Throws when the state must not follow: see generation.ts. */
  become(state: GenerationState): void {
    this.#state = move(this.#state, state)
  }

  /** Milliseconds to its end, its token's included; 0 or less when it is over. */
  leftMs(): number {
    return this.#lost ? 0 : leaseLeftMs(this.#times, this.token.end, this.#context.now())
  }

  /** Begins to renew it. Ends with `ended` or `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const left = this.leftMs()
      if (left <= 0) {
        this.#stopped = true
        this.#owner.ended(this)
        return
      }
      const wait = this.#nextInMs(left)
      if (this.#stopped) return
      if (wait > 0) await waitForAny(this.#context.clock, [this.#wake], Math.min(wait, LONGEST_WAIT_MS))
      else await this.#renew(left)
    }
  }

  /** Looks again at what is due: token, availability or settings changed. */
  wake(): void {
    this.#wake.wake()
  }

  /** Renews no more. The lease counts as its token's until `over`. */
  stop(): void {
    this.#stopped = true
    this.#wake.wake()
  }

  /** Nothing of it is left: its token may go. */
  over(): void {
    this.stop()
    this.become('revoked')
    this.#keeper.release(this.token)
  }

  /** Milliseconds until something is due; 0 = renew now. */
  #nextInMs(left: number): number {
    const now = this.#context.now()
    const policy = this.#context.policy()
    let next = left
    if (!this.#successorWanted) {
      const due = successorInMs(this.#times, now, policy, this.#jitter)
      if (due <= 0) {
        this.#successorWanted = true
        this.#owner.wantsSuccessor(this)
      } else next = Math.min(next, due)
    }
    const renewal = renewalInMs(this.#times, now, policy, this.#jitter)
    if (renewal === undefined) return next
    // while Vault is away nobody asks; the end and the successor are still looked after
    if (this.#context.availability.failure !== undefined || this.#keeper.current === undefined) return next
    return Math.min(next, Math.max(0, renewal, this.#notBefore - now.monotonicMs))
  }

  async #renew(left: number): Promise<void> {
    const { settings } = this.#context
    const token = this.#keeper.current
    if (token === undefined) return
    const askedMs = renewalAskMs(this.#times.firstMs, this.#context.policy())
    const sent = this.#context.now()
    try {
      const answer = await this.#context.ask(RenewLeaseAnswer, {
        operation: 'lease_renew',
        method: 'PUT',
        path: 'sys/leases/renew',
        token: token.secret,
        body: { lease_id: this.leaseId, increment: Math.round(askedMs / 1000) },
        timeoutMs: renewalTimeoutMs(left, settings.vault_timeout),
      })
      if (!this.#stopped) this.#granted(sent, askedMs, answer.lease_duration * 1000, answer.renewable)
    } catch (error) {
      if (!this.#stopped) await this.#failed(asFailure(error), token)
    }
  }

  #granted(sent: Instant, askedMs: number, grantedMs: number, renewable: boolean): void {
    const { log, observer } = this.#context
    const final = isShortGrant(askedMs, grantedMs)
    this.#failures = 0
    this.#jitter = this.#context.clock.random()
    this.#times = { ...this.#times, granted: sent, grantedMs, renewable, final }
    observer.leaseRenewal(this.credential.source, final ? 'short' : 'ok')
    const seconds = Math.round(grantedMs / 1000)
    if (final) {
      const message = `lease renewed for ${seconds} s instead of ${Math.round(askedMs / 1000)} s: its maximum is near`
      log.info('lease_short_grant', message, this.#fields())
    } else log.debug('lease_renewed', `lease renewed for ${seconds} s`, this.#fields())
  }

  async #failed(failure: VaultFailure, token: Token): Promise<void> {
    const { clock, log, observer } = this.#context
    observer.leaseRenewal(this.credential.source, 'failed')
    if (failure.class === 'transient' || failure.code === 'vault_bad_answer') return this.#tryAgain(failure)
    if (failure.code === 'vault_denied' && (await this.#keeper.refused(token))) {
      this.#notBefore = clock.monotonicMs() + 200
      return
    }
    if (/not found|expired|invalid lease/i.test(failure.detail)) {
      log.warning('lease_warning', `Vault does not know the lease any more: ${failure.message}`, this.#fields())
      this.#lost = true
      return
    }
    // Vault counts in whole seconds of the wall clock: the last grant may reach beyond the maximum without being short
    if (/past the max ttl/i.test(failure.detail)) {
      this.#times = { ...this.#times, final: true }
      log.info('lease_short_grant', 'the lease was not renewed: its maximum is reached', this.#fields())
      return
    }
    // Vault's own 400 for a PostgreSQL that it does not reach just now: nothing is wrong with the lease
    if (/failed to renew entry/i.test(failure.detail) && !/could not find role/i.test(failure.detail)) {
      if (this.#failures === 0) log.warning('lease_warning', `a renewal failed and is tried again: ${failure.message}`, this.#fields())
      return this.#tryAgain(failure)
    }
    this.#times = { ...this.#times, renewable: false }
    if (!this.#context.once(`renew ${this.credential.source}`)) return
    const rule = 'path "sys/leases/renew" { capabilities = ["update"] }'
    const remedy = failure.code === 'vault_denied' ? `; add to the policy: ${rule}` : ''
    const message = `leases cannot be renewed, so each is replaced early instead: ${failure.message}${remedy}`
    log.warning('lease_warning', message, { ...this.#fields(), code: failure.code })
  }

  #tryAgain(failure: VaultFailure): void {
    const { clock } = this.#context
    this.#notBefore = clock.monotonicMs() + Math.max(failure.retryAfterMs, backoffMs(clock, this.#failures++, 500, 5000))
  }

  #fields(): { source: string; generation: number; lease: string } {
    return { source: this.credential.source, generation: this.generation, lease: this.leaseId }
  }
}
