// One client after its greeting: which link it holds, what it waits for, and how it ends.
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { TransportEnd, TransportHandler } from '../net/transport.ts'
import type { Waiter } from '../pool/waiters.ts'
import type { Link } from '../server/link.ts'
import type { LinkUser } from '../server/link_user.ts'
import { STATUS_IDLE } from '../wire/codes.ts'
import type { ReplyFields } from '../wire/reply.ts'
import { ClientPause, PAUSED_FOR } from './client_pause.ts'
import { HeldLink } from './held_link.ts'
import { HIGH_WATER_BYTES, Relay, type RelayHost } from './relay.ts'
import { SessionChannels } from './session_channels.ts'
import { tellFailure } from './session_failure.ts'
import { SessionTimes } from './session_meter.ts'
import type { SessionParts } from './session_parts.ts'
import { canceledReply, lostLinkFatal, lostLinkReplies, recyclingNotice, waitingNotice } from './session_replies.ts'
import { moved, type SessionState } from './session_state.ts'

const LINGER_MS = 2000

export class Session implements TransportHandler, LinkUser, RelayHost, Waiter<Link> {
  readonly parts: SessionParts
  /** Session mode. */
  readonly keepsLink: boolean
  /** Statement mode. */
  readonly refusesBlocks: boolean
  state: SessionState = 'idle'
  waitingSinceMs = 0
  noticed = false
  readonly #relay: Relay
  readonly #held: HeldLink
  readonly #pause: ClientPause
  readonly #times: SessionTimes
  /** Null until the session says LISTEN. */
  #channels: SessionChannels | null = null
  /** Nobody reads any more; what was asked is still carried out. */
  #gone = false

  constructor(parts: SessionParts) {
    this.parts = parts
    this.keepsLink = parts.pool.settings.pool_mode === 'session'
    this.refusesBlocks = parts.pool.settings.pool_mode === 'statement'
    this.#relay = new Relay(this, parts.maxPacketSize)
    this.#held = new HeldLink(this, this.#relay, parts)
    this.#pause = new ClientPause(parts.transport)
    this.#times = new SessionTimes(parts.clock, parts.meter)
  }

  get link(): Link | null {
    return this.#held.link
  }

  /** Since when it runs, waits or rests, for timeouts. */
  get times(): Readonly<SessionTimes> {
    return this.#times
  }

  // The client's side (TransportHandler).

  data(chunk: Buffer): void {
    if (this.state === 'ending' || this.state === 'closed') return
    this.parts.meter.received(chunk.length)
    if ((this.state === 'active' || this.state === 'idle') && !this.#pause.forReplies) {
      this.#times.requested()
      if (this.keepsLink && this.state === 'active') this.#times.began()
      this.#relay.feed(chunk)
    } else {
      // still read, so that a client that leaves is seen and its query does not run; what comes is kept
      this.#relay.holding = true
      this.#relay.feed(chunk)
    }
  }

  drain(): void {
    this.link?.resume()
    const wasSlow = this.#pause.forReplies
    this.#pause.remove(PAUSED_FOR.replies)
    if (wasSlow && this.takesNotifications) this.#channels?.deliver()
    if (wasSlow && (this.state === 'active' || this.state === 'idle')) this.#goOn()
  }

