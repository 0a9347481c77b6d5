// Keeps a token in hand: when to log in, to renew, to replace one before its maximum, and when one of our own is revoked.
import { backoffMs, delay } from '../clock.ts'
import type { Trouble } from '../credential.ts'
import { type ErrorCode, PgleaseError } from '../errors.ts'
import type { VaultContext } from './context.ts'
import { asFailure } from './failure.ts'
import { type LoginMethod, lookupToken, saysInvalidToken, warnAboutToken } from './login.ts'
import { ageMs, renewalDelayMs } from './schedule.ts'
import { Token } from './token.ts'
import { renewToken, revokeToken } from './token_requests.ts'
import { Wakeable, waitForAny } from './wake.ts'

/** Nothing waits longer than this without looking at the clocks again: a machine may have slept. */
const LONGEST_WAIT_MS = 30_000
const LOGIN_TIMEOUT_MS = 15_000
const LOOKUP_TIMEOUT_MS = 5000
/** How often a sink file is read; it is small and local. */
const FILE_PERIOD_MS = 5000
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 60_000
const LONGEST_TRANSIENT_RETRY_MS = 5000
/** A policy that was changed shows only in a new token: how often a refusal may lead to a login. */
const RELOGIN_PERIOD_MS = 600_000

export class TokenKeeper {
  /** Wakes when the token or the trouble changed. */
  readonly changed = new Wakeable()
  readonly #context: VaultContext
  readonly #method: LoginMethod
  readonly #wake = new Wakeable()
  /** Own tokens that were replaced and still have leases. */
  readonly #retiring = new Set<Token>()
  #current: Token | undefined
  #trouble: Trouble | undefined
  #running: Promise<void> | undefined
  #closed = false
  #loggingIn: Promise<void> | undefined
  #loginWanted = false
  #failedLogins = 0
  #jitter = 0
  #notBefore = 0
  #renewalFailures = 0
  #checking: Promise<boolean> | undefined
  #reloginMs = Number.NEGATIVE_INFINITY

  constructor(context: VaultContext, method: LoginMethod) {
    this.#context = context
    this.#method = method
  }

  /** The token to use now. */
  get current(): Token | undefined {
    return this.#current
  }

  /** Why there is none, or why the one in hand cannot be replaced. */
  get trouble(): Trouble | undefined {
    return this.#trouble
  }

  get kind(): 'own' | 'foreign' {
    return this.#method.own ? 'own' : 'foreign'
  }

  start(): void {
    this.#running ??= this.#run()
  }

  retain(token: Token): void {
    token.leases++
  }

