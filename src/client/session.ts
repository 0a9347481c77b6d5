// One client after its greeting: which link it holds, what it waits for, and how it ends.
import type { Clock } from '../clock.ts'
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Transport, TransportEnd, TransportHandler } from '../net/transport.ts'
import type { Pool } from '../pool/pool.ts'
import type { Waiter } from '../pool/waiters.ts'
import type { Link } from '../server/link.ts'
import type { LinkUser } from '../server/link_user.ts'
import { ASKED } from '../wire/asked.ts'
import { STATUS_IDLE } from '../wire/codes.ts'
import type { Parameters } from '../wire/parameters.ts'
import { parameterStatus, type ReplyFields } from '../wire/reply.ts'
import { ClientPause, PAUSED_FOR } from './client_pause.ts'
import { prepareLink, takeOverSpelling } from './prepare_link.ts'
import { HIGH_WATER_BYTES, Relay, type RelayHost } from './relay.ts'
import { type SessionMeter, SessionTimes } from './session_meter.ts'
import {
  canceledReply,
  detailBeside,
  failureReply,
  lostLinkFatal,
  lostLinkReplies,
  recyclingNotice,
  waitingNotice,
} from './session_replies.ts'

/** preparing: the link is brought to the session's parameters; ending: the client said Terminate and its last replies are awaited. */
export type SessionState = 'idle' | 'waiting' | 'preparing' | 'active' | 'ending' | 'closed'

const MOVES: Readonly<Record<SessionState, readonly SessionState[]>> = {
  idle: ['waiting', 'preparing', 'active', 'closed'],
  waiting: ['preparing', 'active', 'idle', 'closed'],
  preparing: ['active', 'closed', 'idle'],
  active: ['idle', 'ending', 'closed'],
  ending: ['closed'],
  closed: [],
}

