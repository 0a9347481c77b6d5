// When a source reads its next credential: one read at a time, at once, spread among the others, or after the pause that refusals call for.
import type { Clock } from '../clock.ts'
import { Wakeable, waitForAny } from './wake.ts'

interface ReadTurnsHost {
  /** Milliseconds in which no read may begin. */
  pauseLeftMs(): number
  read(): Promise<void>
  /** The read has ended: what called for another meanwhile was not heard. */
  over(): void
}

export class ReadTurns {
  readonly #clock: Clock
  readonly #host: ReadTurnsHost
  readonly #wake = new Wakeable()
  #turn: Promise<void> | undefined
  #closed = false

  constructor(clock: Clock, host: ReadTurnsHost) {
    this.#clock = clock
    this.#host = host
  }

  /** A read is under way, or waits for its time. */
  get running(): boolean {
    return this.#turn !== undefined
  }

  /** A read within `spreadMs`; while one is under way, a request without spread only ends its waiting. */
  request(spreadMs: number): void {
    if (this.#closed) return
    if (this.#turn !== undefined) {
      if (spreadMs === 0) this.#wake.wake()
      return
    }
    this.#turn = this.#take(spreadMs).finally(() => {
      this.#turn = undefined
      this.#host.over()
    })
  }

  /** Resolves when no read is under way. */
  async idle(): Promise<void> {
    await this.#turn
  }

  /** None begins any more. */
  close(): void {
    this.#closed = true
    this.#wake.wake()
  }

  async #take(spreadMs: number): Promise<void> {
    if (spreadMs > 0) await waitForAny(this.#clock, [this.#wake], spreadMs)
    while (this.#host.pauseLeftMs() > 0 && !this.#closed) await waitForAny(this.#clock, [this.#wake], this.#host.pauseLeftMs())
    if (!this.#closed) await this.#host.read()
  }
}