  /** A lease of `token` is over: a replaced own token without leases is revoked. */
  release(token: Token): void {
    token.leases--
    if (token.leases === 0 && this.#retiring.delete(token)) void revokeToken(this.#context, token, LOOKUP_TIMEOUT_MS)
  }

  /**
   * Vault refused (403) a request made with `token`. Resolves to true when it is worth repeating with the token of then; false
   * when a policy forbids it.
   */
  async refused(token: Token): Promise<boolean> {
    if (this.#current !== token) return this.#current !== undefined
    this.#checking ??= this.#check(token).finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  /** Logs in no more and revokes the own tokens, and with them every lease that is left. Never throws. */
  async close(budgetMs: number): Promise<void> {
    this.#closed = true
    this.#wake.wake()
    this.changed.wake()
    await this.#loginEnds(budgetMs)
    const tokens = this.#current === undefined ? [...this.#retiring] : [this.#current, ...this.#retiring]
    this.#current = undefined
    await Promise.all(tokens.filter((token) => token.own).map((token) => revokeToken(this.#context, token, budgetMs)))
  }

  /** A login on its way brings a token, which is revoked at once. */
  async #loginEnds(budgetMs: number): Promise<void> {
    if (this.#loggingIn === undefined) return
    const timeout = new AbortController()
    await Promise.race([this.#loggingIn, delay(this.#context.clock, budgetMs, timeout.signal)])
    timeout.abort()
  }

  async #run(): Promise<void> {
    const { availability, clock } = this.#context
    while (!this.#closed) {
      this.#expire()
      if (availability.failure !== undefined) {
        if (this.#current === undefined) this.#setTrouble(availability.failure)
        await waitForAny(clock, [availability.changed, this.#wake], this.#longestWaitMs())
        continue
      }
      const early = this.#notBefore - clock.monotonicMs()
      if (early > 0) await this.#wait(Math.min(early, this.#longestWaitMs()))
      else await this.#step()
    }
  }

  #wait(longestMs: number): Promise<void> {
    return waitForAny(this.#context.clock, [this.#wake], longestMs)
  }

  /** Until the token's end, which must be seen on time. */
  #longestWaitMs(): number {
    return Math.max(1, Math.min(LONGEST_WAIT_MS, this.#current?.leftMs(this.#context.now()) ?? LONGEST_WAIT_MS))
  }

  /** Does the one thing that is due, or waits until something is. */
  async #step(): Promise<void> {
    const token = this.#current
    if (token === undefined || this.#loginWanted) return this.#logIn()
    const { clock } = this.#context
    const now = this.#context.now()
    const left = token.leftMs(now)
    if (this.#method.renewedElsewhere && this.#method.differs(token.secret)) return this.#logIn()
    if (token.end === undefined) return this.#wait(this.#method.renewedElsewhere ? FILE_PERIOD_MS : LONGEST_WAIT_MS)
    const due = renewalDelayMs(token.grantedMs, { ...this.#context.policy(), rotateBeforeMs: 0 }, this.#jitter) - ageMs(token.granted, now)
    if (due > 0 || (token.final && !this.#method.own)) {
      const longest = this.#method.renewedElsewhere ? FILE_PERIOD_MS : LONGEST_WAIT_MS
      return this.#wait(Math.min(longest, left, due > 0 ? due : left))
    }
    this.#jitter = clock.random()
    if (this.#method.renewedElsewhere) return this.#lookAgain(token)
    if (token.renewable && !token.final) return this.#renew(token)
    if (this.#method.own) return this.#logIn()
    token.final = true
    this.#warnForeign()
  }

  /** A token past its end is none: without this its leases would be thought alive. */
  #expire(): void {
    const token = this.#current
    if (token === undefined || token.leftMs(this.#context.now()) > 0) return
    this.#context.log.warning('token_warning', 'the token has ended, and with it every lease made with it')
    this.#retiring.delete(token)
    this.#current = undefined
    this.changed.wake()
  }

  #setTrouble(trouble: { readonly code: ErrorCode; readonly detail: string } | undefined): void {
    if (this.#trouble?.code === trouble?.code && this.#trouble?.detail === trouble?.detail) return
    this.#trouble = trouble === undefined ? undefined : { code: trouble.code, detail: trouble.detail }
    this.changed.wake()
  }

  async #logIn(): Promise<void> {
    this.#loggingIn = this.#login()
    await this.#loggingIn
    this.#loggingIn = undefined
  }

  async #login(): Promise<void> {
    const { clock, log, observer, settings } = this.#context
    if (!(await this.#context.availability.confirm())) return
    try {
      const granted = await this.#method.obtain(Math.min(LOGIN_TIMEOUT_MS, settings.vault_timeout))
      observer.vaultLogin('ok')
      const token = new Token(granted, this.#method.own)
      if (this.#closed) {
        if (token.own) await revokeToken(this.#context, token, LOOKUP_TIMEOUT_MS)
        return
      }
      this.#failedLogins = 0
      this.#loginWanted = false
      this.#jitter = clock.random()
      const ends = token.end === undefined ? 'it never ends' : `it ends in ${Math.round(token.firstMs / 1000)} s unless renewed`
      log.info('vault_login', `logged in to Vault (${settings.vault_auth_method}); ${ends}`)
      warnAboutToken(this.#context, granted, token.own)
      this.#replace(token)
    } catch (error) {
      this.#loginFailed(error)
    }
  }

  #loginFailed(error: unknown): void {
    const { clock, log, observer, availability } = this.#context
    const failure = error instanceof PgleaseError ? error : asFailure(error)
    observer.vaultLogin(failure.code === 'vault_login_failed' ? 'denied' : 'failed')
    const message = `${failure.message}${this.#current === undefined ? '' : '; the token in hand is used while it lasts'}`
    if (availability.failure === undefined) log.warning('vault_login_failed', message, { code: failure.code })
    const longest = failure.class === 'transient' ? LONGEST_TRANSIENT_RETRY_MS : LONGEST_RETRY_MS
    const asked = asFailure(failure).retryAfterMs
    this.#notBefore = clock.monotonicMs() + Math.max(asked, backoffMs(clock, this.#failedLogins++, FIRST_RETRY_MS, longest))
    this.#setTrouble(failure)
  }

  #replace(token: Token): void {
    const old = this.#current
    this.#current = token
    this.#renewalFailures = 0
    this.#trouble = undefined
    this.changed.wake()
    if (old === undefined || !old.own) return
    if (old.leases === 0) void revokeToken(this.#context, old, LOOKUP_TIMEOUT_MS)
    else this.#retiring.add(old)
  }

  async #renew(token: Token): Promise<void> {
    const outcome = await renewToken(this.#context, token)
    if (outcome.kind === 'failed') {
      const pause = backoffMs(this.#context.clock, this.#renewalFailures++, 500, 5000)
      this.#notBefore = this.#context.clock.monotonicMs() + Math.max(outcome.retryAfterMs, pause)
      return
    }
    if (outcome.kind === 'invalid') return this.#invalid(token)
    if (outcome.kind !== 'refused') this.#renewalFailures = 0
    if (outcome.kind === 'renewed') return
    token.final = true
    if (token.own) this.#loginWanted = true
    else if (outcome.kind === 'short') this.#warnForeign()
  }

  #warnForeign(): void {
    if (!this.#context.once('foreign token ends')) return
    const remedy = 'give a periodic token (vault token create -period=...), or let pglease log in by itself'
    this.#context.log.warning(
      'token_warning',
      `the token that was given to pglease cannot be renewed further, and every lease ends with it; ${remedy}`,
    )
  }

  /** Someone else renews this token: its end is what Vault says now. */
  async #lookAgain(token: Token): Promise<void> {
    const { clock } = this.#context
    try {
      const seen = await lookupToken(this.#context, token.secret, LOOKUP_TIMEOUT_MS)
      token.extend(seen.sent, seen.durationMs)
    } catch (error) {
      const failure = asFailure(error)
      if (saysInvalidToken(failure.detail)) this.#invalid(token)
    }
    this.#notBefore = clock.monotonicMs() + FIRST_RETRY_MS
  }

  /** Vault knows the token no more: its leases are gone with it. */
  #invalid(token: Token): void {
    token.end = this.#context.now()
    this.#expire()
  }

  async #check(token: Token): Promise<boolean> {
    const { clock } = this.#context
    try {
      await lookupToken(this.#context, token.secret, LOOKUP_TIMEOUT_MS)
    } catch (error) {
      const failure = asFailure(error)
      if (failure.class === 'transient') return true
      if (saysInvalidToken(failure.detail)) {
        if (this.#current === token) this.#invalid(token)
        this.#wake.wake()
        return true
      }
    }
    // The token is good, so a policy forbids it. A new token may carry a new policy, but would take the others' leases along.
    const now = clock.monotonicMs()
    if (!token.own || token.leases > 0 || now - this.#reloginMs < RELOGIN_PERIOD_MS || this.#current !== token) return false
    this.#reloginMs = now
    this.#loginWanted = true
    this.#wake.wake()
    while (this.#current === token && this.#loginWanted && !this.#closed && this.#trouble === undefined)
      await waitForAny(clock, [this.changed])
    return this.#current !== token
  }
}
