// Reads new credentials: every read makes a role, so never two at once, never blindly again, and no end of trying.
import { backoffMs } from '../clock.ts'
import type { Trouble } from '../credential.ts'
import { Secret } from '../secret.ts'
import type { VaultContext } from './context.ts'
import { asFailure, VaultFailure } from './failure.ts'
import type { LeaseGrant } from './lease.ts'
import { CredentialAnswer, leaseIdOf, parseAnswer } from './schema.ts'
import type { Token } from './token.ts'
import type { TokenKeeper } from './token_keeper.ts'
import { Wakeable, waitForAny } from './wake.ts'

const HOUR_MS = 3_600_000
/** Lost answers per hour, after which a source waits: each may be a role that nobody will revoke. */
const LOST_PER_HOUR = 20
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 60_000
/** What passes by itself is tried more often, so that the end of it is not noticed a minute late. */
const LONGEST_TRANSIENT_RETRY_MS = 10_000
/** A token whose replacement is on its way is waited for this long at a time while a credential serves. */
const TOKEN_PATIENCE_MS = 1000
const LEAST_TIMEOUT_MS = 5000

interface ReaderOptions {
  readonly source: string
  readonly vaultPath: string
  /** Milliseconds that the credential in use has left; undefined = there is none. */
  readonly servingLeftMs: () => number | undefined
  readonly onFailure: (trouble: Trouble, attempted: boolean) => void
  /** A lease that was granted but cannot be used: revoke it. */
  readonly onUnusable: (leaseId: string, generation: number) => void
}

export class CredentialReader {
  readonly #context: VaultContext
  readonly #keeper: TokenKeeper
  readonly #options: ReaderOptions
  readonly #pause = new Wakeable()
  #lost: number[] = []
  #closed = false

  constructor(context: VaultContext, keeper: TokenKeeper, options: ReaderOptions) {
    this.#context = context
    this.#keeper = keeper
    this.#options = options
  }

  close(): void {
    this.#closed = true
    this.#pause.wake()
  }

  /** GET <vault_path>, as often as it takes. Resolves to undefined only after `close`. */
  async read(generation: number): Promise<LeaseGrant | undefined> {
    for (let failures = 0; !this.#closed; ) {
      const token = await this.#ready()
      if (token === undefined) continue
      let failure: VaultFailure
      try {
        return await this.#attempt(generation, token)
      } catch (error) {
        failure = asFailure(error)
      }
      if (failure.code === 'vault_denied' && (await this.#keeper.refused(token)) && failures++ === 0) continue
      if (failure.lost) this.#countLost(failure)
      this.#tell(failure, true)
      const longest = failure.class === 'transient' && !failure.lost ? LONGEST_TRANSIENT_RETRY_MS : LONGEST_RETRY_MS
      const pause = Math.max(failure.retryAfterMs, backoffMs(this.#context.clock, Math.max(0, failures++), FIRST_RETRY_MS, longest))
      if (!this.#closed) await waitForAny(this.#context.clock, [this.#pause], Math.max(pause, this.#lostPauseMs()))
    }
    return undefined
  }

  /** A token to read with, as soon as Vault answers; undefined = something changed, look again. */
  async #ready(): Promise<Token | undefined> {
    const { availability, clock } = this.#context
    if (availability.failure !== undefined) {
      this.#tell(availability.failure, false)
      await waitForAny(clock, [availability.changed, this.#pause])
      return undefined
    }
    const token = this.#keeper.current
    if (token === undefined) {
      if (this.#keeper.trouble !== undefined) this.#tell(this.#keeper.trouble, false)
      await waitForAny(clock, [this.#keeper.changed, availability.changed, this.#pause])
      return undefined
    }
    if (token.own && token.final && (this.#options.servingLeftMs() ?? 0) > 0) {
      await waitForAny(clock, [this.#keeper.changed, this.#pause], TOKEN_PATIENCE_MS)
      if (this.#keeper.current === token && (this.#options.servingLeftMs() ?? 0) > TOKEN_PATIENCE_MS) return undefined
    }
    if (!(await availability.confirm())) return undefined
    return this.#closed ? undefined : this.#keeper.current
  }

  #timeoutMs(): number {
    const longest = this.#context.settings.vault_timeout
    const left = this.#options.servingLeftMs()
    return left === undefined ? longest : Math.min(longest, Math.max(LEAST_TIMEOUT_MS, left / 2))
  }

  async #attempt(generation: number, token: Token): Promise<LeaseGrant> {
    // a token that is replaced while it reads must live on: what it reads would end with it
    this.#keeper.retain(token)
    try {
      return await this.#request(generation, token)
    } catch (error) {
      this.#keeper.release(token)
      throw error
    }
  }

  async #request(generation: number, token: Token): Promise<LeaseGrant> {
    const path = this.#options.vaultPath
    const sent = this.#context.now()
    const request = { operation: 'creds_read', method: 'GET', path, token: token.secret, timeoutMs: this.#timeoutMs() } as const
    const answer = await this.#context.send(request)
    try {
      const { lease_id: leaseId, lease_duration: seconds, renewable, data } = parseAnswer(CredentialAnswer, answer, path)
      if (seconds === 0) {
        throw new VaultFailure('vault_lease_unusable', `${path}: a lease_duration of 0; set default_ttl of the role`, { status: 200 })
      }
      const credential = { source: this.#options.source, generation, user: data.username, password: new Secret(data.password) }
      return { leaseId, credential, token, sent, durationMs: seconds * 1000, renewable }
    } catch (error) {
      const leaseId = leaseIdOf(answer)
      if (leaseId === undefined) throw error
      this.#options.onUnusable(leaseId, generation)
      const { code, detail } = asFailure(error)
      throw new VaultFailure(code, detail, { status: 200 })
    }
  }

  #tell(trouble: Trouble, attempted: boolean): void {
    this.#options.onFailure({ code: trouble.code, detail: trouble.detail }, attempted)
  }

  #countLost(failure: VaultFailure): void {
    const { clock, log, observer } = this.#context
    this.#lost.push(clock.monotonicMs())
    observer.possiblyOrphaned(this.#options.source)
    const message = `the answer to a read of credentials was lost, so Vault may have made a role that nobody uses until its lease ends: ${failure.detail}`
    log.warning('possibly_orphaned_lease', message, { source: this.#options.source, code: failure.code })
  }

  /** Milliseconds until one more answer may be lost. */
  #lostPauseMs(): number {
    const now = this.#context.clock.monotonicMs()
    this.#lost = this.#lost.filter((at) => now - at < HOUR_MS)
    const oldest = this.#lost[this.#lost.length - LOST_PER_HOUR]
    return oldest === undefined ? 0 : oldest + HOUR_MS - now
  }
}
