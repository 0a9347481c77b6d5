// Waiting that ends after a time or when someone says that something changed.
import type { Clock } from '../clock.ts'

export class Wakeable {
  readonly #waiting = new Set<() => void>()

  wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  /** Calls `done` at each `wake` until it is removed. */
  add(done: () => void): void {
    this.#waiting.add(done)
  }

  remove(done: () => void): void {
    this.#waiting.delete(done)
  }
}

/** Resolves at the next `wake` of any of `wakeables`, or after `longestMs`; leaves nothing behind in the others. */
export function waitForAny(clock: Clock, wakeables: readonly Wakeable[], longestMs?: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer?.cancel()
      for (const each of wakeables) each.remove(done)
      resolve()
    }
    // whole milliseconds, rounded up: what was due a fraction later would only be waited for again
    const timer = longestMs === undefined ? undefined : clock.after(Math.ceil(longestMs), done)
    for (const each of wakeables) each.add(done)
  })
}
