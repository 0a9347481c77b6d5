// What a client's messages ask for: their kinds for the ledger, and where a request ends.
import { ASKED } from '../wire/asked.ts'
import {
  BIND,
  CLOSE,
  COPY_DATA,
  COPY_DONE,
  COPY_FAIL,
  DESCRIBE,
  EXECUTE,
  FLUSH,
  FUNCTION_CALL,
  HEADER_LENGTH,
  PARSE,
  QUERY,
  SYNC,
  TERMINATE,
} from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import { STATEMENT } from './unnamed.ts'

export const NOT_A_MESSAGE = -1
export const NO_END = -1

/** What the ledger has to know of a message: an ASKED, ASKED.none for those without an answer, NOT_A_MESSAGE. */
export function kindOf(buffer: Buffer, position: number, type: number): number {
  const body = position + HEADER_LENGTH
  switch (type) {
    case QUERY:
      return ASKED.query
    case SYNC:
      return ASKED.sync
    case PARSE:
      return buffer[body] === 0 ? ASKED.parseUnnamed : ASKED.parse
    case BIND:
      return ASKED.bind
    case DESCRIBE:
      return ASKED.describe
    case EXECUTE:
      return ASKED.execute
    case CLOSE:
      return buffer[body] === STATEMENT && buffer[body + 1] === 0 ? ASKED.closeUnnamed : ASKED.close
    case FUNCTION_CALL:
      return ASKED.functionCall
    case COPY_DONE:
    case COPY_FAIL:
      return ASKED.copyEnd
    case COPY_DATA:
    case FLUSH:
      return ASKED.none
    default:
      return NOT_A_MESSAGE
  }
}

/** Where the first request of `buffer`, which begins at a message, ends: behind a Query, FunctionCall or Sync. */
export function endOfRequest(buffer: Buffer): number {
  let position = 0
  while (buffer.length - position >= HEADER_LENGTH) {
    const type = buffer[position]
    const length = lengthAt(buffer, position + 1)
    position += 1 + length
    if (length < 4 || position > buffer.length) return NO_END
    if (type === QUERY || type === FUNCTION_CALL || type === SYNC) return position
  }
  return NO_END
}

/** Whether a Terminate is among the messages of `buffer`, which begins at one. */
export function saysTerminate(buffer: Buffer): boolean {
  for (let position = 0; buffer.length - position >= HEADER_LENGTH; ) {
    if (buffer[position] === TERMINATE) return true
    const length = lengthAt(buffer, position + 1)
    if (length < 4) return false
    position += 1 + length
  }
  return false
}

/** Nobody is there to take it: PostgreSQL ignores it outside COPY, and there is nothing to flush. */
export const isDropped = (type: number): boolean => type === COPY_DATA || type === COPY_DONE || type === COPY_FAIL || type === FLUSH

export const isMessage = (type: number): boolean => type === TERMINATE || kindOf(NO_BODY, 0, type) !== NOT_A_MESSAGE
const NO_BODY = Buffer.alloc(HEADER_LENGTH + 2)
