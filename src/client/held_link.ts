// The server's side of a session: how it comes by its link, what becomes of what the server says, and how they part.
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Link } from '../server/link.ts'
import type { LinkUser } from '../server/link_user.ts'
import type { ReplyFields } from '../wire/reply.ts'
import { type ClientPause, PAUSED_FOR } from './client_pause.ts'
import { isReplaceable, unansweredBy } from './lost_link.ts'
import { differingParameters, prepareLink } from './prepare_link.ts'
import type { Relay } from './relay.ts'
import { Resets } from './resets.ts'
import { type ChannelsHost, SessionChannels } from './session_channels.ts'
import type { SessionTimes } from './session_meter.ts'
import type { SessionParts } from './session_parts.ts'
import { lostLinkFatal, lostLinkReplies, recyclingNotice } from './session_replies.ts'
import type { SessionState } from './session_state.ts'

/** The session, as its link's side sees it. */
interface Holder {
  readonly parts: SessionParts
  /** Session mode. */
  readonly keepsLink: boolean
  readonly state: SessionState
  move(to: SessionState): void
  /** Forwards what was kept of its requests. */
  goOn(): void
  /** Tells the client with FATAL and closes. */
  fail(error: PgleaseError, reason: CloseReason): void
  /** Closes. */
  shut(reason: CloseReason): void
}

export class HeldLink implements LinkUser, ChannelsHost {
  readonly parts: SessionParts
  /** Statement mode. */
  readonly refusesBlocks: boolean
  /** Null until the session says LISTEN. */
  channels: SessionChannels | null = null
  /** Nobody reads any more; what was asked is still carried out. */
  clientGone = false
  /** The link that is brought to the session's parameters. */
  #preparing: Link | null = null
  /** Once for a session. */
  #pinLogged = false
  /** Null while the server has reported no parameter in this transaction. */
  #resets: Resets | null = null
  readonly #session: Holder
  readonly #relay: Relay
  readonly #pause: ClientPause
  readonly #times: SessionTimes

  constructor(session: Holder, relay: Relay, pause: ClientPause, times: SessionTimes) {
    this.parts = session.parts
    this.refusesBlocks = session.parts.pool.settings.pool_mode === 'statement'
    this.#session = session
    this.#relay = relay
    this.#pause = pause
    this.#times = times
  }

  get link(): Link | null {
    return this.#relay.link ?? this.#preparing
  }

  /** Nothing runs: also with a link that it keeps between transactions (session mode, or a statement too long to be kept). */
  get rests(): boolean {
    const { state } = this.#session
    return state === 'idle' || (state === 'active' && this.#relay.link !== null && this.#settled(this.#relay.link))
  }

  /** No transaction runs, and the client has all replies and reads them. */
  get takesNotifications(): boolean {
    const { state } = this.#session
    return !this.#pause.forReplies && (state === 'waiting' || state === 'preparing' || this.rests)
  }

  /** Nothing that was begun on `link` is unfinished, on either side. */
  #settled(link: Link): boolean {
    return link.ledger.settled && this.#relay.atMessageBoundary && !link.midReply
  }

  // How the session comes by a link.

  /** The link is the session's: null while it is still brought to it. */
  take(link: Link): Link | null {
    const { parameters, id } = this.parts
    const channels = this.channels?.names ?? null
    link.user = this
    link.ledger.listener = this.#relay.unnamed
    this.#relay.unnamed.attach(link)
    this.#relay.named?.attach(link.statements, link.ledger)
    link.channels?.begin(channels)
    this.#relay.listens = channels !== null
    this.#times.began()
    // a session that listens can tell its own notifications from those of the session that had the link before
    const hearsOut = channels !== null && link.sender !== id
    if (channels === null) link.sender = id
    const differing = differingParameters(link, parameters)
    if (differing.length === 0 && !hearsOut) {
      this.#session.move('active')
      return link
    }
    this.#session.move('preparing')
    this.#preparing = link
    if (hearsOut) this.channels?.hearOut(() => this.#heardOut(link, differing))
    else this.#prepare(link, differing)
    return null
  }

  /** All that the session before has sent on `link` was heard. */
  #heardOut(link: Link, differing: readonly number[]): void {
    if (this.#preparing !== link) return
    link.sender = this.parts.id
    if (differing.length > 0) this.#prepare(link, differing)
    else this.#prepared(link)
  }

  #prepare(link: Link, differing: readonly number[]): void {
    prepareLink(link, this.parts, differing, (error) => {
      if (error !== undefined) {
        this.#detach(link)
        this.parts.pool.release(link)
        return this.fail(new PgleaseError('bad_parameter', `${error.message} (SQLSTATE ${error.sqlstate})`), 'parameters_failed')
      }
      // the SET was a Query, which ended what the server held
      this.#relay.unnamed.attach(link)
      this.#prepared(link)
    })
  }

