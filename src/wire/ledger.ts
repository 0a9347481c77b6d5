// Keeps what a server still owes for the messages it was sent, so that a link is released only when everything is answered.
import { ASKED, completion, describesNamed, isInvented, isNamed, isWhole } from './asked.ts'
import {
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  COMMAND_COMPLETE,
  COPY_DATA,
  COPY_DONE,
  COPY_IN_RESPONSE,
  COPY_OUT_RESPONSE,
  DATA_ROW,
  EMPTY_QUERY_RESPONSE,
  ERROR_RESPONSE,
  FUNCTION_CALL_RESPONSE,
  NO_DATA,
  PARAMETER_DESCRIPTION,
  PARSE_COMPLETE,
  PORTAL_SUSPENDED,
  READY_FOR_QUERY,
  ROW_DESCRIPTION,
  STATUS_IDLE,
} from './codes.ts'
import { ANSWER, type LedgerListener, type NamedListener } from './ledger_listener.ts'
import { Ring } from './ring.ts'

/**
 * Doubt about the messages that were sent while a COPY reads from the client: it ignores Sync and fails at any other, but when it has
 * failed before it read them they are carried out. ownReady: the failed Query's ReadyForQuery comes first; open: any further
 * ReadyForQuery may be a Sync's; lost: nobody can tell which message an answer belongs to, the link is of no use any more.
 */
const DOUBT = { none: 0, ownReady: 1, open: 2, lost: 3 } as const

/** A queue of expected replies for one link; see "Message Flow" in the PostgreSQL protocol chapter. */
export class Ledger {
  /** ReadyForQuery's status byte: I, T or E. */
  status: number = STATUS_IDLE
  /** Query, FunctionCall and Sync that have no ReadyForQuery yet. */
  owed = 0
  /** How many of them have been answered: tells one request from the next. */
  rounds = 0
  /** An extended message was forwarded after the last Sync or Query. */
  batchOpen = false
  /**
   * A Query or FunctionCall came into an open batch. PostgreSQL 18 reports I after the next Sync, and then fails one command (XX000,
   * "StartTransactionCommand: unexpected state STARTED").
   */
  batchCut = false
  /** The server ignores everything up to the next Sync. */
  skipping = false
  /** The server waits for CopyData. */
  copyIn = false
  listener: LedgerListener | null = null
  named: NamedListener | null = null
  /** CopyInResponse came, and neither the COPY's end nor its error. */
  #copying = false
  /** Syncs sent while the COPY reads: ignored, unless it fails before it reads them. */
  #copySyncs = 0
  #doubt: number = DOUBT.none
  /** While there is doubt: how many ReadyForQuery may come that nothing unanswered asked for, at most. */
  #unasked = 0
  /** The Query at the head got its error. */
  #failed = false
  /** What is not answered yet, oldest first. */
  readonly #unanswered = new Ring(64)

  /** Nothing is owed, nothing is open, and no transaction runs: the link may serve another session. */
  get settled(): boolean {
    return this.#unanswered.count === 0 && !this.batchOpen && !this.skipping && !this.copyIn && this.status === STATUS_IDLE
  }

  /** No reply is outstanding (a transaction may be open). */
  get quiet(): boolean {
    return this.#unanswered.count === 0
  }

  /** At a place where the next message begins a new request. */
  get atBoundary(): boolean {
    return !this.batchOpen && !this.skipping && !this.copyIn
  }

  /** More ReadyForQuery than asked for may come. */
  get inDoubt(): boolean {
    return this.#doubt !== DOUBT.none
  }

  /** Nobody can tell any more which message an answer belongs to. */
  get lost(): boolean {
    return this.#doubt === DOUBT.lost
  }

  /** Settled or not, the link must not serve another session before an empty query of ours was answered. */
  get unclean(): boolean {
    return this.batchCut || this.inDoubt
  }

  /** The oldest unanswered message, `ASKED.none` if there is none. */
  get head(): number {
    return this.#unanswered.count === 0 ? ASKED.none : this.#unanswered.oldest
  }

