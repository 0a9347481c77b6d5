// One logged-in server connection: frames the server's bytes, keeps its ledger and parameters, and forwards to its user.
import type { CloseReason } from '../errors.ts'
import type { Transport, TransportEnd, TransportHandler } from '../net/transport.ts'
import { ASKED } from '../wire/asked.ts'
import {
  COMMAND_COMPLETE,
  COPY_DATA,
  COPY_IN_RESPONSE,
  DATA_ROW,
  ERROR_RESPONSE,
  HEADER_LENGTH,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_STATUS,
  PARSE_COMPLETE,
  READY_FOR_QUERY,
  STATUS_IDLE,
} from '../wire/codes.ts'
import { endOfRun, lengthAt } from '../wire/frame.ts'
import { ANSWER, Ledger } from '../wire/ledger.ts'
import { channelOf, senderOf, setSender } from '../wire/notification.ts'
import type { Parameters } from '../wire/parameters.ts'
import { decodeDataRow, query, terminate } from '../wire/pgprotocol.ts'
import {
  answersPrepare,
  answersSet,
  dropsStatements,
  isFatal,
  parseFields,
  parseParameterStatus,
  type ReplyFields,
  readyForQuery,
} from '../wire/reply.ts'
import { HeldRefusal, ROLE_GONE, ROLE_TEST } from './held_refusal.ts'
import type { LinkChannels } from './link_channels.ts'
import type { LinkFacts } from './link_facts.ts'
import type { LinkUser } from './link_user.ts'
import type { LinkStatements } from './statements.ts'

/** Messages that are looked into wait for their end, up to here. Of a longer ErrorResponse the begin says enough. */
const WHOLE_LIMIT = 64 * 1024
/** How long a closed link may take to be closed by the server too. */
const LINGER_MS = 5000
/** PostgreSQL's lengths are signed. */
const LONGEST = 1 + 0x7fffffff

/** Whom the link tells about its own life: the pool. */
export interface LinkOwner {
  linkClosed(link: Link, reason: CloseReason): void
  /** The server ended the link, or broke the protocol: it serves nobody from now on; `linkClosed` follows. */
  linkDying(link: Link): void
  /** An overdue link found that its role no longer exists. */
  roleGone(link: Link): void
}

/** What counts queries; the data path writes plain numbers. */
export interface LinkMeter {
  query(): void
  transaction(): void
}

interface Job {
  readonly done: (error: ReplyFields | undefined) => void
  error: ReplyFields | undefined
  /** The first column of its rows, where they are wanted. */
  values: string[] | null
}

/** Hears the notifications of a link that nobody uses. */
export interface NotificationListener {
  /** One whole NotificationResponse, its own memory. */
  heard(message: Buffer): void
}

export class Link implements TransportHandler {
  readonly facts: LinkFacts
  readonly generation: number
  readonly ledger = new Ledger()
  readonly parameters: Parameters
  /** The session whose `Parse ""` the server holds. */
  unnamedOwner: object | null = null
  /** Null: named statements are refused. */
  statements: LinkStatements | null = null
  /** Null in session mode, where channels are the client's own on its link. */
  channels: LinkChannels | null = null
  listener: NotificationListener | null = null
  /** The process id that the client knows as its own whose requests the link carries out, or carried out last; 0 = none did. */
  sender = 0
  user: LinkUser | null = null
  owner: LinkOwner | null = null
  idleSinceMs = 0
  /** The pool's: in which of its lists the link is. */
  listed: 'idle' | 'active' | 'tested' | 'being_canceled' | 'closing' | undefined
  /** A SET was seen since the last RESET ROLE. */
  roleMayDiffer = false
  needsReset = false
  /** The lease is past its end: replies of a role that is gone are questioned. */
  overdue = false
  /** Its address is no longer one of the host's. */
  moved = false
  closeReason: CloseReason | undefined
  readonly #transport: Transport
  readonly #meter: LinkMeter
  #carry: Buffer | null = null
  #streaming = 0
  #streamForwarded = true
  #job: Job | null = null
  #fatal: ReplyFields | undefined
  /** `answered` is due. */
  #wake = false
  #held: HeldRefusal | null = null
  /** The query of the link's own that runs while a user has it. */
  #question: 'none' | 'own' | 'role' = 'none'
  #closed = false
  #paused = false
  /** A ReadyForQuery says that the user left a transaction open, which it must not. */
  #blockBegan = false

  constructor(transport: Transport, facts: LinkFacts, meter: LinkMeter) {
    this.#transport = transport
    this.#meter = meter
    this.facts = facts
    this.generation = facts.generation
    this.parameters = facts.parameters
    transport.setHandler(this)
  }

