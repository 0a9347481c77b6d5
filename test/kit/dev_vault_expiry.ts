// Time in the stand-in Vault: what must happen at the end of a token or a lease, and nothing of it while the server stands still.

/** Node's timers hold no more; longer ends are approached in steps. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** A door that is open unless someone closed it: frozen, sealed. */
export class Gate {
  #opened: Promise<void> | undefined
  #open: () => void = () => undefined

  get closed(): boolean {
    return this.#opened !== undefined
  }

  close(): void {
    if (this.#opened) return
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  open(): void {
    this.#opened = undefined
    this.#open()
  }

  async passed(): Promise<void> {
    while (this.#opened) await this.#opened
  }
}

export class Expiry {
  readonly #gates: readonly Gate[]
  readonly #timers = new Map<object, ReturnType<typeof setTimeout>>()
  #stopped = false

  constructor(gates: readonly Gate[]) {
    this.#gates = gates
  }

  /** Runs `task` at `atMs` (of the wall clock), or when all gates are open after it. A new time for the same `thing` replaces the old. */
  at(thing: object, atMs: number, task: () => void): void {
    this.cancel(thing)
    if (this.#stopped) return
    const left = atMs - Date.now()
    const next = left > LONGEST_TIMER_MS ? () => this.at(thing, atMs, task) : () => void this.#due(thing, timer, task)
    const timer = setTimeout(next, Math.min(LONGEST_TIMER_MS, Math.max(0, left)))
    this.#timers.set(thing, timer)
  }

  cancel(thing: object): void {
    clearTimeout(this.#timers.get(thing))
    this.#timers.delete(thing)
  }

  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  async #due(thing: object, timer: ReturnType<typeof setTimeout>, task: () => void): Promise<void> {
    while (this.#gates.some((gate) => gate.closed)) for (const gate of this.#gates) await gate.passed()
    if (this.#stopped || this.#timers.get(thing) !== timer) return
    this.#timers.delete(thing)
    task()
  }
}
