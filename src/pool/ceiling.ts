// How many links the server lets the pool have, when that turns out to be fewer than the pool's own limit.
import type { Clock } from '../clock.ts'

/** After this the server is asked again whether there is room for more. */
const REMEMBERED_MS = 5_000

export class Ceiling {
  readonly #clock: Clock
  #links = Number.POSITIVE_INFINITY
  #untilMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The server refused one more while the pool had `links`. */
  reached(links: number): void {
    this.#links = links
    this.#untilMs = this.#clock.monotonicMs() + REMEMBERED_MS
  }

  get links(): number {
    return this.#clock.monotonicMs() < this.#untilMs ? this.#links : Number.POSITIVE_INFINITY
  }
}