  #prepared(link: Link): void {
    this.#preparing = null
    this.#relay.link = link
    this.#session.move('active')
    this.#session.goOn()
    if (this.#session.state === 'active' && !this.rests) this.#times.began()
    this.releaseUnused()
  }

  /** What the link was taken for was cancelled before it was asked, and the client reads. */
  releaseUnused(): void {
    const { link, unnamed } = this.#relay
    const stays = this.#session.keepsLink || this.#pause.forReplies || unnamed.pinned || link?.statements?.pinned === true
    if (link !== null && this.#session.state === 'active' && this.rests && !stays) this.#release(link)
  }

  // What comes from the server (LinkUser).

  forward(buffer: Buffer, start: number, end: number): boolean {
    this.parts.meter.sent(end - start)
    if (this.clientGone) return true
    if (this.parts.transport.write(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end))) return true
    // a client that does not read its replies gets no more of them by sending more requests
    this.#pause.add(PAUSED_FOR.replies)
    return false
  }

  answered(): void {
    const { link } = this.#relay
    if (link === null) return
    const { ledger } = link
    const session = this.#session
    this.#times.progressed(ledger)
    if (session.state === 'ending') {
      if (ledger.owed === 0 || ledger.copyIn) session.shut('client_terminated')
      return
    }
    const settled = this.#settled(link)
    if (settled && this.#restores(link)) return
    if (settled && session.keepsLink) this.#keep(link)
    else if (settled && link.statements?.pinned) {
      if (!this.#mayPin(link)) return this.fail(new PgleaseError('pin_refused'), 'pin_refused')
      if (this.parts.pool.mustRecycle(link) && this.recycle()) return
    } else if (settled && !this.#relay.unnamed.pinned) {
      // a ReadyForQuery that may yet come is this client's, and the error that waits nobody's
      if (ledger.unclean) return link.cleanse()
      this.#release(link)
    }
    if (this.#relay.holding && (this.#relay.link === null || ledger.owed === 0 || ledger.copyIn)) session.goOn()
  }

  settle(): void {
    const { link } = this.#relay
    if (link === null) return
    const session = this.#session
    const { listening } = this.parts.pool
    // who says Terminate listens no more
    if (session.state !== 'active' || listening === undefined) return link.endSettling()
    session.move('settling')
    this.channels ??= new SessionChannels(this, listening)
    const { channels } = this
    channels.settle(link, () => {
      if (session.state !== 'settling') return
      this.#relay.listens = channels.names !== null
      channels.deliver()
      session.move('active')
      link.endSettling()
    })
  }

  senderOf(processId: number): number {
    return this.parts.pool.senderOf(processId)
  }

  parameterChanged(name: string, value: string): void {
    if (!this.parts.parameters.set(name, value)) return
    this.#resets ??= new Resets(this.parts)
    this.#resets.reported(this.link as Link, name, value)
  }

  linkDrained(): void {
    this.#pause.remove(PAUSED_FOR.link)
  }

  blockBegan(): void {
    this.fail(new PgleaseError('transaction_block_refused'), 'transaction_block')
  }

  recycle(): boolean {
    // what a client is in the middle of sending or reading is not cut off; requests that were held never began
    const sends = this.#relay.pendingBytes > 0 && !this.#relay.holding
    if (this.#session.state !== 'active' || !this.rests || sends || this.#pause.forReplies) return false
    if (this.link?.facts.fit?.serverUnfit === true) this.fail(new PgleaseError('session_host_unfit'), 'host_unfit')
    else {
      this.parts.transport.write(recyclingNotice())
      this.fail(new PgleaseError('session_recycled'), 'session_recycled')
    }
    return true
  }

  linkLost(fatal: ReplyFields | undefined): void {
    const link = this.link as Link
    const { keepsLink, state } = this.#session
    const wasPreparing = this.#preparing !== null
    // what a client prepared there is gone with the link, and cannot be prepared elsewhere
    const keeps = keepsLink || link.statements?.pinned === true
    const stays = (!keeps || wasPreparing) && this.#relay.atMessageBoundary && isReplaceable(link)
    let unanswered = wasPreparing ? 0 : unansweredBy(link)
    this.#preparing = null
    this.#relay.unlink()
    // who sent more before it could know meant all of it: of a transaction none may be left to run by itself
    if (stays && unanswered > 0) while (this.#relay.takeBack()) unanswered++
    this.#pause.remove(PAUSED_FOR.link)
    this.parts.meter.clientError('server_lost')
    if (!stays || state === 'ending' || state === 'settling') {
      // within a reply it would be taken for the rest of a row
      if (!link.midReply) this.parts.transport.write(lostLinkFatal(fatal))
      if (state === 'ending') return this.#session.shut('client_terminated')
      return this.#session.shut(keeps ? 'server_lost_in_session' : 'server_lost_in_transaction')
    }
    if (unanswered > 0) this.parts.transport.write(lostLinkReplies(fatal, unanswered))
    this.#times.answered(true)
    this.#session.move('idle')
    this.deliver()
    this.#session.goOn()
  }

  // How they part.

  /** `link` has settled. True: what its client has reset is set to its own values, and `answered` follows. */
  #restores(link: Link): boolean {
    const resets = this.#resets
    this.#resets = null
    return link.wasReset && (resets ?? new Resets(this.parts)).restore(link, () => this.answered())
  }

  /** Session mode: the link has settled, and stays. */
  #keep(link: Link): void {
    // a query of pglease's own has ended what the server held
    if (link.unnamedOwner === null) this.#relay.unnamed.attach(link)
    if (this.parts.pool.mustRecycle(link)) this.recycle()
  }

  /** `link` has settled, and stays with the session for its statements: the first is logged. False: `max_pinned_connections` do already. */
  #mayPin({ statements, facts }: Link): boolean {
    if (statements === null || statements.pinNoted) return true
    statements.pinNoted = true
    const { pool, log, database, id } = this.parts
    const { max_pinned_connections } = pool.settings
    if (max_pinned_connections > 0 && pool.pinned > max_pinned_connections) return false
    const message = 'a statement that was prepared there keeps the server connection with its client'
    if (!this.#pinLogged) log.info('link_pinned', message, { database, client: id, link: facts.id })
    this.#pinLogged = true
    return true
  }

  #release(link: Link): void {
    this.#detach(link)
    this.#pause.remove(PAUSED_FOR.link)
    this.#session.move('idle')
    this.parts.pool.release(link, this.#times.answeredMs)
    if (this.parts.leaving()) this.fail(new PgleaseError('shutting_down'), 'idle_at_shutdown')
  }

  /** The session is over, for `reason`: the link serves others, or ends when it is in the middle of something. */
  giveUp(link: Link, reason: CloseReason): void {
    const { pool, cancel } = this.parts
    const settled = this.#settled(link) && !link.ledger.unclean
    const running = !link.ledger.quiet && !link.asksItself
    this.#detach(link)
    if (settled) return pool.release(link)
    if (running) cancel(link)
    pool.discard(link, reason === 'transaction_block' ? reason : 'client_gone_with_query')
  }

  #detach(link: Link): void {
    link.user = null
    link.ledger.listener = null
    link.resume()
    this.#preparing = null
    this.#relay.link = null
    this.#relay.unnamed.detach()
    this.#relay.named?.detach()
  }

  /** Sends the notifications that wait, if the client takes them now. */
  deliver(): void {
    if (this.takesNotifications) this.channels?.deliver()
  }

  fail(error: PgleaseError, reason: CloseReason): void {
    this.#session.fail(error, reason)
  }
}
