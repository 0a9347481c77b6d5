// One logged-in server connection: frames the server's bytes, keeps its ledger and parameters, and forwards to its user.
import type { CloseReason } from '../errors.ts'
import type { Transport, TransportEnd, TransportHandler } from '../net/transport.ts'
import { COPY_DATA, DATA_ROW, ERROR_RESPONSE, HEADER_LENGTH, PARAMETER_DESCRIPTION, ROW_DESCRIPTION } from '../wire/codes.ts'
import { endOfRun, lengthAt } from '../wire/frame.ts'
import { Ledger } from '../wire/ledger.ts'
import { ANSWER } from '../wire/ledger_listener.ts'
import type { Parameters } from '../wire/parameters.ts'
import { terminate } from '../wire/pgprotocol.ts'
import { PLAN_CHANGED, type ReplyFields, readyForQuery } from '../wire/reply.ts'
import { ROLE_GONE, ROLE_TEST } from './held_refusal.ts'
import type { LinkChannels } from './link_channels.ts'
import type { LinkFacts } from './link_facts.ts'
import type { LinkMeter, LinkOwner, NotificationListener } from './link_owner.ts'
import type { LinkUser } from './link_user.ts'
import { Replies } from './replies.ts'
import type { LinkStatements } from './statements.ts'

/** Messages that are looked into wait for their end, up to here. Of a longer ErrorResponse the begin says enough. */
const WHOLE_LIMIT = 64 * 1024
/** The same for descriptions: a statement may have 65,535 parameters, whose types are four bytes each. */
const DESCRIPTION_LIMIT = 512 * 1024
/** How long a closed link may take to be closed by the server too. */
const LINGER_MS = 5000
/** PostgreSQL's lengths are signed. */
const LONGEST = 1 + 0x7fffffff

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
  owner: LinkOwner<Link> | null = null
  idleSinceMs = 0
  /** The pool's: in which of its lists the link is. */
  listed: 'idle' | 'active' | 'tested' | 'being_canceled' | 'closing' | undefined
  /** A SET was seen since the last RESET ROLE. */
  roleMayDiffer = false
  needsReset = false
  /** Its user said RESET or DISCARD ALL. */
  wasReset = false
  /** The lease is past its end: replies of a role that is gone are questioned. */
  overdue = false
  /** Its address is no longer one of the host's. */
  moved = false
  closeReason: CloseReason | undefined
  readonly #transport: Transport
  readonly #replies: Replies
  #carry: Buffer | null = null
  #streaming = 0
  #streamForwarded = true
  #closed = false
  #paused = false

  constructor(transport: Transport, facts: LinkFacts, meter: LinkMeter) {
    this.#transport = transport
    this.facts = facts
    this.generation = facts.generation
    this.parameters = facts.parameters
    this.#replies = new Replies(this, meter)
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

  /** The user got the begin of a message whose end has not come. */
  get midReply(): boolean {
    return this.#streaming > 0 && this.#streamForwarded
  }

  /** The link asks a question of its own: its user sends nothing meanwhile. */
  get questioning(): boolean {
    return this.#replies.own.question !== 'none'
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
    this.#send(sql, done, null)
  }

  #send(sql: string, done: (error: ReplyFields | undefined) => void, values: string[] | null): void {
    this.unnamedOwner = null
    this.#transport.write(this.#replies.own.begin(sql, done, values))
  }

  /** The query of our own that runs, for its timeout; null while a slow client keeps the server from being read. */
  get ownQuery(): object | null {
    return this.#paused ? null : this.#replies.own.running
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
    const { own } = this.#replies
    own.question = 'own'
    const values: string[] = []
    const answered = (error: ReplyFields | undefined) => {
      own.question = 'none'
      done(error, values)
    }
    this.#send(sql, answered, values)
  }

  /** What is owed is pglease's own: it was not asked for by the user. */
  get asksItself(): boolean {
    return this.#replies.own.question === 'own'
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
    this.#replies.own.drop()
    this.#transport.write(terminate())
    this.#transport.end(LINGER_MS)
    user?.linkLost(undefined)
  }

  data(chunk: Buffer): void {
    if (this.closeReason !== undefined) return
    const replies = this.#replies
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
      if (available < total && replies.mustBeWhole(type)) {
        if (available < (type === ROW_DESCRIPTION || type === PARAMETER_DESCRIPTION ? DESCRIPTION_LIMIT : WHOLE_LIMIT)) break
        if (type !== ERROR_RESPONSE) return this.#violation(buffer, run, position)
      }
      const answer = replies.answer(type, buffer, position, Math.min(total, available))
      if (answer === ANSWER.violation) return this.#violation(buffer, run, position)
      if (replies.fatal !== undefined) {
        this.#forward(buffer, run, position)
        return this.#lose('server_fatal')
      }
      let next = position + Math.min(total, available)
      if ((type === DATA_ROW && !replies.own.collects) || type === COPY_DATA) next = endOfRun(buffer, next, type)
      if (answer !== ANSWER.forward) {
        this.#forward(buffer, run, position)
        run = next
        if (answer === ANSWER.held) this.#forwardHeld()
        else if (answer === ANSWER.refused) this.#forward(PLAN_CHANGED, 0, PLAN_CHANGED.length)
      }
      position = next
      if (total > available) {
        this.#streaming = total - available
        this.#streamForwarded = answer === ANSWER.forward && this.user !== null
      }
    }
    this.#forward(buffer, run, position)
    if (position < end) this.#carry = buffer.subarray(position)
    // the end of a message of which the user got the begin is the user's too
    if (replies.wake && this.#streaming === 0) this.#awaken()
  }

  #forwardHeld(): void {
    const reply = this.#replies.held?.bytes
    this.#replies.held = null
    if (reply !== undefined) this.#forward(reply, 0, reply.length)
  }

  #awaken(): void {
    this.#replies.wake = false
    if (this.#replies.own.end()) return
    if (this.#replies.held !== null && this.ledger.settled) return this.#testRole()
    this.#tellAnswered()
  }

  #tellAnswered(): void {
    if (this.channels?.settling === true) this.user?.settle()
    else this.user?.answered()
  }

  #testRole(): void {
    this.#replies.own.question = 'role'
    this.run(ROLE_TEST, (error) => {
      this.#replies.own.question = 'none'
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
    if (this.#replies.blockBegan) return this.user?.blockBegan()
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
    if (this.closeReason === undefined) this.#lose(this.#replies.fatal === undefined ? 'server_closed' : 'server_fatal')
  }

  close(end: TransportEnd): void {
    if (this.#closed) return
    this.#closed = true
    if (this.closeReason === undefined)
      this.#tellUser(end.kind === 'error' || this.#replies.fatal === undefined ? 'server_closed' : 'server_fatal')
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
    this.#replies.own.drop()
    this.owner?.linkDying(this)
    user?.linkLost(this.#replies.fatal)
  }
}