  /** False = above the high-water mark: wait for `linkDrained`. */
  write(bytes: Uint8Array): boolean {
    return this.#transport.write(bytes)
  }

  /** The user takes bytes again. */
  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#transport.resume()
  }

  /** The link asks a question of its own: its user sends nothing meanwhile. */
  get questioning(): boolean {
    return this.#question !== 'none'
  }

  get remoteAddress(): string {
    return this.#transport.remoteAddress
  }

  get secure(): boolean {
    return this.#transport.secure
  }

  forgetSession(): void {
    this.parameters.forgetUnreported(this.facts.welcome)
  }

  recycle(): boolean {
    return this.user?.recycle() ?? false
  }

  /** Runs a query of our own on a quiet link; the replies are swallowed. `done` gets the server's error, if any; never called if the link dies. */
  run(sql: string, done: (error: ReplyFields | undefined) => void): void {
    this.#job = { done, error: undefined, values: null }
    this.unnamedOwner = null
    this.ledger.asked(ASKED.inventedQuery)
    this.#transport.write(query(sql))
  }

  /** The query of our own that runs, for its timeout; null while a slow client keeps the server from being read. */
  get ownQuery(): object | null {
    return this.#paused ? null : this.#job
  }

  /**
   * The answer to an empty query shows that no ReadyForQuery of an ignored Sync is under way, and an error that waits for the next
   * command is spent on it (`Ledger.unclean`). `answered` follows.
   */
  cleanse(): void {
    this.ask('', () => this.user?.answered())
  }

  /** As `run`, on a link that a user has; `values` are the first column of the rows. */
  ask(sql: string, done: (error: ReplyFields | undefined, values: readonly string[]) => void): void {
    this.#question = 'own'
    const values: string[] = []
    this.run(sql, (error) => {
      this.#question = 'none'
      done(error, values)
    })
    if (this.#job !== null) this.#job.values = values
  }

  /** What is owed is pglease's own: it was not asked for by the user. */
  get asksItself(): boolean {
    return this.#question === 'own'
  }

  /** The user's ReadyForQuery that was held back (`LinkUser.settle`) is forwarded; `answered` follows. */
  endSettling(): void {
    if (this.channels?.settling !== true) return
    this.channels.settling = false
    const ready = readyForQuery('I')
    this.#forward(ready, 0, ready.length)
    this.user?.answered()
  }

  /** Ends the link: Terminate, then the server closes. A user that has it still is told; `linkClosed` follows when the server has closed. */
  shut(reason: CloseReason): void {
    if (this.closeReason !== undefined) return
    this.closeReason = reason
    const user = this.user
    this.user = null
    this.ledger.listener = null
    this.#job = null
    this.#transport.write(terminate())
    this.#transport.end(LINGER_MS)
    user?.linkLost(undefined, this.#streaming > 0 && this.#streamForwarded)
  }

  data(chunk: Buffer): void {
    if (this.closeReason !== undefined) return
    let buffer = chunk
    if (this.#carry !== null) {
      buffer = Buffer.concat([this.#carry, chunk])
      this.#carry = null
    }
    const end = buffer.length
    let run = 0
    let position = 0
    if (this.#streaming > 0) {
      position = Math.min(this.#streaming, end)
      this.#streaming -= position
      if (!this.#streamForwarded) run = position
    }
    while (end - position >= HEADER_LENGTH) {
      const type = buffer[position] as number
      const total = 1 + lengthAt(buffer, position + 1)
      if (total < HEADER_LENGTH || total > LONGEST) return this.#violation(buffer, run, position)
      const available = end - position
      if (available < total && (mustBeWhole(type) || (type === DATA_ROW && this.#collects))) {
        if (available < WHOLE_LIMIT) break
        if (type !== ERROR_RESPONSE) return this.#violation(buffer, run, position)
      }
      const answer = this.#answer(type, buffer, position, Math.min(total, available))
      if (answer === ANSWER.violation) return this.#violation(buffer, run, position)
      if (this.#fatal !== undefined) {
        this.#forward(buffer, run, position)
        return this.#lose('server_fatal')
      }
      if (answer === ANSWER.parseComplete) buffer[position] = PARSE_COMPLETE
      let next = position + Math.min(total, available)
      if ((type === DATA_ROW && !this.#collects) || type === COPY_DATA) next = endOfRun(buffer, next, type)
      if (answer === ANSWER.swallow) {
        this.#forward(buffer, run, position)
        run = next
      }
      position = next
      if (total > available) {
        this.#streaming = total - available
        this.#streamForwarded = answer !== ANSWER.swallow && this.user !== null
      }
    }
    this.#forward(buffer, run, position)
    if (position < end) this.#carry = buffer.subarray(position)
    // the end of a message of which the user got the begin is the user's too
    if (this.#wake && this.#streaming === 0) this.#awaken()
  }

  /** Looks at one message, of which `total` bytes are there (all where `mustBeWhole`), and says whether the user gets it. */
  #answer(type: number, buffer: Buffer, position: number, total: number): number {
    const inJob = this.#job !== null && this.ledger.head === ASKED.inventedQuery
    switch (type) {
      case NOTIFICATION_RESPONSE:
        return this.#notification(buffer, position, total)
      case NOTICE_RESPONSE:
        return this.user === null || inJob ? ANSWER.swallow : ANSWER.forward
      case PARAMETER_STATUS:
        return this.#parameterStatus(buffer, position, total, inJob)
      case ERROR_RESPONSE:
        return this.#errorResponse(buffer, position, total, inJob)
      case READY_FOR_QUERY:
        return total === 6 ? this.#ready(buffer, position) : ANSWER.violation
      case COMMAND_COMPLETE:
        if (this.facts.hasServerRole && !inJob && answersSet(buffer, position + HEADER_LENGTH)) this.roleMayDiffer = true
        if (this.channels !== null) this.channels.completed(buffer, position + HEADER_LENGTH, position + total)
        if (this.statements !== null) this.#statementsTag(buffer, position + HEADER_LENGTH, position + total)
        return this.ledger.answered(type, 0)
      case DATA_ROW:
        if (this.ledger.quiet) return ANSWER.violation
        if (inJob && this.#collects) this.#collect(buffer, position, total)
        return inJob ? ANSWER.swallow : ANSWER.forward
      case COPY_IN_RESPONSE:
        // what waits for the end of earlier requests may be the end of this COPY
        this.#wake = true
        return this.ledger.answered(type, 0)
      default:
        return this.ledger.answered(type, 0)
    }
  }

  get #collects(): boolean {
    return this.#job !== null && this.#job.values !== null
  }

  #collect(buffer: Buffer, position: number, total: number): void {
    const row = decodeDataRow(buffer.subarray(position, position + total))
    this.#job?.values?.push(row?.[0] ?? '')
  }

  /** In session mode the user listens itself; else only what `channels` says is its own. */
  #notification(buffer: Buffer, position: number, total: number): number {
    if (this.listener !== null) {
      this.listener.heard(Buffer.from(buffer.subarray(position, position + total)))
      return ANSWER.swallow
    }
    if (this.user === null) return ANSWER.swallow
    if (this.channels !== null && !this.channels.passes(channelOf(buffer, position, position + total))) return ANSWER.swallow
    if (senderOf(buffer, position) === this.facts.processId) setSender(buffer, position, this.sender)
    return ANSWER.forward
  }

  /** SQL may drop or prepare statements too. */
  #statementsTag(buffer: Buffer, start: number, end: number): void {
    if (dropsStatements(buffer, start, end)) this.statements?.forgetAll()
    // what pglease itself prepared is dropped by what follows
    else if (this.ledger.head !== ASKED.inventedQuery && answersPrepare(buffer, start, end)) this.statements?.pin()
  }

  #parameterStatus(buffer: Buffer, position: number, total: number, inJob: boolean): number {
    const parameter = parseParameterStatus(buffer, position + HEADER_LENGTH, position + total)
    if (parameter === undefined) return ANSWER.violation
    this.parameters.set(parameter[0], parameter[1])
    this.facts.fit?.heard(parameter[0], parameter[1])
    if (this.user === null || inJob) return ANSWER.swallow
    this.user.parameterChanged(parameter[0], parameter[1])
    return ANSWER.forward
  }

  #errorResponse(buffer: Buffer, position: number, total: number, inJob: boolean): number {
    if (isFatal(buffer, position + HEADER_LENGTH, position + total)) {
      this.#fatal = parseFields(buffer, position + HEADER_LENGTH, position + total)
      return ANSWER.swallow
    }
    if (inJob) {
      if (this.#job !== null) this.#job.error = parseFields(buffer, position + HEADER_LENGTH, position + total)
      return this.ledger.answered(ERROR_RESPONSE, 0)
    }
    if (this.user === null && this.ledger.quiet) return ANSWER.swallow
    if (this.facts.fit !== undefined) this.facts.fit.refused(parseFields(buffer, position + HEADER_LENGTH, position + total).sqlstate)
    if (this.#isStalePlan(buffer, position + HEADER_LENGTH, position + total)) this.statements?.user?.planChanged()
    const answer = this.ledger.answered(ERROR_RESPONSE, 0)
    if (this.ledger.skipping) this.#wake = true
    if (!this.overdue || this.ledger.status !== STATUS_IDLE || this.ledger.owed !== 1 || total <= lengthAt(buffer, position + 1))
      return answer
    const held = HeldRefusal.of(buffer, position, position + total)
    if (held === null) return answer
    this.#held = held
    return ANSWER.swallow
  }

  /** "cached plan must not change result type", by its routine: the text may be translated; or the link lacks a retired statement. */
  #isStalePlan(buffer: Buffer, start: number, end: number): boolean {
    const { head } = this.ledger
    if (head !== ASKED.bindNamed && head !== ASKED.describeNamed) return false
    const { sqlstate, routine } = parseFields(buffer, start, end)
    return (sqlstate === '0A000' && routine === 'RevalidateCachedQuery') || sqlstate === '26000'
  }

  #ready(buffer: Buffer, position: number): number {
    const status = buffer[position + HEADER_LENGTH] as number
    const answer = this.ledger.answered(READY_FOR_QUERY, status)
    if (answer === ANSWER.violation) return answer
    this.#wake = true
    if (answer === ANSWER.swallow) return answer
    this.#meter.query()
    if (status === STATUS_IDLE) this.#meter.transaction()
    else if (this.user?.refusesBlocks === true) {
      this.#blockBegan = true
      return ANSWER.violation
    }
    if (this.channels !== null && status === STATUS_IDLE && this.channels.ready(this.ledger.settled)) return ANSWER.swallow
    if (this.#held === null) return answer
    this.#held.end(buffer, position, position + 6)
    // more was asked meanwhile: its answers must not overtake
    if (!this.ledger.settled) this.#forwardHeld()
    return ANSWER.swallow
  }

  #forwardHeld(): void {
    const reply = this.#held?.bytes
    this.#held = null
    if (reply !== undefined) this.#forward(reply, 0, reply.length)
  }

  #awaken(): void {
    this.#wake = false
    const job = this.#job
    if (job !== null && this.ledger.quiet) {
      this.#job = null
      return job.done(job.error)
    }
    if (this.#held !== null && this.ledger.settled) return this.#testRole()
    this.#tellAnswered()
  }

  #tellAnswered(): void {
    if (this.channels?.settling === true) this.user?.settle()
    else this.user?.answered()
  }

  #testRole(): void {
    this.#question = 'role'
    this.run(ROLE_TEST, (error) => {
      this.#question = 'none'
      this.#forwardHeld()
      if (error?.sqlstate === ROLE_GONE) this.owner?.roleGone(this)
      this.#tellAnswered()
    })
  }

  #forward(buffer: Buffer, start: number, end: number): void {
    if (start >= end || this.user === null) return
    if (this.user.forward(buffer, start, end) || this.#paused) return
    this.#paused = true
    this.#transport.pause()
  }

  #violation(buffer: Buffer, run: number, position: number): void {
    this.#forward(buffer, run, position)
    if (this.#blockBegan) return this.user?.blockBegan()
    this.#lose('server_protocol_violation')
  }

  drain(): void {
    this.user?.linkDrained()
  }

  /** Named statements from now on; `statements` hears what becomes of them. */
  useStatements(statements: LinkStatements): void {
    this.statements = statements
    this.ledger.named = statements
  }

  /** The server closes only for good: what is left to send would not be read. */
  end(): void {
    if (this.closeReason === undefined) this.#lose(this.#fatal === undefined ? 'server_closed' : 'server_fatal')
  }

  close(end: TransportEnd): void {
    if (this.#closed) return
    this.#closed = true
    if (this.closeReason === undefined) this.#tellUser(end.kind === 'error' || this.#fatal === undefined ? 'server_closed' : 'server_fatal')
    // after the user, who takes back what was not answered
    this.statements?.clear()
    this.owner?.linkClosed(this, this.closeReason ?? 'server_closed')
  }

  /** After a FATAL the server closes by itself, and the link counts until it has. */
  #lose(reason: CloseReason): void {
    this.#tellUser(reason)
    this.#transport.end(reason === 'server_fatal' ? LINGER_MS : 0)
  }

  #tellUser(reason: CloseReason): void {
    this.closeReason = reason
    const user = this.user
    this.user = null
    this.ledger.listener = null
    this.#job = null
    this.owner?.linkDying(this)
    user?.linkLost(this.#fatal, this.#streaming > 0 && this.#streamForwarded)
  }
}

const mustBeWhole = (type: number): boolean =>
  type === READY_FOR_QUERY ||
  type === ERROR_RESPONSE ||
  type === COMMAND_COMPLETE ||
  type === PARAMETER_STATUS ||
  type === NOTIFICATION_RESPONSE
