// The client's side of a session: what the client sends, the wait for a link, and how the session ends.
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { TransportEnd, TransportHandler } from '../net/transport.ts'
import type { Waiter } from '../pool/waiters.ts'
import type { Link } from '../server/link.ts'
import { ClientPause, PAUSED_FOR } from './client_pause.ts'
import { HeldLink } from './held_link.ts'
import { HIGH_WATER_BYTES, Relay, type RelayHost } from './relay.ts'
import { tellFailure } from './session_failure.ts'
import { SessionTimes } from './session_meter.ts'
import type { SessionParts } from './session_parts.ts'
import { canceledReply, waitingNotice } from './session_replies.ts'
import { moved, type SessionState } from './session_state.ts'

const LINGER_MS = 2000

export class Session implements TransportHandler, RelayHost, Waiter<Link> {
  readonly parts: SessionParts
  /** Session mode. */
  readonly keepsLink: boolean
  state: SessionState = 'idle'
  waitingSinceMs = 0
  noticed = false
  readonly #relay: Relay
  readonly #held: HeldLink
  readonly #pause: ClientPause
  readonly #times: SessionTimes

  constructor(parts: SessionParts) {
    this.parts = parts
    this.keepsLink = parts.pool.settings.pool_mode === 'session'
    this.#relay = new Relay(this, parts.maxPacketSize)
    this.#pause = new ClientPause(parts.transport)
    this.#times = new SessionTimes(parts.clock, parts.meter)
    this.#held = new HeldLink(this, this.#relay, this.#pause, this.#times)
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
    if (!wasSlow) return
    this.#held.deliver()
    if (this.state === 'active' || this.state === 'idle') this.goOn()
    this.#held.releaseUnused()
  }

  end(): void {
    // as with one that says Terminate while its requests run: what waits for a link is still carried out
    if (this.state !== 'ending' && !this.#relay.saysTerminate) this.shut('client_lost')
  }

  close(_end: TransportEnd): void {
    if (this.state !== 'ending') return this.shut('client_lost')
    this.#held.clientGone = true
    this.link?.resume()
  }

  // What the relay asks for (RelayHost).

  checkout(): Link | null {
    if (this.state !== 'idle') return null
    this.move('waiting')
    const link = this.parts.pool.checkout(this, this.#times.requestedMs)
    return link === null ? null : this.#held.take(link)
  }

  mustYield(link: Link): boolean {
    const { pool } = this.parts
    if (link.questioning || link.channels?.changed === true || this.#held.channels?.pending === true) return true
    return this.keepsLink ? pool.mustRecycle(link) : pool.mustYield(link)
  }

  answered(): void {
    this.#held.answered()
  }

  seed(link: Link): void {
    // the LISTEN was a Query, which ended what the server held
    this.#held.channels?.seed(link, () => {
      this.#relay.unnamed.attach(link)
      this.goOn()
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
    if (ledger === undefined || ledger.owed === 0 || ledger.copyIn) return this.shut('client_terminated')
    this.move('ending')
  }

  refuse(code: 'protocol_violation' | 'message_too_large' | 'named_statement_refused', detail: string): void {
    this.fail(new PgleaseError(code, detail), 'client_protocol_violation')
  }

  // The pool's answers (Waiter).

  linkReady(link: Link): void {
    this.#waited()
    this.#relay.link = this.#held.take(link)
    if (this.#relay.link !== null) this.goOn()
  }

  linkRefused(error: PgleaseError): void {
    this.#waited()
    this.fail(error, error.code === 'query_wait_timeout' ? 'query_wait_timeout' : 'login_failed')
  }

  stillWaiting(): void {
    this.parts.transport.write(waitingNotice(this.parts.pool.cause))
  }

  /** The wait for a link is over; a refusal may come without one. */
  #waited(): void {
    if (this.waitingSinceMs > 0) this.#times.waited(this.waitingSinceMs)
    this.waitingSinceMs = 0
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
    if (waits) this.#waited()
    this.#times.answered(true)
    this.parts.meter.clientError('query_canceled')
    this.parts.transport.write(canceledReply())
    if (waits) this.move('idle')
    if (waits) this.goOn()
    return true
  }

  /** Tells the client with FATAL, unless it has the begin of a message and not its end, and closes. */
  fail(error: PgleaseError, reason: CloseReason): void {
    if (this.state === 'closed') return
    tellFailure(this.parts, error, this.link?.midReply === true)
    this.shut(reason)
  }

  /** At shutdown: a session of which nothing runs or waits ends with 57P01. False: it goes on. */
  endIfIdle(): boolean {
    if (!this.#held.rests || this.#relay.pendingBytes > 0) return false
    this.fail(new PgleaseError('shutting_down'), 'idle_at_shutdown')
    return true
  }

  /** Forwards what was kept, unless the client has yet to read the replies to what was forwarded before. */
  goOn(): void {
    if (this.state === 'closed' || this.#pause.forReplies) return
    this.#relay.resume()
    if (this.#relay.pendingBytes < HIGH_WATER_BYTES) this.#pause.remove(PAUSED_FOR.ahead)
  }

  /** Gives back or ends whatever the session holds, then closes the client's connection. */
  shut(reason: CloseReason): void {
    if (this.state === 'closed') return
    const { link } = this
    if (this.state === 'waiting') this.parts.pool.leave(this)
    if (link !== null) this.#held.giveUp(link, reason)
    this.#pause.remove(PAUSED_FOR.link)
    this.move('closed')
    this.#relay.named?.end()
    this.#held.channels?.leave()
    // who said Terminate is on its way out and has had all its replies
    if (reason === 'client_terminated') this.parts.transport.close()
    else this.parts.transport.end(LINGER_MS)
    this.parts.closed(reason)
  }

  move(to: SessionState): void {
    this.state = moved(this.state, to)
  }
}