  end(): void {
    // as with one that says Terminate while its requests run: what waits for a link is still carried out
    if (this.state !== 'ending' && !this.#relay.saysTerminate) this.#close('client_lost')
  }

  close(_end: TransportEnd): void {
    if (this.state !== 'ending') return this.#close('client_lost')
    this.#gone = true
    this.link?.resume()
  }

  // What the relay asks for (RelayHost).

  checkout(): Link | null {
    if (this.state !== 'idle') return null
    this.#move('waiting')
    const link = this.parts.pool.checkout(this, this.#times.requestedMs)
    if (link === null) return null
    return this.#attach(link)
  }

  mustYield(link: Link): boolean {
    const { pool } = this.parts
    if (link.questioning || link.channels?.changed === true || this.#channels?.pending === true) return true
    return this.keepsLink ? pool.mustRecycle(link) : pool.mustYield(link)
  }

  seed(link: Link): void {
    // the LISTEN was a Query, which ended what the server held
    this.#channels?.seed(link, () => {
      this.#relay.unnamed.attach(link)
      this.#goOn()
    })
  }

  linkFull(): void {
    this.#pause.add(PAUSED_FOR.link)
  }

  clientAhead(): void {
    this.#pause.add(PAUSED_FOR.ahead)
  }

  terminated(): void {
    const ledger = this.#relay.link?.ledger
    // what was asked before the Terminate is still carried out and answered, as PostgreSQL does; what has no Sync is not
    if (ledger === undefined || ledger.owed === 0 || ledger.copyIn) return this.#close('client_terminated')
    this.#move('ending')
  }

  refuse(code: 'protocol_violation' | 'message_too_large' | 'named_statement_refused', detail: string): void {
    this.fail(new PgleaseError(code, detail), 'client_protocol_violation')
  }

  // The pool's answers (Waiter).

  linkReady(link: Link): void {
    this.#times.waited(this.waitingSinceMs)
    this.#relay.link = this.#attach(link)
    if (this.#relay.link !== null) this.#goOn()
  }

  linkRefused(error: PgleaseError): void {
    if (this.waitingSinceMs > 0) this.#times.waited(this.waitingSinceMs)
    this.fail(error, error.code === 'query_wait_timeout' ? 'query_wait_timeout' : 'login_failed')
  }

  stillWaiting(): void {
    this.parts.transport.write(waitingNotice(this.parts.pool.cause))
  }

  // The link's side (LinkUser).

  forward(buffer: Buffer, start: number, end: number): boolean {
    this.parts.meter.sent(end - start)
    if (this.#gone) return true
    if (this.parts.transport.write(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end))) return true
    // a client that does not read its replies gets no more of them by sending more requests
    this.#pause.add(PAUSED_FOR.replies)
    return false
  }

  answered(): void {
    const link = this.#relay.link
    if (link === null) return
    const { ledger } = link
    if (ledger.owed === 0 && ledger.atBoundary) this.#times.answered(ledger.status === STATUS_IDLE)
    else if (ledger.status === STATUS_IDLE) this.#times.nextTransaction()
    if (this.state === 'ending') {
      if (ledger.owed === 0 || ledger.copyIn) this.#close('client_terminated')
      return
    }
    const settled = this.#held.settled(link)
    if (settled && this.#held.restores(link)) return
    if (settled && this.keepsLink) this.#keep(link)
    else if (settled && link.statements?.pinned) {
      const refusal = this.#held.pinned(link)
      if (refusal !== undefined) return this.fail(refusal, 'pin_refused')
      if (this.parts.pool.mustRecycle(link) && this.recycle()) return
    } else if (settled && !this.#relay.unnamed.pinned) {
      // a ReadyForQuery that may yet come is this client's, and the error that waits nobody's
      if (ledger.unclean) return link.cleanse()
      this.#release(link)
    }
    if (this.#relay.holding && (this.#relay.link === null || ledger.owed === 0 || ledger.copyIn)) this.#goOn()
  }

  senderOf(processId: number): number {
    return this.parts.pool.senderOf(processId)
  }

  settle(): void {
    const link = this.#relay.link
    if (link === null) return
    const { listening } = this.parts.pool
    // who says Terminate listens no more
    if (this.state !== 'active' || listening === undefined) return link.endSettling()
    this.#move('settling')
    this.#channels ??= new SessionChannels(this, listening)
    const channels = this.#channels
    channels.settle(link, () => {
      if (this.state !== 'settling') return
      this.#relay.listens = channels.names !== null
      channels.deliver()
      this.#move('active')
      link.endSettling()
    })
  }

  linkDrained(): void {
    this.#pause.remove(PAUSED_FOR.link)
  }

  parameterChanged(name: string, value: string): void {
    this.#held.parameterChanged(name, value)
  }

  linkLost(fatal: ReplyFields | undefined, partialReply: boolean): void {
    const link = this.link as Link
    // what a client prepared there is gone with the link, and cannot be prepared elsewhere
    const keeps = this.keepsLink || link.statements?.pinned === true
    const { stays, unanswered: owed } = this.#held.lost(link, keeps, partialReply)
    let unanswered = owed
    // who sent more before it could know meant all of it: of a transaction none may be left to run by itself
    if (stays && owed > 0) while (this.#relay.takeBack()) unanswered++
    this.#pause.remove(PAUSED_FOR.link)
    this.parts.meter.clientError('server_lost')
    const ending = this.state === 'ending'
    if (!stays || ending || this.state === 'settling') {
      // within a reply it would be taken for the rest of a row
      if (!partialReply) this.parts.transport.write(lostLinkFatal(fatal))
      if (ending) return this.#finish('client_terminated')
      return this.#close(keeps ? 'server_lost_in_session' : 'server_lost_in_transaction')
    }
    if (unanswered > 0) this.parts.transport.write(lostLinkReplies(fatal, unanswered))
    this.#times.answered(true)
    this.#move('idle')
    if (this.takesNotifications) this.#channels?.deliver()
    this.#goOn()
  }

  /**
   * A cancel request while no server has what it means, because the session waits for a link or its link is prepared: its oldest request is
   * taken back and answered. False: the request is the server's to cancel.
   */
  cancelWaiting(): boolean {
    const waits = this.state === 'waiting'
    if (!waits && this.state !== 'preparing') return false
    if (!this.#relay.takeBack()) return !waits
    if (waits) this.parts.pool.leave(this)
    if (waits) this.#times.waited(this.waitingSinceMs)
    this.#times.answered(true)
    this.parts.meter.clientError('query_canceled')
    this.parts.transport.write(canceledReply())
    if (waits) this.#move('idle')
    if (waits) this.#goOn()
    return true
  }

  blockBegan(): void {
    this.fail(new PgleaseError('transaction_block_refused'), 'transaction_block')
  }

  recycle(): boolean {
    // what a client is in the middle of sending or reading is not cut off; requests that were held never began
    const sends = this.#relay.pendingBytes > 0 && !this.#relay.holding
    if (this.state !== 'active' || !this.#rests || sends || this.#pause.forReplies) return false
    if (this.link?.facts.fit?.serverUnfit === true) this.fail(new PgleaseError('session_host_unfit'), 'host_unfit')
    else {
      this.parts.transport.write(recyclingNotice())
      this.fail(new PgleaseError('session_recycled'), 'session_recycled')
    }
    return true
  }

  /** Tells the client with FATAL and closes. */
  fail(error: PgleaseError, reason: CloseReason): void {
    if (this.state === 'closed') return
    tellFailure(this.parts, error, this.link?.midReply === true)
    this.#close(reason)
  }

  /** At shutdown: a session that neither holds nor waits for a link ends with 57P01. */
  endIfIdle(): boolean {
    if (!this.#rests || this.#relay.pendingBytes > 0) return false
    this.fail(new PgleaseError('shutting_down'), 'idle_at_shutdown')
    return true
  }

  /** Nothing runs: also with a link that it keeps between transactions (session mode, or a statement too long to be kept). */
  get #rests(): boolean {
    return this.state === 'idle' || (this.state === 'active' && this.link?.ledger.settled === true && this.#relay.atMessageBoundary)
  }

  /** No transaction runs, and the client has all replies and reads them. */
  get takesNotifications(): boolean {
    return !this.#pause.forReplies && (this.state === 'waiting' || this.state === 'preparing' || this.#rests)
  }

  /** Session mode: the link has settled, and stays. */
  #keep(link: Link): void {
    // a query of pglease's own has ended what the server held
    if (link.unnamedOwner === null) this.#relay.unnamed.attach(link)
    if (this.parts.pool.mustRecycle(link)) this.recycle()
  }

  /** The link is ours: null while it is still brought to our parameters. */
  #attach(link: Link): Link | null {
    const channels = this.#channels
    const differing = this.#held.attach(link, channels === null ? null : channels.names)
    const isOther = channels !== null && this.#held.isOther(link)
    this.#times.began()
    if (differing.length === 0 && !isOther) {
      this.#move('active')
      return link
    }
    this.#move('preparing')
    const done = (error?: ReplyFields) => this.#prepared(error)
    if (isOther) this.#held.prepareOther(link, differing, (heard) => channels.hearOut(heard), done)
    else this.#held.prepare(link, differing, done)
    return null
  }

  #prepared(error?: ReplyFields): void {
    if (error !== undefined) {
      const refused = new PgleaseError('bad_parameter', `${error.message} (SQLSTATE ${error.sqlstate})`)
      return this.fail(refused, 'parameters_failed')
    }
    this.#move('active')
    this.#goOn()
    const { link } = this
    if (this.state !== 'active' || link === null) return
    if (!this.#held.settled(link)) this.#times.began()
    // what it was taken for was cancelled meanwhile
    else if (!this.keepsLink && !this.#pause.forReplies) this.#release(link)
  }

  /** Forwards what was kept, unless the client has yet to read the replies to what was forwarded before. */
  #goOn(): void {
    if (this.state === 'closed' || this.#pause.forReplies) return
    this.#relay.resume()
    if (this.#relay.pendingBytes < HIGH_WATER_BYTES) this.#pause.remove(PAUSED_FOR.ahead)
  }

  #release(link: Link): void {
    this.#held.detach(link)
    this.#pause.remove(PAUSED_FOR.link)
    this.#move('idle')
    this.parts.pool.release(link, this.#times.answeredMs)
    if (this.parts.leaving()) this.fail(new PgleaseError('shutting_down'), 'idle_at_shutdown')
  }

  /** Gives back or ends whatever the session holds, then closes the client's connection. */
  #close(reason: CloseReason): void {
    if (this.state === 'closed') return
    const { link } = this
    if (this.state === 'waiting') this.parts.pool.leave(this)
    if (link !== null) this.#held.giveUp(link, reason)
    this.#pause.remove(PAUSED_FOR.link)
    this.#finish(reason)
  }

  #finish(reason: CloseReason): void {
    if (this.state === 'closed') return
    this.#move('closed')
    this.#relay.named?.end()
    this.#channels?.leave()
    // who said Terminate is on its way out and has had all its replies
    if (reason === 'client_terminated') this.parts.transport.close()
    else this.parts.transport.end(LINGER_MS)
    this.parts.closed(reason)
  }

  #move(to: SessionState): void {
    this.state = moved(this.state, to)
  }
}
