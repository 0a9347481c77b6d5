// Whether the link that listens still hears: a server that is silent, or no longer what was asked for, notifies nobody.
import type { ListeningLink } from './listening_link.ts'
import type { PoolLink } from './pool_link.ts'

/** A link that is silent is asked as often, and is lost when it has not answered by the next time. */
export const CHECK_MS = 30_000

export class ListeningCheck<L extends PoolLink> {
  #askedMs = 0
  #unanswered = false

  /** A link listens from now on. */
  begin(nowMs: number): void {
    this.#askedMs = nowMs
    this.#unanswered = false
  }

  /** Called at each tick. Why `current` must be given up; undefined = nothing is known against it. */
  tick(current: ListeningLink<L>, nowMs: number): 'host_unfit' | 'check_failed' | undefined {
    const { link } = current
    if ((link.moved && !link.overdue) || link.facts.fit?.unfit === true) return 'host_unfit'
    if (nowMs - this.#askedMs < CHECK_MS) return undefined
    if (this.#unanswered) return 'check_failed'
    this.#askedMs = nowMs
    this.#unanswered = true
    current.sync(() => {
      this.#unanswered = false
    })
    return undefined
  }
}
