// Looks at each reply of a server and says what becomes of it: who is told, what is counted, whether the user gets it.
import { ASKED, describesNamed } from '../wire/asked.ts'
import {
  COMMAND_COMPLETE,
  COPY_IN_RESPONSE,
  DATA_ROW,
  ERROR_RESPONSE,
  HEADER_LENGTH,
  NO_DATA,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_DESCRIPTION,
  PARAMETER_STATUS,
  READY_FOR_QUERY,
  ROW_DESCRIPTION,
  STATUS_IDLE,
} from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import type { Ledger } from '../wire/ledger.ts'
import { ANSWER } from '../wire/ledger_listener.ts'
import { channelOf, senderOf, setSender } from '../wire/notification.ts'
import type { Parameters } from '../wire/parameters.ts'
import {
  answersPrepare,
  answersReset,
  answersSet,
  dropsStatements,
  isFatal,
  parseFields,
  parseParameterStatus,
  type ReplyFields,
} from '../wire/reply.ts'
import { HeldRefusal } from './held_refusal.ts'
import type { LinkChannels } from './link_channels.ts'
import type { LinkFacts } from './link_facts.ts'
import type { LinkMeter, NotificationListener } from './link_owner.ts'
import type { LinkUser } from './link_user.ts'
import { OwnQueries } from './own_queries.ts'
import type { LinkStatements } from './statements.ts'

const NO_SUCH_STATEMENT = '26000'

/** What is looked at of the link. */
interface RepliesLink {
  readonly ledger: Ledger
  readonly facts: LinkFacts
  readonly parameters: Parameters
  readonly statements: LinkStatements | null
  readonly user: LinkUser | null
  readonly overdue: boolean
  readonly channels: LinkChannels | null
  readonly listener: NotificationListener | null
  readonly sender: number
  roleMayDiffer: boolean
  wasReset: boolean
}

export class Replies {
  readonly own: OwnQueries
  /** The server's last word. */
  fatal: ReplyFields | undefined
  /** `LinkUser.answered` is due, or an own query is done. */
  wake = false
  /** Kept from the user until the role was asked for. */
  held: HeldRefusal | null = null
  /** A ReadyForQuery says that the user left a transaction open, which it must not. */
  blockBegan = false
  readonly #link: RepliesLink
  readonly #meter: LinkMeter

  constructor(link: RepliesLink, meter: LinkMeter) {
    this.#link = link
    this.#meter = meter
    this.own = new OwnQueries(link.ledger)
  }

  /** It is looked into. */
  mustBeWhole(type: number): boolean {
    return (
      type === READY_FOR_QUERY ||
      type === ERROR_RESPONSE ||
      type === COMMAND_COMPLETE ||
      type === PARAMETER_STATUS ||
      type === NOTIFICATION_RESPONSE ||
      (type === DATA_ROW && this.own.collects) ||
      ((type === ROW_DESCRIPTION || type === PARAMETER_DESCRIPTION) && describesNamed(this.#link.ledger.head))
    )
  }

  /** Looks at one message, of which `total` bytes are there (all where `mustBeWhole`), and says whether the user gets it. */
  answer(type: number, buffer: Buffer, position: number, total: number): number {
    const link = this.#link
    const inJob = this.own.answeredNext
    switch (type) {
      case NOTIFICATION_RESPONSE:
        return this.#notification(buffer, position, total)
      case NOTICE_RESPONSE:
        return link.user === null || inJob ? ANSWER.swallow : ANSWER.forward
      case PARAMETER_STATUS:
        return this.#parameterStatus(buffer, position, total, inJob)
      case ERROR_RESPONSE:
        return this.#errorResponse(buffer, position, total, inJob)
      case READY_FOR_QUERY:
        return total === 6 ? this.#ready(buffer, position) : ANSWER.violation
      case COMMAND_COMPLETE:
        if (link.facts.hasServerRole && !inJob && answersSet(buffer, position + HEADER_LENGTH)) link.roleMayDiffer = true
        if (!inJob && answersReset(buffer, position + HEADER_LENGTH, position + total)) link.wasReset = true
        if (link.channels !== null) link.channels.completed(buffer, position + HEADER_LENGTH, position + total)
        if (link.statements !== null) this.#statementsTag(buffer, position + HEADER_LENGTH, position + total)
        return link.ledger.answered(type, 0)
      case DATA_ROW:
        if (link.ledger.quiet) return ANSWER.violation
        if (inJob && this.own.collects) this.own.collect(buffer, position, total)
        return inJob ? ANSWER.swallow : ANSWER.forward
      case COPY_IN_RESPONSE:
        // what waits for the end of earlier requests may be the end of this COPY
        this.wake = true
        return link.ledger.answered(type, 0)
      case PARAMETER_DESCRIPTION:
      case ROW_DESCRIPTION:
      case NO_DATA:
        if (describesNamed(link.ledger.head)) this.#described(type, buffer, position + HEADER_LENGTH, position + total)
        return link.ledger.answered(type, 0)
      default:
        return link.ledger.answered(type, 0)
    }
  }

  /** In session mode the user listens itself; else only what `channels` says is its own. */
  #notification(buffer: Buffer, position: number, total: number): number {
    const { listener, user, channels, facts, sender } = this.#link
    if (listener !== null) {
      listener.heard(Buffer.from(buffer.subarray(position, position + total)))
      return ANSWER.swallow
    }
    if (user === null) return ANSWER.swallow
    if (channels !== null && !channels.passes(channelOf(buffer, position, position + total))) return ANSWER.swallow
    const processId = senderOf(buffer, position)
    const knownAs = processId === facts.processId ? sender : user.senderOf(processId)
    if (knownAs !== 0) setSender(buffer, position, knownAs)
    return ANSWER.forward
  }

  #described(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#link.statements?.user?.described(type, buffer, start, end)) this.wake = true
  }

