// The statement's name in a Parse, Bind, Describe or Close: whether there is one, where, and another in its place.
import { ASKED } from '../wire/asked.ts'
import { BIND, HEADER_LENGTH, PARSE } from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import type { Ledger } from '../wire/ledger.ts'
import type { Assembly } from './assembly.ts'
import { STATEMENT } from './unnamed.ts'

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
