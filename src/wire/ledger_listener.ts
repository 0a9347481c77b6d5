// What the ledger tells: what becomes of each answer, and to whom it matters.

/**
 * What becomes of an answer, for the one who forwards. held: it was kept, and what is kept is due; refused: the user gets "cached plan
 * must not change result type" in its place.
 */
export const ANSWER = { forward: 0, swallow: 1, violation: 2, held: 3, refused: 4 } as const

/** Hears of what changes the unnamed statement on the server (PostgreSQL protocol, "Extended Query"). */
export interface LedgerListener {
  /** A `Parse ""` succeeded: the session's (`ASKED.parseUnnamed`) or the invented one. */
  unnamedParsed(asked: number): void
  /**
   * A `Parse ""` of either kind failed, or a Close of `""` of either kind or a Query ended the statement; `asked` says which. Not
   * `certain`: it failed, perhaps before the server dropped what it had (a text that is not valid in its encoding).
   */
  unnamedEnded(asked: number, certain: boolean): void
  /** `count` of the session's messages `Parse ""` never ran: the server skipped them, or a COPY used them up. */
  unnamedSkipped(count: number): void
}

/** Hears what became of the messages of named statements (`isNamed`). */
export interface NamedListener {
  /** The oldest of them was carried out, or it failed or was skipped. */
  namedAnswered(succeeded: boolean): void
}