export interface SessionParts {
  readonly id: number
  readonly database: string
  readonly user: string
  readonly transport: Transport
  readonly pool: Pool<Link>
  readonly parameters: Parameters
  readonly clock: Clock
  readonly log: Log
  readonly meter: SessionMeter
  readonly maxPacketSize: number
  /** `log_pooler_errors`. */
  readonly logErrors: boolean
  /** pglease is ending: a session ends with its transaction. */
  leaving(): boolean
  /** The session is over; called once. */
  closed(session: Session, reason: CloseReason): void
  /** Ends the query that runs on `link` (its client is gone). */
  cancel(link: Link): void
}

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
  readonly #pause: ClientPause
  readonly #times: SessionTimes
  /** The link that is brought to our parameters. */
  #preparing: Link | null = null
  /** Nobody reads any more; what was asked is still carried out. */
  #gone = false

  constructor(parts: SessionParts) {
    this.parts = parts
    this.keepsLink = parts.pool.settings.pool_mode === 'session'
    this.refusesBlocks = parts.pool.settings.pool_mode === 'statement'
    this.#relay = new Relay(this, parts.maxPacketSize)
    this.#pause = new ClientPause(parts.transport)
    this.#times = new SessionTimes(parts.clock, parts.meter)
  }

  get link(): Link | null {
    return this.#relay.link ?? this.#preparing
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
    if (wasSlow && (this.state === 'active' || this.state === 'idle')) this.#goOn()
  }

  end(): void {
    if (this.state !== 'ending') this.#close('client_lost')
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
    return link.questioning || (this.keepsLink ? pool.mustRecycle(link) : pool.mustYield(link))
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
    const settled = ledger.settled && this.#relay.atMessageBoundary
    if (settled && this.keepsLink) this.#keep(link)
    else if (settled && !this.#relay.unnamed.pinned && !link.statements?.pinned) {
      // a ReadyForQuery that may yet come is this client's, and the error that waits nobody's
      if (ledger.unclean) return link.cleanse()
      this.#release(link)
    }
    if (this.#relay.holding && (this.#relay.link === null || ledger.owed === 0 || ledger.copyIn)) this.#goOn()
  }

  linkDrained(): void {
    this.#pause.remove(PAUSED_FOR.link)
  }

  parameterChanged(name: string, value: string): void {
    this.parts.parameters.set(name, value)
  }

  linkLost(fatal: ReplyFields | undefined, partialReply: boolean): void {
    const link = this.link as Link
    const { ledger } = link
    this.#preparing = null
    this.#relay.unlink()
    this.#pause.remove(PAUSED_FOR.link)
    const stays =
      (!this.keepsLink || this.state === 'preparing') &&
      ledger.status === STATUS_IDLE &&
      !partialReply &&
      !ledger.copyIn &&
      !ledger.batchOpen &&
      !ledger.skipping &&
      this.#relay.atMessageBoundary
    this.parts.meter.clientError('server_lost')
    const ending = this.state === 'ending'
    if (!stays || ending) {
      this.parts.transport.write(lostLinkFatal(fatal))
      return ending
        ? this.#finish('client_terminated')
        : this.#close(this.keepsLink ? 'server_lost_in_session' : 'server_lost_in_transaction')
    }
    // the one in front of a DEALLOCATE
    const ownQueries = ledger.head === ASKED.inventedQuery && !link.questioning ? 1 : 0
    // what was asked for while the link was prepared or cleansed was never sent: it goes to the next link
    const unanswered = this.state === 'preparing' || link.cleansing ? 0 : ledger.owed - ownQueries
    if (unanswered > 0) this.parts.transport.write(lostLinkReplies(fatal, unanswered))
    this.#times.answered(true)
    this.#move('idle')
    this.#goOn()
  }

  /** A cancel request while the session waits for a link: its oldest request is taken back and answered. False: nothing was. */
  cancelWaiting(): boolean {
    if (this.state !== 'waiting' || !this.#relay.takeBack()) return false
    const { pool, meter, transport } = this.parts
    pool.leave(this)
    this.#times.waited(this.waitingSinceMs)
    this.#times.answered(true)
    meter.clientError('query_canceled')
    transport.write(canceledReply())
    this.#move('idle')
    this.#goOn()
    return true
  }

  blockBegan(): void {
    this.fail(new PgleaseError('transaction_block_refused'), 'transaction_block')
  }

  recycle(): boolean {
    // what a client is in the middle of sending or reading is not cut off; requests that were held never began
    const sends = this.#relay.pendingBytes > 0 && !this.#relay.holding
    if (this.state !== 'active' || !this.#rests || sends || this.#pause.forReplies) return false
    this.parts.transport.write(recyclingNotice())
    this.fail(new PgleaseError('session_recycled'), 'session_recycled')
    return true
  }

  /** Tells the client with FATAL and closes. */
  fail(error: PgleaseError, reason: CloseReason): void {
    if (this.state === 'closed') return
    this.parts.meter.clientError(error.code)
    this.parts.transport.write(failureReply(error))
    if (this.parts.logErrors) this.#logFailure(error)
    this.#close(reason)
  }

  #logFailure(error: PgleaseError): void {
    const detail = detailBeside(error)
    this.parts.log.info('pooler_error', `${error.message}${detail === '' ? '' : ` (${detail})`}`, {
      database: this.parts.database,
      client: this.parts.id,
      code: error.code,
    })
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

  /** Session mode: the link has settled, and stays. */
  #keep(link: Link): void {
    // a query of pglease's own has ended what the server held
    if (link.unnamedOwner === null) this.#relay.unnamed.attach(link)
    if (this.parts.pool.mustRecycle(link)) this.recycle()
  }

  /** The link is ours: null while it is still brought to our parameters. */
  #attach(link: Link): Link | null {
    link.user = this
    link.ledger.listener = this.#relay.unnamed
    this.#relay.unnamed.attach(link)
    this.#relay.named?.attach(link.statements)
    const { parameters } = this.parts
    this.#times.began()
    if (link.parameters.key === parameters.key) {
      this.#move('active')
      return link
    }
    const differing = parameters.differing(link.parameters)
    if (differing.length === 0) {
      this.#move('active')
      return link
    }
    this.#move('preparing')
    this.#preparing = link
    prepareLink(link, parameters, differing, (error) => this.#prepared(link, differing, error))
    return null
  }

  #prepared(link: Link, differing: readonly number[], error: ReplyFields | undefined): void {
    this.#preparing = null
    if (error !== undefined) {
      this.#detach(link)
      this.parts.pool.release(link)
      return this.fail(new PgleaseError('bad_parameter', `${error.message} (SQLSTATE ${error.sqlstate})`), 'parameters_failed')
    }
    const { parameters, transport } = this.parts
    takeOverSpelling(link, parameters, differing, (name, value) => transport.write(parameterStatus(name, value)))
    this.#move('active')
    // the SET was a Query, which ended what the server held
    this.#relay.unnamed.attach(link)
    this.#relay.link = link
    this.#goOn()
  }

  /** Forwards what was kept, unless the client has yet to read the replies to what was forwarded before. */
  #goOn(): void {
    if (this.state === 'closed' || this.#pause.forReplies) return
    this.#relay.resume()
    if (this.#relay.pendingBytes < HIGH_WATER_BYTES) this.#pause.remove(PAUSED_FOR.ahead)
  }

  #detach(link: Link): void {
    link.user = null
    link.ledger.listener = null
    link.resume()
    this.#relay.link = null
    this.#relay.unnamed.detach()
    this.#relay.named?.detach()
    this.#pause.remove(PAUSED_FOR.link)
  }

  #release(link: Link): void {
    this.#detach(link)
    this.#move('idle')
    this.parts.pool.release(link, this.#times.answeredMs)
    if (this.parts.leaving()) this.fail(new PgleaseError('shutting_down'), 'idle_at_shutdown')
  }

  /** Gives back or ends whatever the session holds, then closes the client's connection. */
  #close(reason: CloseReason): void {
    if (this.state === 'closed') return
    const link = this.link
    if (this.state === 'waiting') this.parts.pool.leave(this)
    if (link !== null) {
      const settled = link.ledger.settled && !link.ledger.unclean && this.#relay.atMessageBoundary && this.#preparing === null
      const running = !link.ledger.quiet && !link.cleansing
      this.#detach(link)
      this.#preparing = null
      if (settled) this.parts.pool.release(link)
      else {
        if (running) this.parts.cancel(link)
        this.parts.pool.discard(link, reason === 'transaction_block' ? reason : 'client_gone_with_query')
      }
    }
    this.#finish(reason)
  }

  #finish(reason: CloseReason): void {
    if (this.state === 'closed') return
    this.#move('closed')
    this.#relay.named?.end()
    // who said Terminate is on its way out and has had all its replies
    if (reason === 'client_terminated') this.parts.transport.close()
    else this.parts.transport.end(LINGER_MS)
    this.parts.closed(this, reason)
  }

  #move(to: SessionState): void {
    if (!MOVES[this.state].includes(to)) throw new Error(`a session cannot go from ${this.state} to ${to}`)
    this.state = to
  }
}
