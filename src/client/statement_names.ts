// The statement's name in a Parse, Bind, Describe or Close: whether there is one, where, and another in its place.
import { ASKED } from '../wire/asked.ts'
import { BIND, DESCRIBE, HEADER_LENGTH, PARSE } from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import type { Ledger } from '../wire/ledger.ts'
import type { Assembly } from './assembly.ts'
import { STATEMENT } from './unnamed.ts'

/** In a Describe or Close. */
const PORTAL = 0x50

/** Whether a message of `kind` (an ASKED) names a statement other than the unnamed one. */
export function usesName(kind: number, buffer: Buffer, body: number): boolean {
  if (kind === ASKED.parse) return true
  if (kind === ASKED.describe || kind === ASKED.close) return buffer[body] === STATEMENT && buffer[body + 1] !== 0
  if (kind !== ASKED.bind) return false
  const portalEnd = buffer[body] === 0 ? body : buffer.indexOf(0, body)
  return portalEnd >= 0 && portalEnd + 1 < buffer.length && buffer[portalEnd + 1] !== 0
}

/** The message goes out unchanged; answers from where on. */
export function asIs(ledger: Ledger, kind: number, position: number): number {
  ledger.asked(kind)
  return position
}

/** Where the name of the statement begins. */
export function nameAt(buffer: Buffer, position: number): number {
  const body = position + HEADER_LENGTH
  const type = buffer[position]
  if (type === PARSE) return body
  return type === BIND ? buffer.indexOf(0, body) + 1 : body + 1
}

/** Puts the begin of the message into `out`, up to and with the statement's name, which is `name` (with its zero) in place of the session's. */
export function rename(buffer: Buffer, position: number, nameStart: number, nameEnd: number, name: Buffer, out: Assembly): void {
  out.addHeader(buffer[position] as number, lengthAt(buffer, position + 1) + name.length - (nameEnd + 1 - nameStart))
  out.add(buffer, position + HEADER_LENGTH, nameStart)
  out.addAll(name)
}

/** What comes behind the message that ends at `end`; more: too little is there to tell. */
type Following = 'asks' | 'other' | 'more'

/** Whether the Bind at `position` is followed by a Describe of its portal: the client decodes the rows by the answer. */
export function followingDescribe(buffer: Buffer, position: number): Following {
  const end = position + 1 + lengthAt(buffer, position + 1)
  if (end > buffer.length) return 'other'
  const portal = position + HEADER_LENGTH
  return describesNext(buffer, end, PORTAL, portal, buffer.indexOf(0, portal) + 1)
}

/** Whether a Describe of `type` follows at `at`, whose name is the one from `nameStart` to behind its zero at `nameEnd`. */
export function describesNext(buffer: Buffer, at: number, type: number, nameStart: number, nameEnd: number): Following {
  if (at >= buffer.length) return 'more'
  if (buffer[at] !== DESCRIBE) return 'other'
  const name = at + HEADER_LENGTH + 1
  const end = name + nameEnd - nameStart
  // that of a shorter name may be all that comes
  if (at + HEADER_LENGTH <= buffer.length && at + 1 + lengthAt(buffer, at + 1) !== end) return 'other'
  if (end > buffer.length) return 'more'
  return buffer[name - 1] === type && buffer.compare(buffer, nameStart, nameEnd, name, end) === 0 ? 'asks' : 'other'
}
