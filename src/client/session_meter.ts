// What is counted and timed of a session: bytes, waits, and how long its requests and transactions took.
import type { Clock } from '../clock.ts'
import type { ErrorCode } from '../errors.ts'
import { STATUS_IDLE } from '../wire/codes.ts'
import type { Ledger } from '../wire/ledger.ts'

/** What the data path counts; plain numbers underneath. */
export interface SessionMeter {
  received(bytes: number): void
  sent(bytes: number): void
  waited(ms: number): void
  queried(ms: number): void
  transacted(ms: number): void
  /** A notification came for it. */
  notified(): void
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
  /** When the client was last heard while nothing kept it waiting. */
  heardMs: number
  /** When the transaction that runs began, a pipelined one after the answer to the one before; 0 = none runs. */
  transactionSinceMs = 0

  constructor(clock: Clock, meter: SessionMeter) {
    this.#clock = clock
    this.#meter = meter
    this.heardMs = clock.monotonicMs()
  }

  /** When the request came; now, if nothing was noted of it because it was kept. */
  get requestedMs(): number {
    return this.#requestMs === 0 ? this.#clock.monotonicMs() : this.#requestMs
  }

  /** A request is there, or more of it: with the first look at it its time begins. */
  requested(): void {
    this.heardMs = this.#clock.monotonicMs()
    if (this.#requestMs === 0) this.#requestMs = this.heardMs
  }

  /** The wait for a link that began at `sinceMs` is over: requests and transactions are timed without it. */
  waited(sinceMs: number): void {
    const now = this.#clock.monotonicMs()
    this.#meter.waited(now - sinceMs)
    if (this.#requestMs > 0) this.#requestMs = now
  }

  /** A link carries out the request, the first of its transaction perhaps. */
  began(): void {
    if (this.#requestMs === 0) this.requested()
    if (this.#transactionMs === 0) this.#transactionMs = this.#requestMs
    if (this.transactionSinceMs === 0) this.transactionSinceMs = this.#transactionMs
  }

  /** The server has answered something: all that was requested, or a pipelined transaction behind which the next one runs already. */
  progressed({ owed, atBoundary, status }: Ledger): void {
    if (owed === 0 && atBoundary) this.answered(status === STATUS_IDLE)
    else if (status === STATUS_IDLE) this.transactionSinceMs = this.#clock.monotonicMs()
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
    this.transactionSinceMs = 0
  }
}
