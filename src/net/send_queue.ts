// Bytes that the kernel did not take yet, in order: large pieces as they are, small ones packed together.

const BLOCK_BYTES = 16 * 1024
const NO_BYTES = Buffer.alloc(0)

/** A queue of bytes. What it is given must not be changed any more. */
export class SendQueue {
  #blocks: Buffer[] = []
  /** Where the bytes of the first block begin and of the last block end. */
  #start = 0
  #end = 0
  length = 0

  /** Takes `bytes` from `offset` on. */
  append(bytes: Uint8Array, offset: number): void {
    const rest = bytes.length - offset
    this.length += rest
    if (rest >= BLOCK_BYTES) return this.#keep(bytes, offset)
    let from = offset
    const last = this.#blocks[this.#blocks.length - 1]
    if (last !== undefined) {
      const taken = Math.min(last.length - this.#end, rest)
      last.set(bytes.subarray(from, from + taken), this.#end)
      this.#end += taken
      from += taken
    }
    if (from === bytes.length) return
    const block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
    block.set(bytes.subarray(from), 0)
    this.#blocks.push(block)
    this.#end = bytes.length - from
  }

  #keep(bytes: Uint8Array, offset: number): void {
    const last = this.#blocks.length - 1
    if (last >= 0) this.#blocks[last] = (this.#blocks[last] as Buffer).subarray(0, this.#end)
    this.#blocks.push(Buffer.from(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset))
    this.#end = bytes.length - offset
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
