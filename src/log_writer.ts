// Writes lines to a file descriptor without ever blocking: a reader that stalls must not stall the data path.
import { write as writeAsync, writeSync } from 'node:fs'

const MOST_WAITING_BYTES = 1024 * 1024
const AGAIN_AFTER_MS = 20

interface Pauses {
  after(delayMs: number, task: () => void): unknown
}

/**
 * Writes lines to a file descriptor from another thread: a reader that stalls must not stall the data path. Beyond 1 MB
 * waiting, lines are dropped, and `onDropped` gets their number once there is room again.
 */
export class LineWriter {
  readonly #descriptor: number
  readonly #clock: Pauses
  readonly #onDropped: (count: number) => void
  #waiting: string[] = []
  #waitingBytes = 0
  #underWay: Buffer | undefined
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
    if (!this.#underWay) this.#next()
  }

  /** Resolves when everything written so far has been taken, or dropped because nobody reads any more. */
  flush(): Promise<void> {
    if (!this.#underWay) return Promise.resolve()
    return new Promise((resolve) => this.#flushed.push(resolve))
  }

  /** For the last words of a process: writes what waits, without giving way. What is under way may be written twice, never lost. */
  flushSync(): void {
    const rest = Buffer.concat([this.#underWay ?? Buffer.alloc(0), Buffer.from(this.#waiting.join(''))])
    this.#waiting = []
    this.#waitingBytes = 0
    try {
      for (let at = 0; at < rest.length; ) at += writeSync(this.#descriptor, rest, at)
    } catch {
      // a full or closed pipe at the very end: there is nobody left to tell
    }
  }

  #next(): void {
    if (this.#waiting.length === 0) {
      for (const resolve of this.#flushed.splice(0)) resolve()
      return
    }
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
    this.#underWay = bytes
    writeAsync(this.#descriptor, bytes, (error, taken) => {
      if (error?.code === 'EAGAIN') this.#clock.after(AGAIN_AFTER_MS, () => this.#send(bytes))
      else if (!error && taken < bytes.length) this.#send(bytes.subarray(taken))
      else {
        this.#underWay = undefined
        this.#next()
      }
    })
  }
}
