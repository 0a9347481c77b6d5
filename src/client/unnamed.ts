// A session's unnamed prepared statement: kept as its Parse message, so that it survives the change of the link.
import type { Link } from '../server/link.ts'
import { ASKED } from '../wire/asked.ts'
import type { Ledger } from '../wire/ledger.ts'
import type { LedgerListener } from '../wire/ledger_listener.ts'
import { Ring } from '../wire/ring.ts'

/** Longest Parse that is kept; with a longer one the link stays with the session. */
export const KEPT_LIMIT = 64 * 1024
const SMALLEST_BUFFER = 256
/** Most clients never prepare an unnamed statement. */
const NO_BYTES: Buffer = Buffer.alloc(0)
/** In a Describe or Close. */
export const STATEMENT = 0x53
const TOO_LONG = -1

/** What `before` answers beside an ASKED: wait until nothing is owed. */
export const HOLD = -1

/** In place of an owner: what the server holds is not known. */
const UNKNOWN = {}

/**
 * What the server's unnamed statement is when it carries out the session's next message.
 * own: this session's, or none as PostgreSQL has it. foreign: perhaps another session's, or not what this session has kept.
 * asked: own, or the server skips the message. unsure: own, if what was sent succeeds; its replies have not come.
 */
const SLOT = { own: 0, foreign: 1, asked: 2, unsure: 3 } as const

export class UnnamedStatement implements LedgerListener {
  /** The Parse that the server confirmed last, in the first `#keptLength` bytes. */
  #kept: Buffer = NO_BYTES
  #keptLength = 0
  /** The Parses that were forwarded and are not confirmed yet, one after another. */
  #asked: Buffer = NO_BYTES
  #askedStart = 0
  #askedEnd = 0
  /** Their lengths, oldest first. */
  readonly #lengths = new Ring(0)
  #link: Link | null = null
  /** The only link whose unnamed statement is the kept one. */
  #holder: Link | null = null
  #slot: number = SLOT.own
  /** The statement is too long to be kept: the session must not lose its link. */
  pinned = false

  /** The relay asks `before` for every message but `Parse ""`. */
  get careful(): boolean {
    return this.#slot !== SLOT.own
  }

  /** The session got `link`, on which nothing is outstanding. */
  attach(link: Link): void {
    this.#link = link
    const owner = link.unnamedOwner
    const own = owner === this ? this.#holder === link : owner === null && this.#keptLength === 0
    this.#slot = own ? SLOT.own : SLOT.foreign
  }

  detach(): void {
    this.#link = null
  }