  /** One message was forwarded to the server. */
  asked(kind: number): void {
    if (this.copyIn) {
      // Sync and Flush are ignored during COPY-in; any other message but the end makes the COPY fail and is lost with it.
      if (kind === ASKED.sync) this.#copySyncs++
      else this.copyIn = false
      if (kind === ASKED.sync || kind === ASKED.copyEnd) return
      // the COPY takes it along, and its client waits for its end all the same
      if (isWhole(kind)) this.owed++
      return this.#lose()
    }
    if (kind === ASKED.sync) {
      this.skipping = false
      this.batchOpen = false
      this.owed++
    } else if (this.skipping) {
      if (this.#doubt === DOUBT.open && kind !== ASKED.copyEnd) this.#lose()
      return
    } else if (isWhole(kind)) {
      if (this.batchOpen) this.batchCut = true
      this.batchOpen = false
      this.owed++
    } else if (kind === ASKED.copyEnd) {
      // Sent before the server said that it waits for data: kept in its place, as the Syncs before it are ignored then.
      if (this.#unanswered.count === 0) return
    } else {
      this.batchOpen = true
    }
    this.#unanswered.push(kind)
  }

  /**
   * One message came from the server. `status` is the body's byte of a ReadyForQuery, else 0.
   * Asynchronous messages (NotificationResponse, ParameterStatus, NoticeResponse) do not come here.
   */
  answered(type: number, status: number): number {
    const head = this.head
    if (this.#doubt === DOUBT.lost) return type === ERROR_RESPONSE ? ANSWER.forward : ANSWER.violation
    // what answers a later message proves that all before it is answered
    if (this.#doubt === DOUBT.open && type !== READY_FOR_QUERY) this.#doubt = DOUBT.none
    switch (type) {
      case READY_FOR_QUERY:
        return this.#ready(head, status)
      case ERROR_RESPONSE:
        return this.#error(head)
      case DATA_ROW:
      case ROW_DESCRIPTION:
      case COMMAND_COMPLETE:
      case EMPTY_QUERY_RESPONSE:
      case COPY_OUT_RESPONSE:
      case COPY_DATA:
      case COPY_DONE:
      case FUNCTION_CALL_RESPONSE:
      case NO_DATA:
      case PORTAL_SUSPENDED:
      case PARAMETER_DESCRIPTION:
        return this.#progress(head, type)
      case PARSE_COMPLETE:
      case BIND_COMPLETE:
      case CLOSE_COMPLETE:
        return this.#complete(head, type)
      case COPY_IN_RESPONSE:
        return this.#copyInBegins(head)
      default:
        return ANSWER.violation
    }
  }

  #progress(head: number, type: number): number {
    if (type === COMMAND_COMPLETE) {
      this.#copying = false
      this.#copySyncs = 0
    }
    if (head === ASKED.query || head === ASKED.functionCall) return ANSWER.forward
    if (head === ASKED.execute) {
      if (type === COMMAND_COMPLETE || type === EMPTY_QUERY_RESPONSE || type === PORTAL_SUSPENDED) this.#pop()
      return ANSWER.forward
    }
    if (head === ASKED.describe) {
      if (type === ROW_DESCRIPTION || type === NO_DATA) this.#pop()
      return ANSWER.forward
    }
    if (describesNamed(head)) {
      return type === ROW_DESCRIPTION || type === NO_DATA ? this.#namedComplete(answerTo(head)) : answerTo(head)
    }
    return head === ASKED.inventedQuery ? ANSWER.swallow : ANSWER.violation
  }

  #complete(head: number, type: number): number {
    if (completion(head) !== type) return ANSWER.violation
    if (isNamed(head)) return this.#namedComplete(answerTo(head))
    this.#pop()
    if (head === ASKED.parseUnnamed || head === ASKED.inventedParse) this.listener?.unnamedParsed(head)
    else if (head === ASKED.closeUnnamed || head === ASKED.inventedClose) this.listener?.unnamedEnded(head, true)
    return answerTo(head)
  }

  #namedComplete(answer: number): number {
    this.#pop()
    this.named?.namedAnswered(true)
    return answer
  }

  #ready(head: number, status: number): number {
    this.status = status
    this.copyIn = false
    // of all others the first reply is another one, and it would have ended the doubt
    if (this.#doubt === DOUBT.open && head !== ASKED.sync) return this.#lateReady(head)
    if (this.#doubt === DOUBT.ownReady) this.#doubt = DOUBT.open
    if (head !== ASKED.sync && !isWhole(head)) return ANSWER.violation
    this.#pop()
    this.owed--
    this.rounds++
    if (head === ASKED.query) {
      this.listener?.unnamedEnded(head, !this.#failed)
      this.#failed = false
    }
    if (head !== ASKED.inventedQuery) return ANSWER.forward
    this.batchCut = false
    return ANSWER.swallow
  }

  /** A Sync was sent during COPY-in and read after the COPY had failed: the server answers it after all. */
  #lateReady(head: number): number {
    this.#unasked--
    if (this.#unasked === 0) this.#doubt = DOUBT.none
    if (head === ASKED.none) {
      this.skipping = false
      this.batchOpen = false
    }
    return ANSWER.forward
  }

  /** After an error in an extended message the server skips everything but Sync (and Terminate). */
  #error(head: number): number {
    this.copyIn = false
    if (this.#copying && this.#copySyncs > 0) {
      this.#doubt = head === ASKED.query ? DOUBT.ownReady : DOUBT.open
      this.#unasked = this.#copySyncs
    }
    this.#copying = false
    this.#copySyncs = 0
    if (head === ASKED.none) return ANSWER.forward
    if (head === ASKED.inventedQuery) return ANSWER.swallow
    this.#failed = head === ASKED.query
    if (head === ASKED.sync || head === ASKED.query || head === ASKED.functionCall) return ANSWER.forward
    if (head === ASKED.parseUnnamed || head === ASKED.inventedParse) this.listener?.unnamedEnded(head, false)
    if (isNamed(head)) this.named?.namedAnswered(false)
    let skippedParses = 0
    let skipped = 0
    this.#pop()
    while (this.#unanswered.count > 0 && this.head !== ASKED.sync) {
      const dropped = this.head
      if (isWhole(dropped)) this.owed--
      if (dropped === ASKED.parseUnnamed) skippedParses++
      else if (isNamed(dropped)) this.named?.namedAnswered(false)
      skipped++
      this.#pop()
    }
    if (skippedParses > 0) this.listener?.unnamedSkipped(skippedParses)
    if (this.#unanswered.count === 0) this.skipping = true
    // in doubt whether the server still skipped when it read them
    if (skipped > 0 && this.#doubt === DOUBT.open) this.#lose()
    return ANSWER.forward
  }

  /** Never settled again: an error is still forwarded, any other answer is a violation. */
  #lose(): void {
    this.#doubt = DOUBT.lost
    this.#unanswered.push(ASKED.none)
  }

  /** CopyInResponse: the Syncs that were sent along are ignored by the server, up to the end of the data. */
  #copyInBegins(head: number): number {
    if (head !== ASKED.query && head !== ASKED.execute) return ANSWER.violation
    this.copyIn = true
    this.#copying = true
    const after = this.#unanswered.takeRest()
    // an extended COPY lost its Sync: the batch is open again until the next that ends it
    let open = head === ASKED.execute
    for (const kind of after) {
      if (this.copyIn && kind === ASKED.sync) {
        this.owed--
        this.#copySyncs++
        continue
      }
      if (this.copyIn) {
        // The end of the data, or a message that makes the COPY fail: both are used up by the COPY.
        this.copyIn = false
        if (kind !== ASKED.copyEnd) this.#lose()
        continue
      }
      this.#unanswered.push(kind)
      if (kind === ASKED.copyEnd) continue
      if (isWhole(kind) && open) this.batchCut = true
      open = !isWhole(kind) && kind !== ASKED.sync
    }
    if (head === ASKED.execute) this.batchOpen = open
    return ANSWER.forward
  }

  /** With an entry go the ends of COPY behind it: no COPY has asked for them, the server ignores them. */
  #pop(): void {
    const unanswered = this.#unanswered
    do unanswered.shift()
    while (unanswered.count > 0 && unanswered.oldest === ASKED.copyEnd)
  }
}

const answerTo = (head: number): number => (isInvented(head) ? ANSWER.swallow : ANSWER.forward)
