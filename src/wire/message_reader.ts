// Cuts a byte stream into whole messages of bounded length: for logins and our own queries, never for the data path.
import { HEADER_LENGTH } from './codes.ts'

type ReadMessage =
  | { readonly kind: 'need_more' }
  /** `whole` includes the header; both are views of memory that is not reused. */
  | { readonly kind: 'message'; readonly type: number; readonly body: Buffer; readonly whole: Buffer }
  | { readonly kind: 'invalid'; readonly detail: string }

/** Bytes go in with push, messages come out with next. A length above the limit is refused from its header alone. */
export class MessageReader {
  #limit: number
  #chunks: Buffer[] = []
  #size = 0

  /** `limit`: longest message after its type byte, in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  set limit(limit: number) {
    this.#limit = limit
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
  }

  /** Bytes that are not yet part of a returned message. */
  get pending(): number {
    return this.#size
  }

  next(): ReadMessage {
    if (this.#size < HEADER_LENGTH) return { kind: 'need_more' }
    const header = this.#gather(HEADER_LENGTH)
    const length = header.readUInt32BE(1)
    if (length < 4) return { kind: 'invalid', detail: `a message of length ${length}` }
    if (length > this.#limit) return { kind: 'invalid', detail: `a message of ${length} bytes, more than ${this.#limit}` }
    if (this.#size < length + 1) return { kind: 'need_more' }
    const first = this.#gather(length + 1)
    const whole = first.subarray(0, length + 1)
    const rest = first.subarray(length + 1)
    if (rest.length > 0) this.#chunks[0] = rest
    else this.#chunks.shift()
    this.#size -= whole.length
    return { kind: 'message', type: whole[0] ?? 0, body: whole.subarray(HEADER_LENGTH), whole }
  }

  /** The first chunk, made at least `wanted` bytes long; that many are there. */
  #gather(wanted: number): Buffer {
    let first = this.#chunks[0] ?? Buffer.alloc(0)
    if (first.length < wanted) {
      first = Buffer.concat(this.#chunks, this.#size)
      this.#chunks = [first]
    }
    return first
  }
}
