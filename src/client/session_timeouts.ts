// Ends sessions that run, wait or rest for longer than they may: all of them are looked at now and then, so that a request costs no timer.
import type { Clock } from '../clock.ts'
import { type CloseReason, type ErrorCode, PgleaseError } from '../errors.ts'
import { STATUS_IDLE } from '../wire/codes.ts'
import type { Registry } from './registry.ts'
import type { Session } from './session.ts'

/** Milliseconds, 0 = no limit. */
export interface TimeoutSettings {
  readonly query_timeout: number
  readonly transaction_timeout: number
  readonly idle_transaction_timeout: number
  readonly client_idle_timeout: number
}

/** What is read of a session. */
type Timed = Pick<Session, 'state' | 'waitingSinceMs' | 'times' | 'link'>

interface Expiry {
  readonly code: ErrorCode
  readonly reason: CloseReason
}

/** The sessions are looked at this many times within the shortest timeout, but not more than once a second. */
const LOOKS = 8
const LONGEST_PAUSE_MS = 1_000

const WAITED: Expiry = { code: 'query_timeout_waiting', reason: 'query_timeout' }
const RAN: Expiry = { code: 'query_timeout', reason: 'query_timeout' }
const TRANSACTION: Expiry = { code: 'transaction_timeout', reason: 'transaction_timeout' }
const TRANSACTION_IDLE: Expiry = { code: 'idle_transaction_timeout', reason: 'idle_transaction_timeout' }
const IDLE: Expiry = { code: 'client_idle_timeout', reason: 'client_idle_timeout' }

const over = (nowMs: number, sinceMs: number, limitMs: number): boolean => limitMs > 0 && nowMs - sinceMs > limitMs

/** The timeout that `session` has exceeded, as pgbouncer counts them, or undefined. */
export function expiryOf({ state, waitingSinceMs, times, link }: Timed, settings: TimeoutSettings, nowMs: number): Expiry | undefined {
  if (state === 'idle') {
    return over(nowMs, Math.max(times.heardMs, times.answeredMs), settings.client_idle_timeout) ? IDLE : undefined
  }
  if (state === 'waiting') return over(nowMs, waitingSinceMs, settings.query_timeout) ? WAITED : undefined
  if (link === null || state === 'closed') return undefined
  const { ledger } = link
  // its requests are answered, and it has the link because of its transaction (or of a statement that is too long to be kept)
  if (ledger.quiet && ledger.atBoundary && state === 'active') {
    const restsSinceMs = Math.max(times.heardMs, times.answeredMs)
    if (ledger.status === STATUS_IDLE) return over(nowMs, restsSinceMs, settings.client_idle_timeout) ? IDLE : undefined
    if (over(nowMs, restsSinceMs, settings.idle_transaction_timeout)) return TRANSACTION_IDLE
  } else if (over(nowMs, times.heardMs, settings.query_timeout)) return RAN
  const { transactionSinceMs } = times
  return transactionSinceMs > 0 && over(nowMs, transactionSinceMs, settings.transaction_timeout) ? TRANSACTION : undefined
}

/** Milliseconds between two looks at the sessions; undefined when no timeout is set anywhere. */
export function lookEveryMs(all: Iterable<TimeoutSettings>): number | undefined {
  let shortest = Number.POSITIVE_INFINITY
  for (const settings of all) {
    const { query_timeout, transaction_timeout, idle_transaction_timeout, client_idle_timeout } = settings
    for (const limit of [query_timeout, transaction_timeout, idle_transaction_timeout, client_idle_timeout]) {
      if (limit > 0 && limit < shortest) shortest = limit
    }
  }
  return shortest === Number.POSITIVE_INFINITY ? undefined : Math.min(LONGEST_PAUSE_MS, shortest / LOOKS)
}

export class SessionTimeouts {
  readonly #clock: Clock
  readonly #registry: Registry
  readonly #settings: ReadonlyMap<string, TimeoutSettings>
  readonly #everyMs: number | undefined
  #nextMs = 0

  /** `settings` of each database by its name. */
  constructor(clock: Clock, registry: Registry, settings: ReadonlyMap<string, TimeoutSettings>) {
    this.#clock = clock
    this.#registry = registry
    this.#settings = settings
    this.#everyMs = lookEveryMs(settings.values())
  }

  /** Called some times a second; looks at the sessions when it is time to. */
  tick(): void {
    if (this.#everyMs === undefined) return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.#nextMs) return
    this.#nextMs = nowMs + this.#everyMs
    for (const session of this.#registry.sessions()) {
      const settings = this.#settings.get(session.parts.database)
      const expiry = settings && expiryOf(session, settings, nowMs)
      if (expiry !== undefined) session.fail(new PgleaseError(expiry.code), expiry.reason)
    }
  }
}
