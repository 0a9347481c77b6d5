// Whether a message may make its session listen no more: then the session's channels are put on the link first.
import { ASKED } from '../wire/asked.ts'
import { HEADER_LENGTH, STATUS_FAILED } from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import type { Ledger } from '../wire/ledger.ts'
import type { NamedStatements } from './named.ts'
import type { UnnamedStatement } from './unnamed.ts'

const UNLISTEN = /unlisten/i

/** At a place where a query of pglease's own can be put before the session's next message. */
export const canSeed = (ledger: Ledger): boolean => ledger.atBoundary && ledger.status !== STATUS_FAILED

/**
 * Whether the message of `kind` at `position` has UNLISTEN in its text, or binds a statement that has. Of a long message what is there of
 * it is looked at.
 */
export function maySayUnlisten(
  kind: number,
  buffer: Buffer,
  position: number,
  named: NamedStatements | null,
  unnamed: UnnamedStatement,
): boolean {
  const body = position + HEADER_LENGTH
  const end = Math.min(buffer.length, position + 1 + lengthAt(buffer, position + 1))
  if (kind === ASKED.query || kind === ASKED.parse || kind === ASKED.parseUnnamed)
    return UNLISTEN.test(buffer.toString('latin1', body, end))
  if (kind !== ASKED.bind) return false
  const start = buffer.indexOf(0, body) + 1
  const nameEnd = buffer.indexOf(0, start)
  if (start === 0 || nameEnd < 0) return false
  const text = nameEnd === start ? unnamed.bytes : named?.textOf(buffer.toString('latin1', start, nameEnd))
  return text !== undefined && UNLISTEN.test(text.toString('latin1'))
}
