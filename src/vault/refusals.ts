// The account of credentials that PostgreSQL refused: each counts once, and the pause before the next lease grows with every one.
import { backoffMs, type Clock } from '../clock.ts'

/** A credential that served this long was good: its refusal begins a new episode. */
const EPISODE_MS = 60_000
const FIRST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 60_000

export class Refusals {
  readonly #clock: Clock
  readonly #refused = new Set<number>()
  #episode = 0
  #provenMs = 0
  #pauseUntilMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds until the next credential may be leased; 0 or less = now. */
  get pauseLeftMs(): number {
    return this.#pauseUntilMs - this.#clock.monotonicMs()
  }

  has(generation: number): boolean {
    return this.#refused.has(generation)
  }

  /** PostgreSQL has accepted a new credential. */
  proven(): void {
    this.#provenMs = this.#clock.monotonicMs()
  }

  /** Answers the pause before the next lease, in milliseconds. `served`: there was a login with it before. */
  add(generation: number, served: boolean): number {
    this.#refused.add(generation)
    const now = this.#clock.monotonicMs()
    if (served && now - this.#provenMs > EPISODE_MS) this.#episode = 0
    const pause = this.#episode === 0 ? 0 : backoffMs(this.#clock, this.#episode - 1, FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
    this.#episode++
    this.#pauseUntilMs = now + pause
    return pause
  }

  forget(generation: number): void {
    this.#refused.delete(generation)
  }
}
