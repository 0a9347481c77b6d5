// SQL's DEALLOCATE of a name that only pglease knows: drivers (psycopg) drop their protocol-level statements with it.
import { SPARE_NAME } from '../server/statements.ts'
import { ASKED } from '../wire/asked.ts'
import { HEADER_LENGTH, STATUS_FAILED } from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import type { Ledger } from '../wire/ledger.ts'
import { parse, query } from '../wire/pgprotocol.ts'

/** `DEALLOCATE PREPARE`, a quoted name and spaces. */
const LONGEST = 300
const LETTER_D = 0x64
const TO_LOWER = 0x20
const STATEMENT = /^\s*DEALLOCATE\s+(?:PREPARE\s+)?(?:"((?:[^"]|"")+)"|([a-z_\x80-\xff][a-z0-9_$\x80-\xff]*))\s*;?\s*$/i

/** The name in `DEALLOCATE name`, as PostgreSQL reads it; undefined for any other text. In latin1, as names come. */
function deallocatedName(text: string): string | undefined {
  const found = STATEMENT.exec(text)
  if (found === null) return undefined
  if (found[1] !== undefined) return found[1].replaceAll('""', '"')
  // only ASCII is folded, as PostgreSQL does in a multibyte encoding
  const name = (found[2] ?? '').replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  return name === 'all' || name === 'prepare' ? undefined : name
}

/** The name that a Query or an unnamed Parse at `position` drops; undefined when it does something else. */
export function droppedName(kind: number, buffer: Buffer, position: number): string | undefined {
  const body = position + HEADER_LENGTH
  const start = kind === ASKED.query ? body : body + 1
  const first = buffer[start] as number
  if ((first | TO_LOWER) !== LETTER_D && first > TO_LOWER) return undefined
  const end = position + 1 + lengthAt(buffer, position + 1)
  if (end > buffer.length || end - start > LONGEST) return undefined
  const textEnd = buffer.indexOf(0, start)
  if (textEnd < 0 || textEnd >= end) return undefined
  return deallocatedName(buffer.toString('latin1', start, textEnd))
}

/** Whether the server would carry it out: in a failed transaction it refuses it, and the name stays. Asked while nothing is owed. */
export const canDrop = (ledger: Ledger): boolean => !ledger.skipping && !ledger.copyIn && ledger.status !== STATUS_FAILED

/** Behind these the server has a statement of the spare name, which is dropped in place of the client's. */
export const PREPARE_SPARE = query(`PREPARE "${SPARE_NAME}" AS SELECT 1`)
export const DEALLOCATE_SPARE = query(`DEALLOCATE "${SPARE_NAME}"`)
export const PARSE_DEALLOCATE = parse('', `DEALLOCATE "${SPARE_NAME}"`)
