// A session's unnamed prepared statement: kept as its Parse message, so that it survives the change of the link.
import type { Link } from '../server/link.ts'
import { ASKED, type LedgerListener } from '../wire/ledger.ts'

/** Longest Parse that is kept; with a longer one the link stays with the session. */
export const KEPT_LIMIT = 64 * 1024

export class UnnamedStatement implements LedgerListener {
  /** The Parse that the server confirmed last, in the first `#keptLength` bytes. */
  #kept: Buffer = Buffer.allocUnsafe(256)
  #keptLength = 0
  /** The Parse that was forwarded last and is not confirmed yet. */
  #asked: Buffer = Buffer.allocUnsafe(256)
  #askedLength = 0
  #outstanding = 0
  /** Further Parses of one pipeline, oldest first. */
  readonly #later: Buffer[] = []
  /** The statement is too long to be kept: the session must not lose its link. */
  pinned = false

  /** A `Parse ""` from `start` to `end` is about to be forwarded; one that is longer than KEPT_LIMIT comes with `end` < 0. */
  parse(link: Link, buffer: Buffer, start: number, end: number): void {
    link.unnamedOwner = this
    if (end < 0) {
      this.pinned = true
      this.#outstanding++
      this.#later.push(Buffer.alloc(0))
      return
    }
    const length = end - start
    if (this.#outstanding++ > 0) {
      this.#later.push(Buffer.from(buffer.subarray(start, end)))
      return
    }
    if (this.#asked.length < length) this.#asked = Buffer.allocUnsafe(Math.min(KEPT_LIMIT, length * 2))
    buffer.copy(this.#asked, 0, start, end)
    this.#askedLength = length
  }

  /**
   * The first extended message of a batch goes to `link`, and it is not a `Parse ""`. Answers what has to be sent first so that the
   * server holds this session's statement and no other's: ASKED.inventedParse (`bytes`), ASKED.inventedClose or ASKED.none.
   */
  prepare(link: Link): number {
    if (link.unnamedOwner === this) return ASKED.none
    if (this.#keptLength > 0) {
      link.unnamedOwner = this
      return ASKED.inventedParse
    }
    if (link.unnamedOwner === null) return ASKED.none
    link.unnamedOwner = this
    return ASKED.inventedClose
  }

  /** The kept Parse, valid until the next call of `unnamedParsed`. */
  get bytes(): Buffer {
    return this.#kept.subarray(0, this.#keptLength)
  }

  unnamedParsed(): void {
    const kept = this.#kept
    this.#kept = this.#asked
    this.#keptLength = this.#askedLength
    this.#asked = kept
    this.#outstanding--
    this.#advance()
    this.pinned = this.#outstanding > 0 ? this.pinned : this.#keptLength === 0 && this.pinned
  }

  unnamedEnded(asked: number): void {
    this.#keptLength = 0
    if (asked === ASKED.parseUnnamed) {
      this.#outstanding--
      this.#advance()
    }
    if (this.#outstanding === 0) this.pinned = false
  }

  unnamedSkipped(count: number): void {
    for (let skipped = 0; skipped < count; skipped++) {
      this.#outstanding--
      this.#advance()
    }
    if (this.#outstanding === 0 && this.#keptLength > 0) this.pinned = false
  }

  /** The link is gone: nothing that was asked will be confirmed. */
  reset(): void {
    this.#outstanding = 0
    this.#later.length = 0
    this.pinned = false
  }

  /** The oldest outstanding Parse becomes the next of the pipeline. */
  #advance(): void {
    const next = this.#later.shift()
    if (next === undefined) {
      this.#askedLength = 0
      return
    }
    this.#asked = next
    this.#askedLength = next.length
  }
}
