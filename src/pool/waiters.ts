// The queue of clients that wait for a link: oldest first, each may leave at any time.
import type { PgleaseError } from '../errors.ts'

/** A client, as the pool sees it. */
export interface Waiter<L> {
  /** Set by the pool when the wait begins. */
  waitingSinceMs: number
  /** The pool's notice has been sent. */
  noticed: boolean
  linkReady(link: L): void
  /** The wait is over without a link. */
  linkRefused(error: PgleaseError): void
  /** Still waiting after query_wait_notify. */
  stillWaiting(): void
}

export class Waiters<L> {
  readonly #queue = new Set<Waiter<L>>()

  get size(): number {
    return this.#queue.size
  }

  add(waiter: Waiter<L>, nowMs: number): void {
    waiter.waitingSinceMs = nowMs
    waiter.noticed = false
    this.#queue.add(waiter)
  }

  remove(waiter: Waiter<L>): boolean {
    return this.#queue.delete(waiter)
  }

  /** Takes the oldest out. */
  shift(): Waiter<L> | undefined {
    if (this.#queue.size === 0) return undefined
    for (const waiter of this.#queue) {
      this.#queue.delete(waiter)
      return waiter
    }
    return undefined
  }

  oldest(): Waiter<L> | undefined {
    for (const waiter of this.#queue) return waiter
    return undefined
  }

  takeAll(): Waiter<L>[] {
    const all = [...this.#queue]
    this.#queue.clear()
    return all
  }

  /** Ends the waits that are over `timeoutMs` (0 = never) and notifies those over `notifyMs` (0 = never). */
  tick(nowMs: number, timeoutMs: number, notifyMs: number, timeout: () => PgleaseError): void {
    for (const waiter of this.#queue) {
      const waited = nowMs - waiter.waitingSinceMs
      if (timeoutMs > 0 && waited >= timeoutMs) {
        this.#queue.delete(waiter)
        waiter.linkRefused(timeout())
      } else if (notifyMs > 0 && waited >= notifyMs && !waiter.noticed) {
        waiter.noticed = true
        waiter.stillWaiting()
      } else if (waited < notifyMs || notifyMs === 0) {
        // younger ones follow: only the timeout could still concern them, and they are younger
        if (timeoutMs === 0 || waited < timeoutMs) break
      }
    }
  }
}
