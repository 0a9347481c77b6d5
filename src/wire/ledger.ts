// Keeps what a server still owes for the messages it was sent, so that a link is released only when everything is answered.

/** What was asked. One small number per message; the invented ones are pglease's own and their replies are swallowed. */
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
} as const

/** What became of an answer, for the one who forwards. */
export const ANSWER = { forward: 0, swallow: 1, violation: 2 } as const

const P_PARSE_COMPLETE = 0x31
const B_BIND_COMPLETE = 0x32
const CLOSE_COMPLETE = 0x33
const COMMAND_COMPLETE = 0x43
const ERROR_RESPONSE = 0x45
const COPY_IN = 0x47
const COPY_OUT = 0x48
const EMPTY_QUERY = 0x49
const FUNCTION_RESULT = 0x56
const COPY_BOTH = 0x57
const READY_FOR_QUERY = 0x5a
const NO_DATA = 0x6e
const PORTAL_SUSPENDED = 0x73
const ROW_DESCRIPTION = 0x54
const DATA_ROW = 0x44
const PARAMETER_DESCRIPTION = 0x74
const COPY_DATA = 0x64
const COPY_DONE = 0x63

const STATUS_IDLE = 0x49

/** Hears of what changes a session's unnamed statement (PostgreSQL protocol, "Extended Query"). */
export interface LedgerListener {
  /** A `Parse ""` succeeded. */
  unnamedParsed(): void
  /** A `Parse ""` failed, or a Close of `""` or a Query ended the statement; `asked` says which. */
  unnamedEnded(asked: number): void
  /** `count` messages `Parse ""` were skipped by the server and never ran. */
  unnamedSkipped(count: number): void
}

/** A queue of expected replies for one link; see "Message Flow" in the PostgreSQL protocol chapter. */
export class Ledger {
  /** ReadyForQuery's status byte: I, T or E. */
  status = STATUS_IDLE
  /** Query, FunctionCall and Sync that have no ReadyForQuery yet. */
  owed = 0
  /** An extended message was forwarded after the last Sync or Query. */
  batchOpen = false
  /** The server ignores everything up to the next Sync. */
  skipping = false
  /** The server waits for CopyData. */
  copyIn = false
  listener: LedgerListener | null = null
  #ring = new Uint8Array(64)
  #mask = 63
  #head = 0
  #count = 0

  /** Nothing is owed, nothing is open, and no transaction runs: the link may serve another session. */
  get settled(): boolean {
    return this.#count === 0 && !this.batchOpen && !this.skipping && !this.copyIn && this.status === STATUS_IDLE
  }

  /** No reply is outstanding (a transaction may be open). */
  get quiet(): boolean {
    return this.#count === 0
  }

  /** At a place where the next message begins a new request. */
  get atBoundary(): boolean {
    return !this.batchOpen && !this.skipping && !this.copyIn
  }

  /** The oldest unanswered message, `ASKED.none` if there is none. */
  get head(): number {
    return this.#count === 0 ? ASKED.none : (this.#ring[this.#head] as number)
  }

  /** One message was forwarded to the server. */
  asked(kind: number): void {
    if (this.copyIn) {
      // Sync and Flush are ignored during COPY-in; any other message but the end makes the COPY fail and is lost with it.
      if (kind !== ASKED.sync) this.copyIn = false
      return
    }
    if (kind === ASKED.sync) {
      this.skipping = false
      this.batchOpen = false
      this.owed++
    } else if (this.skipping) {
      return
    } else if (kind === ASKED.query || kind === ASKED.functionCall || kind === ASKED.inventedQuery) {
      this.batchOpen = false
      this.owed++
    } else if (kind === ASKED.copyEnd) {
      // Sent before the server said that it waits for data: kept in its place, as the Syncs before it are ignored then.
      if (this.#count === 0) return
    } else {
      this.batchOpen = true
    }
    this.#push(kind)
  }

  /**
   * One message came from the server. `status` is the body's byte of a ReadyForQuery, else 0.
   * Asynchronous messages (NotificationResponse, ParameterStatus, NoticeResponse) do not come here.
   */
  answered(type: number, status: number): number {
    const head = this.head
    switch (type) {
      case READY_FOR_QUERY:
        return this.#ready(head, status)
      case ERROR_RESPONSE:
        return this.#error(head)
      case DATA_ROW:
      case ROW_DESCRIPTION:
      case COMMAND_COMPLETE:
      case EMPTY_QUERY:
      case COPY_OUT:
      case COPY_DATA:
      case COPY_DONE:
      case FUNCTION_RESULT:
      case NO_DATA:
      case PORTAL_SUSPENDED:
      case PARAMETER_DESCRIPTION:
        return this.#progress(head, type)
      case P_PARSE_COMPLETE:
      case B_BIND_COMPLETE:
      case CLOSE_COMPLETE:
        return this.#complete(head, type)
      case COPY_IN:
        return this.#copyInBegins(head)
      case COPY_BOTH:
        return ANSWER.forward
      default:
        return ANSWER.violation
    }
  }

  #progress(head: number, type: number): number {
    if (head === ASKED.query || head === ASKED.functionCall) return ANSWER.forward
    if (head === ASKED.execute) {
      if (type === COMMAND_COMPLETE || type === EMPTY_QUERY || type === PORTAL_SUSPENDED) this.#pop()
      return ANSWER.forward
    }
    if (head === ASKED.describe) {
      if (type === ROW_DESCRIPTION || type === NO_DATA) this.#pop()
      return ANSWER.forward
    }
    return head === ASKED.inventedQuery ? ANSWER.swallow : ANSWER.violation
  }

