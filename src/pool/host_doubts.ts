// When a server turns out not to be what was asked for any more, its other links are asked too.
import type { Clock } from '../clock.ts'
import type { LinkLists } from './link_lists.ts'
import type { PoolLink } from './pool_link.ts'

/** All links of a host are asked at most this often: a client that sets its session read-only looks the same. */
const BETWEEN_MS = 1_000

export class HostDoubts<L extends PoolLink> {
  readonly #lists: LinkLists<L>
  readonly #clock: Clock
  #nextMs = 0

  constructor(lists: LinkLists<L>, clock: Clock) {
    this.#lists = lists
    this.#clock = clock
  }

  /** The server of `link` does not fit: `ask` is called with its idle links; busy ones are marked for when they settle. */
  spread(link: L, ask: (link: L) => void): void {
    const { fit } = link.facts
    const nowMs = this.#clock.monotonicMs()
    if (fit === undefined || nowMs < this.#nextMs) return
    this.#nextMs = nowMs + BETWEEN_MS
    for (const other of this.#lists.all()) {
      if (other !== link && other.facts.fit?.host === fit.host) other.facts.fit.doubted = true
    }
    for (const idle of this.#lists.idle()) if (idle.facts.fit?.doubted === true) ask(idle)
  }
}
