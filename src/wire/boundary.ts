// Follows the messages of one direction of a stream that is passed on as it is: where one ends, so that something may be put between two.
import { HEADER_LENGTH } from './codes.ts'

/** PostgreSQL's lengths are signed. */
const LONGEST = 0x7fffffff
const SHORTEST = 4

export class MessageBoundary {
  /** The type byte of the message that came last, or began last; 0 = none has. */
  type = 0
  /** A message had a length that cannot be: nothing is known any more of what follows. */
  broken = false
  /** Bytes of the header that are there. */
  #header = 0
  #length = 0
  /** Bytes of the body that are still to come. */
  #body = 0

  /** No message is there in part. */
  get reached(): boolean {
    return this.#header === 0 && this.#body === 0
  }

  /** All of `chunk` is passed on. */
  pass(chunk: Buffer): void {
    let position = 0
    while (position < chunk.length && !this.broken) position = this.#message(chunk, position)
  }

  /** The rest of the message that is there in part is passed on; answers where it ends in `chunk`. */
  rest(chunk: Buffer): number {
    return this.reached || this.broken ? 0 : this.#message(chunk, 0)
  }

  /** Takes bytes of one message from `position` on. Answers where they end. */
  #message(chunk: Buffer, position: number): number {
    let at = position
    while (this.#body === 0 && at < chunk.length) {
      const byte = chunk[at++] as number
      if (this.#header++ === 0) {
        this.type = byte
        this.#length = 0
      } else this.#length = this.#length * 256 + byte
      if (this.#header < HEADER_LENGTH) continue
      this.#header = 0
      this.#body = this.#length - SHORTEST
      this.broken = this.#length < SHORTEST || this.#length > LONGEST
      if (this.broken || this.#body === 0) return at
    }
    const taken = Math.min(this.#body, chunk.length - at)
    this.#body -= taken
    return at + taken
  }
}
