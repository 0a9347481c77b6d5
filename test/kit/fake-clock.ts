// A clock that stands still until a test moves it.
import type { Clock, Timer } from '../../src/clock.ts'

interface Entry {
  at: number
  order: number
  task: () => void
}

export class FakeClock implements Clock {
  /** What `random` answers. */
  nextRandom = 0
  #monotonic = 1_000
  #wall = Date.UTC(2025, 0, 1)
  #order = 0
  readonly #timers = new Set<Entry>()

  monotonicMs(): number {
    return this.#monotonic
  }

  wallMs(): number {
    return this.#wall
  }

  random(): number {
    return this.nextRandom
  }

  after(delayMs: number, task: () => void): Timer {
    const entry = { at: this.#monotonic + Math.max(0, delayMs), order: this.#order++, task }
    this.#timers.add(entry)
    return { cancel: () => void this.#timers.delete(entry) }
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size
  }

  /** Milliseconds to the next timer; undefined when none waits. */
  get nextInMs(): number | undefined {
    const next = this.#next()
    return next && next.at - this.#monotonic
  }

  /** Moves both clocks on by `ms` and runs what is due, in order, each at its own time. */
  advance(ms: number): void {
    const until = this.#monotonic + ms
    for (let next = this.#next(); next && next.at <= until; next = this.#next()) this.#fire(next)
    this.#moveTo(until)
  }

  /** Like `advance`, but lets promises settle before, between and after the timers. */
  async run(ms: number): Promise<void> {
    const until = this.#monotonic + ms
    await settle()
    for (let next = this.#next(); next && next.at <= until; next = this.#next()) {
      this.#fire(next)
      await settle()
    }
    this.#moveTo(until)
    await settle()
  }

  /** The wall clock jumps (NTP, an operator); the monotonic one does not. */
  jumpWall(ms: number): void {
    this.#wall += ms
  }

  #next(): Entry | undefined {
    let first: Entry | undefined
    for (const entry of this.#timers) {
      if (!first || entry.at < first.at || (entry.at === first.at && entry.order < first.order)) first = entry
    }
    return first
  }

  #fire(entry: Entry): void {
    this.#timers.delete(entry)
    this.#moveTo(entry.at)
    entry.task()
  }

  #moveTo(at: number): void {
    this.#wall += Math.max(0, at - this.#monotonic)
    this.#monotonic = Math.max(this.#monotonic, at)
  }
}

/** Lets everything run that needs no timer of the fake clock. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