  /** SQL may drop or prepare statements too. */
  #statementsTag(buffer: Buffer, start: number, end: number): void {
    const link = this.#link
    if (dropsStatements(buffer, start, end)) link.statements?.forgetAll()
    // what pglease itself prepared is dropped by what follows
    else if (link.ledger.head !== ASKED.inventedQuery && answersPrepare(buffer, start, end)) link.statements?.pin()
  }

  #parameterStatus(buffer: Buffer, position: number, total: number, inJob: boolean): number {
    const link = this.#link
    const parameter = parseParameterStatus(buffer, position + HEADER_LENGTH, position + total)
    if (parameter === undefined) return ANSWER.violation
    link.parameters.set(parameter[0], parameter[1])
    link.facts.fit?.heard(parameter[0], parameter[1])
    if (link.user === null || inJob) return ANSWER.swallow
    link.user.parameterChanged(parameter[0], parameter[1])
    return ANSWER.forward
  }

  #errorResponse(buffer: Buffer, position: number, total: number, inJob: boolean): number {
    const link = this.#link
    if (isFatal(buffer, position + HEADER_LENGTH, position + total)) {
      this.fatal = parseFields(buffer, position + HEADER_LENGTH, position + total)
      return ANSWER.swallow
    }
    if (inJob) {
      this.own.failed(buffer, position + HEADER_LENGTH, position + total)
      return link.ledger.answered(ERROR_RESPONSE, 0)
    }
    if (link.user === null && link.ledger.quiet) return ANSWER.swallow
    if (link.facts.fit !== undefined) link.facts.fit.refused(parseFields(buffer, position + HEADER_LENGTH, position + total).sqlstate)
    const refused = this.#planChanged(buffer, position + HEADER_LENGTH, position + total)
    const answer = link.ledger.answered(ERROR_RESPONSE, 0)
    if (link.ledger.skipping || link.ledger.lost) this.wake = true
    if (refused) return ANSWER.refused
    if (!link.overdue || link.ledger.status !== STATUS_IDLE || link.ledger.owed !== 1 || total <= lengthAt(buffer, position + 1))
      return answer
    const held = HeldRefusal.of(buffer, position, position + total)
    if (held === null) return answer
    this.held = held
    return ANSWER.swallow
  }

  /**
   * Of "cached plan must not change result type", found by its routine since the text may be translated, the session is told. True: the
   * server refused what was sent in place of a Bind, which means the same.
   */
  #planChanged(buffer: Buffer, start: number, end: number): boolean {
    const { head } = this.#link.ledger
    if (head < ASKED.bindNamed) return false
    const { sqlstate, routine } = parseFields(buffer, start, end)
    const refused = head === ASKED.refusedNamed && sqlstate === NO_SUCH_STATEMENT
    if (refused || (sqlstate === '0A000' && routine === 'RevalidateCachedQuery')) this.#link.statements?.planChanged()
    return refused
  }

  #ready(buffer: Buffer, position: number): number {
    const link = this.#link
    const status = buffer[position + HEADER_LENGTH] as number
    const answer = link.ledger.answered(READY_FOR_QUERY, status)
    if (answer === ANSWER.violation) return answer
    this.wake = true
    if (answer === ANSWER.swallow) return answer
    this.#meter.query()
    if (status === STATUS_IDLE) this.#meter.transaction()
    else if (link.user?.refusesBlocks === true) {
      this.blockBegan = true
      return ANSWER.violation
    }
    if (link.channels !== null && status === STATUS_IDLE && link.channels.ready(link.ledger.settled)) return ANSWER.swallow
    if (this.held === null) return answer
    this.held.end(buffer, position, position + 6)
    // more was asked meanwhile: its answers must not overtake
    return link.ledger.settled ? ANSWER.swallow : ANSWER.held
  }
}