  #complete(head: number, type: number): number {
    switch (type) {
      case P_PARSE_COMPLETE:
        if (head === ASKED.parse || head === ASKED.parseUnnamed || head === ASKED.inventedParse) {
          this.#pop()
          if (head === ASKED.parseUnnamed) this.listener?.unnamedParsed()
          return head === ASKED.inventedParse ? ANSWER.swallow : ANSWER.forward
        }
        return ANSWER.violation
      case B_BIND_COMPLETE:
        if (head !== ASKED.bind) return ANSWER.violation
        this.#pop()
        return ANSWER.forward
      default:
        if (head === ASKED.close || head === ASKED.closeUnnamed || head === ASKED.inventedClose) {
          this.#pop()
          if (head === ASKED.closeUnnamed) this.listener?.unnamedEnded(head)
          return head === ASKED.inventedClose ? ANSWER.swallow : ANSWER.forward
        }
        return ANSWER.violation
    }
  }

  #ready(head: number, status: number): number {
    this.status = status
    this.copyIn = false
    if (head === ASKED.none) {
      // A Sync that was sent during COPY-in and read after the COPY had failed: the server answers it after all.
      if (!this.skipping && !this.batchOpen) return ANSWER.violation
      this.skipping = false
      this.batchOpen = false
      return ANSWER.forward
    }
    if (head < ASKED.sync || head === ASKED.copyEnd || head === ASKED.inventedParse || head === ASKED.inventedClose) return ANSWER.violation
    this.#pop()
    this.owed--
    // An early end of COPY that no COPY asked for is ignored by the server.
    while (this.head === ASKED.copyEnd) this.#pop()
    if (head === ASKED.query) this.listener?.unnamedEnded(head)
    return head === ASKED.inventedQuery ? ANSWER.swallow : ANSWER.forward
  }

  /** After an error in an extended message the server skips everything but Sync (and Terminate). */
  #error(head: number): number {
    this.copyIn = false
    if (head === ASKED.none) return ANSWER.forward
    if (head === ASKED.inventedQuery) return ANSWER.swallow
    if (head === ASKED.sync || head === ASKED.query || head === ASKED.functionCall) return ANSWER.forward
    if (head === ASKED.parseUnnamed || head === ASKED.inventedParse) this.listener?.unnamedEnded(head)
    let skippedParses = 0
    let first = true
    while (this.#count > 0 && this.head !== ASKED.sync) {
      const dropped = this.head
      if (dropped === ASKED.query || dropped === ASKED.functionCall || dropped === ASKED.inventedQuery) this.owed--
      if (dropped === ASKED.parseUnnamed && !first) skippedParses++
      first = false
      this.#pop()
    }
    if (skippedParses > 0) this.listener?.unnamedSkipped(skippedParses)
    if (this.#count === 0) this.skipping = true
    return ANSWER.forward
  }

  /** CopyInResponse: the Syncs that were sent along are ignored by the server, up to the end of the data. */
  #copyInBegins(head: number): number {
    if (head !== ASKED.query && head !== ASKED.execute) return ANSWER.violation
    this.copyIn = true
    const waiting = this.#count - 1
    const after = this.#take(waiting)
    let kept = 0
    for (let index = 0; index < waiting; index++) {
      const kind = after[index] as number
      if (this.copyIn && kind === ASKED.sync) {
        this.owed--
        continue
      }
      if (this.copyIn) {
        // The end of the data, or a message that makes the COPY fail: both are used up by the COPY.
        this.copyIn = false
        if (kind === ASKED.query || kind === ASKED.functionCall) this.owed--
        continue
      }
      this.#push(kind)
      kept = kind
    }
    // An extended COPY lost its Sync: the batch is open again until the Sync that ends it.
    if (head === ASKED.execute && (this.copyIn || kept === ASKED.none)) this.batchOpen = true
    return ANSWER.forward
  }

  #push(kind: number): void {
    if (this.#count > this.#mask) this.#grow()
    this.#ring[(this.#head + this.#count) & this.#mask] = kind
    this.#count++
  }

  #pop(): void {
    this.#head = (this.#head + 1) & this.#mask
    this.#count--
  }

  /** Removes all entries but the head and returns them in order. */
  #take(count: number): Uint8Array {
    const taken = new Uint8Array(count)
    for (let index = 0; index < count; index++) taken[index] = this.#ring[(this.#head + 1 + index) & this.#mask] as number
    this.#count -= count
    return taken
  }

  #grow(): void {
    const larger = new Uint8Array(this.#ring.length * 2)
    for (let index = 0; index < this.#count; index++) larger[index] = this.#ring[(this.#head + index) & this.#mask] as number
    this.#ring = larger
    this.#mask = larger.length - 1
    this.#head = 0
  }
}
