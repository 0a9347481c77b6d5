// Writes lines to a file descriptor without ever blocking: a reader that stalls must not stall the data path.
import { write as writeAsync } from 'node:fs'

const MOST_WAITING_BYTES = 1024 * 1024
const AGAIN_AFTER_MS = 20
/** After a write lines are gathered for so long: a write wakes another thread, which costs more than its lines. */
const GATHER_MS = 25

interface Pauses {
  after(delayMs: number, task: () => void): { cancel(): void }
}

/** idle: nothing waits; writing: the system has a write of ours; gathering: lines wait for the next one. */
type WriterState = 'idle' | 'writing' | 'gathering'

/**
 * Writes lines to a file descriptor from another thread. Beyond 1 MB waiting, lines are dropped, and `onDropped` gets their number
 * once there is room again.
 */
export class LineWriter {
  readonly #descriptor: number
  readonly #clock: Pauses
  readonly #onDropped: (count: number) => void
  #state: WriterState = 'idle'
  #waiting: string[] = []
  #waitingBytes = 0
  #rest: { cancel(): void } | undefined
  #dropped = 0
  #flushed: (() => void)[] = []

  constructor(descriptor: number, clock: Pauses, onDropped: (count: number) => void = () => {}) {
    this.#descriptor = descriptor
    this.#clock = clock
    this.#onDropped = onDropped
  }

  /** Takes one line with its newline. */
  write(line: string): void {
    if (this.#waitingBytes + line.length > MOST_WAITING_BYTES) {
      this.#dropped++
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    if (this.#state === 'idle') this.#next()
  }

  /** Resolves when everything written so far has been taken, or dropped because nobody reads any more. */
  flush(): Promise<void> {
    if (this.#state === 'gathering') this.#next()
    if (this.#state === 'idle') return Promise.resolve()
    return new Promise((resolve) => this.#flushed.push(resolve))
  }

  /** Writes what waits. */
  #next(): void {
    this.#rest?.cancel()
    this.#rest = undefined
    if (this.#waiting.length === 0) {
      this.#state = 'idle'
      return
    }
    this.#state = 'writing'
    const bytes = Buffer.from(this.#waiting.join(''))
    this.#waiting = []
    this.#waitingBytes = 0
    this.#send(bytes)
    if (this.#dropped === 0) return
    const dropped = this.#dropped
    this.#dropped = 0
    this.#onDropped(dropped)
  }

  #send(bytes: Buffer): void {
    writeAsync(this.#descriptor, bytes, (error, taken) => {
      if (error?.code === 'EAGAIN') this.#clock.after(AGAIN_AFTER_MS, () => this.#send(bytes))
      else if (!error && taken < bytes.length) this.#send(bytes.subarray(taken))
      else this.#written()
    })
  }

  #written(): void {
    if (this.#flushed.length > 0 && this.#waiting.length > 0) return this.#next()
    for (const resolve of this.#flushed.splice(0)) resolve()
    this.#state = 'gathering'
    this.#rest = this.#clock.after(GATHER_MS, () => this.#next())
  }
}