  /** A `Parse ""` from `start` to `end` is about to be forwarded; one that is longer than KEPT_LIMIT comes with `end` < 0. */
  parse(buffer: Buffer, start: number, end: number): void {
    if (this.#slot !== SLOT.own) this.#slot = SLOT.asked
    const length = end < 0 ? TOO_LONG : end - start
    this.#lengths.push(length)
    if (length < 0) return
    if (this.#askedEnd + length > this.#asked.length) this.#makeRoom(length)
    buffer.copy(this.#asked, this.#askedEnd, start, end)
    this.#askedEnd += length
  }

  /**
   * A message that is not `Parse ""` and has its body at `body` is about to be forwarded while `careful`. Answers what has to be sent
   * first so that a Bind or Describe of `""` meets this session's statement and no other's: ASKED.inventedParse (`bytes`),
   * ASKED.inventedClose, ASKED.none; or HOLD.
   */
  before(ledger: Ledger, kind: number, buffer: Buffer, body: number): number {
    if (this.#slot === SLOT.unsure && ledger.owed === 0) this.#slot = SLOT.foreign
    if (kind === ASKED.sync) {
      if (this.#slot === SLOT.asked) this.#slot = SLOT.unsure
      return ASKED.none
    }
    if (ledger.skipping || ledger.copyIn) return ASKED.none
    // a failed Query may have left the statement, and what follows is not skipped; a failed Close makes the rest be skipped
    if (kind === ASKED.query) this.#slot = SLOT.unsure
    if (kind === ASKED.closeUnnamed) this.#slot = SLOT.asked
    if (this.#slot === SLOT.asked || !usesUnnamed(kind, buffer, body)) return ASKED.none
    if (this.#slot === SLOT.unsure) return HOLD
    this.#slot = SLOT.asked
    if (this.#keptLength > 0) return ASKED.inventedParse
    return this.#link?.unnamedOwner === null ? ASKED.none : ASKED.inventedClose
  }

  /** The kept Parse, valid until the next call of `unnamedParsed`. */
  get bytes(): Buffer {
    return this.#kept.subarray(0, this.#keptLength)
  }

  unnamedParsed(asked: number): void {
    if (asked === ASKED.parseUnnamed) this.#keepOldest()
    this.#slot = SLOT.own
    this.#holder = this.#link
    if (this.#link !== null) this.#link.unnamedOwner = this
  }

  unnamedEnded(asked: number, certain: boolean): void {
    this.#holder = null
    if (this.#link !== null) this.#link.unnamedOwner = certain ? null : UNKNOWN
    if (certain) this.#slot = SLOT.own
    // the session still has its statement, as it would in PostgreSQL: it is tried again when it is needed again
    if (asked === ASKED.inventedParse) return
    if (asked === ASKED.parseUnnamed) this.#dropOldest()
    this.#keptLength = 0
    this.pinned = false
  }

  unnamedSkipped(count: number): void {
    for (let skipped = 0; skipped < count; skipped++) this.#dropOldest()
  }

  /** The link is gone: nothing that was asked will be confirmed. */
  reset(): void {
    this.#link = null
    this.#holder = null
    this.#lengths.clear()
    this.#askedStart = 0
    this.#askedEnd = 0
    this.pinned = false
  }

  /** The oldest Parse is the session's statement now. The buffers change places where no other Parse follows. */
  #keepOldest(): void {
    const length = this.#lengths.oldest
    this.pinned = length < 0
    this.#keptLength = Math.max(0, length)
    if (this.#lengths.count === 1 && this.#askedStart === 0) {
      const kept = this.#kept
      this.#kept = this.#asked
      this.#asked = kept
    } else if (length > 0) {
      if (this.#kept.length < length) this.#kept = Buffer.allocUnsafe(Math.min(KEPT_LIMIT, length * 2))
      this.#asked.copy(this.#kept, 0, this.#askedStart, this.#askedStart + length)
    }
    this.#dropOldest()
  }

  #dropOldest(): void {
    if (this.#lengths.count === 0) return
    this.#askedStart += Math.max(0, this.#lengths.oldest)
    this.#lengths.shift()
    if (this.#lengths.count > 0) return
    this.#askedStart = 0
    this.#askedEnd = 0
    // what one long pipeline needed is not kept for ever
    if (this.#asked.length > KEPT_LIMIT) this.#asked = NO_BYTES
  }

  #makeRoom(length: number): void {
    const used = this.#askedEnd - this.#askedStart
    const target = used + length <= this.#asked.length ? this.#asked : Buffer.allocUnsafe(Math.max(SMALLEST_BUFFER, 2 * (used + length)))
    this.#asked.copy(target, 0, this.#askedStart, this.#askedEnd)
    this.#asked = target
    this.#askedStart = 0
    this.#askedEnd = used
  }
}

/** A Bind or a Describe of the unnamed statement. In doubt (a portal's name without an end) yes. */
function usesUnnamed(kind: number, buffer: Buffer, body: number): boolean {
  if (kind === ASKED.describe) return buffer[body] === STATEMENT && buffer[body + 1] === 0
  if (kind !== ASKED.bind) return false
  const portalEnd = buffer.indexOf(0, body)
  return portalEnd < 0 || portalEnd + 1 >= buffer.length || buffer[portalEnd + 1] === 0
}
