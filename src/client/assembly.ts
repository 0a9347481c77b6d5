// Puts the pieces of rewritten messages together, so that they go out with their neighbours in one write.

/** All of this happens within one turn: one buffer serves everyone. */
const ROOM = 64 * 1024
const scratch = Buffer.allocUnsafeSlow(ROOM)

export class Assembly {
  size = 0
  readonly #write: (bytes: Buffer) => void

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  /** Appends `source` from `start` to `end`; what does not fit is written. */
  add(source: Buffer, start: number, end: number): void {
    if (start >= end) return
    if (end - start > ROOM - this.size) this.flush()
    if (end - start > ROOM) return this.#write(source.subarray(start, end))
    source.copy(scratch, this.size, start, end)
    this.size += end - start
  }

  addAll(source: Buffer): void {
    this.add(source, 0, source.length)
  }

  /** The header of a message of `type` that is `length` long by its own count. */
  addHeader(type: number, length: number): void {
    if (ROOM - this.size < 5) this.flush()
    scratch[this.size] = type
    scratch.writeUInt32BE(length, this.size + 1)
    this.size += 5
  }

  flush(): void {
    if (this.size === 0) return
    const size = this.size
    this.size = 0
    // a copy: what is written may still wait to be sent
    this.#write(Buffer.from(scratch.subarray(0, size)))
  }
}
