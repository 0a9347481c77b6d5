// A refusal on a link whose lease is over, kept from the client until the link has been asked whether its role still exists.
import { HEADER_LENGTH } from '../wire/codes.ts'
import { parseFields } from '../wire/reply.ts'

/** Fails with ROLE_GONE when the role was dropped; an answer shows that the refusal was the query's own. */
export const ROLE_TEST = 'select session_user'
export const ROLE_GONE = '42704'
const INSUFFICIENT_PRIVILEGE = '42501'

export class HeldRefusal {
  readonly #messages: Buffer[] = []

  /** Of the ErrorResponse between `start` and `end`; null when it cannot mean that the role is gone. */
  static of(buffer: Buffer, start: number, end: number): HeldRefusal | null {
    const { sqlstate } = parseFields(buffer, start + HEADER_LENGTH, end)
    if (sqlstate !== ROLE_GONE && sqlstate !== INSUFFICIENT_PRIVILEGE) return null
    const held = new HeldRefusal()
    held.end(buffer, start, end)
    return held
  }

  /** Its ReadyForQuery, which is copied as the error was: the chunk may be gone when the server has answered. */
  end(buffer: Buffer, start: number, end: number): void {
    this.#messages.push(Buffer.from(buffer.subarray(start, end)))
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#messages)
  }
}
