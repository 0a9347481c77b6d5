// What is asked of a server: one small number per message, by which the ledger knows what answers it.
import { BIND_COMPLETE, CLOSE_COMPLETE, PARSE_COMPLETE } from './codes.ts'

/** The invented ones are pglease's own: their replies are swallowed, but an error is forwarded (not an inventedQuery's). */
export const ASKED = {
  none: 0,
  parse: 1,
  parseUnnamed: 2,
  bind: 3,
  describe: 4,
  execute: 5,
  close: 6,
  closeUnnamed: 7,
  sync: 8,
  query: 9,
  functionCall: 10,
  copyEnd: 11,
  inventedParse: 12,
  inventedClose: 13,
  inventedQuery: 14,
  // of named statements, whose outcome the listener hears, in order
  parseNamed: 15,
  closeNamed: 16,
  inventedParseNamed: 17,
  inventedCloseNamed: 18,
  bindNamed: 19,
  describeNamed: 20,
  inventedDescribeNamed: 21,
  /** In place of a Bind: a message that fails, whose error becomes "cached plan must not change result type". */
  refusedNamed: 22,
} as const

/** A request of its own, outside of any batch: it ends with a ReadyForQuery. */
export const isWhole = (kind: number): boolean => kind === ASKED.query || kind === ASKED.functionCall || kind === ASKED.inventedQuery

/** It is answered by the description of a named statement. */
export const describesNamed = (kind: number): boolean => kind === ASKED.describeNamed || kind === ASKED.inventedDescribeNamed

/** The listener hears what became of it. */
export const isNamed = (kind: number): boolean => kind >= ASKED.parseNamed

/** pglease's own: the client gets no answer to it. */
export const isInvented = (kind: number): boolean => INVENTED[kind] === 1

/** The type of the one reply that a Parse, Bind or Close of any kind has; 0 for all others. */
export const completion = (kind: number): number => COMPLETIONS[kind] as number

const KINDS = Object.values(ASKED).length
const INVENTED = Uint8Array.from({ length: KINDS })
for (const [name, kind] of Object.entries(ASKED)) if (name.startsWith('invented')) INVENTED[kind] = 1
const COMPLETIONS = Uint8Array.from({ length: KINDS })
for (const kind of [ASKED.parse, ASKED.parseUnnamed, ASKED.inventedParse, ASKED.parseNamed, ASKED.inventedParseNamed])
  COMPLETIONS[kind] = PARSE_COMPLETE
for (const kind of [ASKED.bind, ASKED.bindNamed]) COMPLETIONS[kind] = BIND_COMPLETE
for (const kind of [ASKED.close, ASKED.closeUnnamed, ASKED.inventedClose, ASKED.closeNamed, ASKED.inventedCloseNamed])
  COMPLETIONS[kind] = CLOSE_COMPLETE
