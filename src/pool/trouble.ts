// Remembers why a pool cannot log in, when to try again, and whether its clients should wait or be told at once.
import { backoffMs, type Clock } from '../clock.ts'
import type { Trouble } from '../credential.ts'
import { ERRORS, type ErrorCode, errorText, PgleaseError } from '../errors.ts'

const FIRST_RETRY_MS = 100
const LONGEST_TRANSIENT_MS = 5_000
const FIRST_PERMANENT_MS = 1_000

export class LoginTrouble {
  readonly #clock: Clock
  #error: PgleaseError | undefined
  #attempts = 0
  /** Monotonic time before which no further login is tried. */
  nextTryMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get error(): PgleaseError | undefined {
    return this.#error
  }

  /** Clients fail at once instead of waiting. */
  get permanent(): boolean {
    return this.#error !== undefined && this.#error.class === 'permanent'
  }

  /** Milliseconds until a login may be tried, 0 = now. */
  get waitMs(): number {
    return this.#error === undefined ? 0 : Math.max(0, this.nextTryMs - this.#clock.monotonicMs())
  }

  /** `longestMs`: longest pause. Answers whether this is news: the first failure, or another cause than before. */
  failed(error: PgleaseError, longestMs: number): boolean {
    const news = this.#error === undefined || this.#error.code !== error.code
    if (news) this.#attempts = 0
    this.#error = error
    const permanent = error.class === 'permanent'
    const longest = Math.max(FIRST_RETRY_MS, permanent ? longestMs : Math.min(longestMs, LONGEST_TRANSIENT_MS))
    const wait = backoffMs(this.#clock, this.#attempts++, permanent ? FIRST_PERMANENT_MS : FIRST_RETRY_MS, longest)
    this.nextTryMs = this.#clock.monotonicMs() + wait
    return news
  }

  /** Answers whether there was trouble. */
  clear(): boolean {
    const was = this.#error !== undefined
    this.#error = undefined
    this.#attempts = 0
    return was
  }
}

/** Why a pool has no links: its logins fail, or its source has no credential. */
export class PoolTrouble {
  readonly logins: LoginTrouble
  source: Trouble | undefined

  constructor(clock: Clock) {
    this.logins = new LoginTrouble(clock)
  }

  /** For people; '' when nothing is wrong. */
  get cause(): string {
    const cause = this.logins.error ?? this.source
    return cause === undefined ? '' : errorText(cause.code, cause.detail)
  }

  /** The error for clients that need not wait: a permanent cause while no link works. `credential`: one has been proven. */
  refusal(credential: boolean): PgleaseError | undefined {
    const { error, permanent } = this.logins
    if (error !== undefined && permanent) return cachedError(error)
    const { source } = this
    return !credential && source !== undefined && ERRORS[source.code].class === 'permanent' ? cachedError(source) : undefined
  }
}

/** What a waiting client is told at once about a permanent cause: pgbouncer's text. */
function cachedError(cause: { code: ErrorCode; detail: string }): PgleaseError {
  return new PgleaseError('login_cached_error', errorText(cause.code, cause.detail))
}
