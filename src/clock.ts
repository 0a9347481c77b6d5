// The only place that knows the time, timers and chance; everything else is handed a Clock.

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds that only grow; stands still while the machine sleeps on some systems. */
  monotonicMs(): number
  /** Milliseconds since 1970; may jump. */
  wallMs(): number
  /** Uniform in [0, 1). Never for keys or secrets. */
  random(): number
  /** Runs `task` once after `delayMs` (0 to 2^31-1; longer delays are cut there). */
  after(delayMs: number, task: () => void): Timer
}

const LONGEST_TIMER_MS = 2 ** 31 - 1

class SystemTimer implements Timer {
  readonly #handle: ReturnType<typeof setTimeout>
  constructor(delayMs: number, task: () => void) {
    this.#handle = setTimeout(task, Math.min(Math.max(0, delayMs), LONGEST_TIMER_MS))
  }
  cancel(): void {
    clearTimeout(this.#handle)
  }
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  random: () => Math.random(),
  after: (delayMs, task) => new SystemTimer(delayMs, task),
}

/** Resolves after `delayMs`, or at once (without an error) when `signal` aborts. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      timer.cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.after(delayMs, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** Exponential backoff: `firstMs` doubled `attempt` times (from 0), at most `maxMs`, minus up to a quarter by chance. */
export function backoffMs(clock: Clock, attempt: number, firstMs: number, maxMs: number): number {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30))
  return full - full * 0.25 * clock.random()
}
