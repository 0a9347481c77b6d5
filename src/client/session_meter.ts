// What is counted and timed of a session: bytes, waits, and how long its requests and transactions took.
import type { Clock } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'

/** What the data path counts; plain numbers underneath. */
export interface SessionMeter {
  received(bytes: number): void
  sent(bytes: number): void
  waited(ms: number): void
  queried(ms: number): void
  transacted(ms: number): void
  clientError(code: ErrorCode): void
}

/** Times one request and one transaction after another. */
export class SessionTimes {
  readonly #clock: Clock
  readonly #meter: SessionMeter
  #requestMs = 0
  #transactionMs = 0
  /** When the last request was answered. */
  answeredMs = 0

  constructor(clock: Clock, meter: SessionMeter) {
    this.#clock = clock
    this.#meter = meter
  }

  /** When the request came; now, if nothing was noted of it because it was kept. */
  get requestedMs(): number {
    return this.#requestMs === 0 ? this.#clock.monotonicMs() : this.#requestMs
  }

  /** A request is there: with the first look at it its time begins. */
  requested(): void {
    if (this.#requestMs === 0) this.#requestMs = this.#clock.monotonicMs()
  }

  /** The wait for a link that began at `sinceMs` is over: requests and transactions are timed without it. */
  waited(sinceMs: number): void {
    const now = this.#clock.monotonicMs()
    this.#meter.waited(now - sinceMs)
    if (this.#requestMs > 0) this.#requestMs = now
  }

  /** A link carries out the request, the first of its transaction perhaps. */
  began(): void {
    this.requested()
    if (this.#transactionMs === 0) this.#transactionMs = this.#requestMs
  }

  /** All that was requested is answered. */
  answered(transactionOver: boolean): void {
    const now = this.#clock.monotonicMs()
    this.answeredMs = now
    if (this.#requestMs > 0) this.#meter.queried(now - this.#requestMs)
    this.#requestMs = 0
    if (!transactionOver) return
    if (this.#transactionMs > 0) this.#meter.transacted(now - this.#transactionMs)
    this.#transactionMs = 0
  }
}
