// LISTEN of one session in transaction mode: what it listens to, how that changes with its transactions, and the notifications that wait for it.
import { randomBytes } from 'node:crypto'
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Listening } from '../pool/listening.ts'
import type { Subscriber } from '../pool/subscriptions.ts'
import type { Link } from '../server/link.ts'
import { CHANNELS_QUERY, channelIn, type LinkChannels } from '../server/link_channels.ts'
import { STATUS_IDLE } from '../wire/codes.ts'
import { channelOf, quotedChannel } from '../wire/notification.ts'
import type { SessionParts } from './session_parts.ts'

/** The session, as seen from here. */
export interface ChannelsHost {
  readonly parts: SessionParts
  /** No transaction runs, its client has all replies, and reads them. */
  readonly takesNotifications: boolean
  /** False = the client is slow: no more until `deliver` is called. */
  forward(buffer: Buffer, start: number, end: number): boolean
  fail(error: PgleaseError, reason: CloseReason): void
}

/** What waits for a client that is in a transaction, or does not read. */
const QUEUE_LIMIT_BYTES = 8 * 1024 * 1024
/** Put on a link beside the session's own channels: while it is there, none of those was rolled back. */
const MARKER = `pglease_${randomBytes(12).toString('hex')}`
const QUERY_CANCELED = '57014'
const NONE: ReadonlySet<string> = new Set()

export class SessionChannels implements Subscriber {
  #names: ReadonlySet<string> = NONE
  readonly #host: ChannelsHost
  readonly #listening: Listening<Link>
  #queue: Buffer[] = []
  #queuedBytes = 0

  constructor(host: ChannelsHost, listening: Listening<Link>) {
    this.#host = host
    this.#listening = listening
  }

  /** What the session listens to; null: nothing. */
  get names(): ReadonlySet<string> | null {
    return this.#names.size === 0 ? null : this.#names
  }

  /** Notifications wait for the end of a transaction. */
  get pending(): boolean {
    return this.#queue.length > 0
  }

  notified(message: Buffer): void {
    this.#host.parts.meter.notified()
    if (this.#queue.length === 0 && this.#host.takesNotifications) {
      this.#host.forward(message, 0, message.length)
      return
    }
    this.#queue.push(message)
    this.#queuedBytes += message.length
    if (this.#queuedBytes <= QUEUE_LIMIT_BYTES) return
    this.#host.fail(new PgleaseError('notifications_unread', `${QUEUE_LIMIT_BYTES} bytes wait`), 'notifications_unread')
  }

  listeningLost(): void {
    this.#names = NONE
    this.#host.fail(new PgleaseError('listening_lost'), 'listening_lost')
  }

  /** Sends what waits; the session is at a place where its client takes notifications. */
  deliver(): void {
    if (this.#queue.length === 0) return
    let sent = 0
    for (const message of this.#queue) {
      sent++
      this.#queuedBytes -= message.length
      if (!this.#host.forward(message, 0, message.length)) break
    }
    this.#queue = this.#queue.slice(sent)
  }

  /** The session is over. */
  leave(): void {
    this.#queue = []
    this.#queuedBytes = 0
    if (this.#names.size > 0) this.#listening.leave(this)
    this.#names = NONE
  }

  /** Before the session's first request on a link that another used last: what that one sent must not pass for the session's own. */
  hearOut(done: () => void): void {
    this.#listening.hearOut(this, (error) => this.#goOn(error, done))
  }

  /**
   * A transaction on `link` is over. `done` is called when the listening link has taken over what the session listens to now, and all
   * notifications of the transaction are there; not if the session was ended instead.
   */
  settle(link: Link, done: () => void): void {
    const { channels } = link
    if (channels === null || !channels.changed) return this.#heardAll(done)
    link.ask(CHANNELS_QUERY, (error, values) => {
      // the client's cancel request meant its own query
      if (error?.sqlstate === QUERY_CANCELED) return this.settle(link, done)
      if (error !== undefined) return this.#goOn(new PgleaseError('listen_failed', `${error.message} (SQLSTATE ${error.sqlstate})`), done)
      const names = this.#after(channels, new Set(values.map(channelIn)))
      const isSame = names.size === this.#names.size && [...names].every((name) => this.#names.has(name))
      const { early } = channels
      channels.listened = values.length > 0
      this.#names = names
      if (!isSame) this.#dropUnwanted()
      // until the next session has the link it is cleaned, and what it hears is heard by the listening link
      const taken = () => {
        channels.asked(this.names)
        done()
      }
      if (isSame) this.#heardAll(taken)
      else this.#listening.listen(this, names, (failed) => this.#goOn(failed, early ? () => link.ask('', taken) : taken))
    })
  }

  /** Puts the session's channels on `link`, which is between two requests; see `Seed`. */
  seed(link: Link, done: () => void): void {
    const statements = [MARKER, ...this.#names].map((name) => `LISTEN ${quotedChannel(name)}`)
    link.ask(statements.join(';'), (error) => {
      if (error?.sqlstate === QUERY_CANCELED && link.ledger.status === STATUS_IDLE) return this.seed(link, done)
      const { channels } = link
      if (channels !== null) channels.seed = error !== undefined ? 'refused' : link.ledger.status === STATUS_IDLE ? 'committed' : 'open'
      done()
    })
  }

  /** What waits on a channel that the transaction ceased to listen to, also when it sent it itself, is not delivered. */
  #dropUnwanted(): void {
    this.#queue = this.#queue.filter((message) => this.#names.has(channelOf(message, 0, message.length)))
    this.#queuedBytes = this.#queue.reduce((bytes, { length }) => bytes + length, 0)
  }

  #heardAll(done: () => void): void {
    if (this.#names.size === 0) done()
    else this.hearOut(done)
  }

  /** What the session listens to when the server of its link has `left`. In doubt it hears too much rather than too little. */
  #after({ seed, discarded }: LinkChannels, left: Set<string>): Set<string> {
    const certain = left.delete(MARKER) || seed === 'committed' || discarded
    if (!certain) for (const name of this.#names) left.add(name)
    return left
  }

  #goOn(error: PgleaseError | undefined, done: () => void): void {
    if (error === undefined) done()
    else this.#host.fail(error, 'listen_failed')
  }
}
