// Bytes that the kernel did not take yet: copied, in order, small ones packed together.

const BLOCK_BYTES = 16 * 1024
const NO_BYTES = Buffer.alloc(0)

/** A queue of bytes. Holds copies: a caller's memory is its own again when `append` returns. */
export class SendQueue {
  #blocks: Buffer[] = []
  /** Where the bytes of the first block begin and of the last block end. */
  #start = 0
  #end = 0
  length = 0

  /** Copies `bytes` from `offset` on. */
  append(bytes: Uint8Array, offset: number): void {
    let from = offset
    const total = bytes.length - offset
    const last = this.#blocks[this.#blocks.length - 1]
    if (last !== undefined) {
      const taken = Math.min(last.length - this.#end, total)
      last.set(bytes.subarray(from, from + taken), this.#end)
      this.#end += taken
      from += taken
    }
    if (from < bytes.length) {
      const rest = bytes.length - from
      const block = Buffer.allocUnsafeSlow(Math.max(rest, BLOCK_BYTES))
      block.set(from === 0 ? bytes : bytes.subarray(from), 0)
      this.#blocks.push(block)
      this.#end = rest
    }
    this.length += total
  }

  /** The first contiguous run, empty when there is none. Valid until the next call of any method. */
  head(): Buffer {
    const first = this.#blocks[0]
    if (first === undefined) return NO_BYTES
    return first.subarray(this.#start, this.#blocks.length === 1 ? this.#end : first.length)
  }

  /** Drops the first `count` bytes, at most those of `head()`. */
  consume(count: number): void {
    const first = this.#blocks[0]
    if (first === undefined) return
    this.length -= count
    this.#start += count
    if (this.#start === (this.#blocks.length === 1 ? this.#end : first.length)) {
      this.#blocks.shift()
      this.#start = 0
      if (this.#blocks.length === 0) this.#end = 0
    }
  }

  clear(): void {
    this.#blocks = []
    this.#start = 0
    this.#end = 0
    this.length = 0
  }
}
