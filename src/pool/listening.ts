// LISTEN for the sessions of a pool in transaction mode: one link listens to all their channels, and moves from one credential to the next.
import type { Clock } from '../clock.ts'
import type { Credential } from '../credential.ts'
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { LinkLists } from './link_lists.ts'
import { CHECK_MS, ListeningCheck } from './listening_check.ts'
import { type ListenError, ListeningLink } from './listening_link.ts'
import { ListeningOverlap } from './listening_overlap.ts'
import type { Logins } from './logins.ts'
import type { PoolLink } from './pool_link.ts'
import type { Room } from './room.ts'
import { type Subscriber, Subscriptions } from './subscriptions.ts'

/** The pool, as seen from here. Settings in milliseconds. */
interface ListeningHost<L extends PoolLink> {
  readonly settings: { readonly query_wait_timeout: number; readonly server_idle_timeout: number }
  readonly room: Room<L>
  readonly lists: LinkLists<L>
}

interface ListeningParts<L> {
  readonly database: string
  readonly clock: Clock
  readonly log: Log
  open(credential: Credential): Promise<L>
}

type Done = (error?: PgleaseError) => void

interface Waiting {
  readonly subscriber: Subscriber
  readonly done: Done
  readonly sinceMs: number
}

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 5_000

export class Listening<L extends PoolLink> {
  readonly subscriptions = new Subscriptions()
  readonly #host: ListeningHost<L>
  readonly #parts: ListeningParts<L>
  readonly #logins: Logins<L>
  readonly #links = new Set<L>()
  #current: ListeningLink<L> | undefined
  /** Logged in, and brought to the channels. */
  #next: ListeningLink<L> | undefined
  #dialing = false
  readonly #overlap = new ListeningOverlap<L>()
  /** Sessions that listen and for which there was no link yet. */
  #waiting: Waiting[] = []
  #nextTryMs = 0
  #retryMs = 0
  /** When the next one was. */
  #openedMs = 0
  readonly #check = new ListeningCheck<L>()
  #cause = ''
  #unusedSinceMs = 0
  #closed = false

  constructor(host: ListeningHost<L>, logins: Logins<L>, parts: ListeningParts<L>) {
    this.#host = host
    this.#logins = logins
    this.#parts = parts
  }

  /** Links that are logging in or open. */
  get size(): number {
    return this.#links.size + (this.#dialing ? 1 : 0)
  }

  /** Those that are open. */
  get links(): Iterable<L> {
    return this.#links
  }

  /**
   * From now on `subscriber` hears of `channels` and no others. `done`: the server listens; or it cannot, for the error's reason, within
   * query_wait_timeout. Never called when the subscriber has left, or was told `listeningLost`.
   */
  listen(subscriber: Subscriber, channels: ReadonlySet<string>, done: Done): void {
    this.subscriptions.set(subscriber, channels)
    this.#used()
    if (channels.size === 0) {
      this.#current?.sync(() => {})
      return done()
    }
    if (this.#current !== undefined) return this.#sync(this.#current, subscriber, done)
    this.#waiting.push({ subscriber, done, sinceMs: this.#parts.clock.monotonicMs() })
    this.advance()
  }

  /** `done` is called when every notification was heard whose transaction was over before; never before this returns. */
  hearOut(subscriber: Subscriber, done: Done): void {
    if (this.#current === undefined) queueMicrotask(done)
    else this.#sync(this.#current, subscriber, done)
  }

  leave(subscriber: Subscriber): void {
    this.subscriptions.set(subscriber, new Set())
    this.#waiting = this.#waiting.filter((waiting) => waiting.subscriber !== subscriber)
    this.#used()
    // what nobody wants any more is dropped
    this.#current?.sync(() => {})
    if (this.#closed && this.subscriptions.sessions === 0) this.#shutAll('pool_closed')
  }

  /** Opens a link where one is due: for those who wait, or with a new credential. */
  advance(): void {
    const credential = this.#logins.current
    const nowMs = this.#parts.clock.monotonicMs()
    if (this.#closed || this.#dialing || this.#next !== undefined || nowMs < this.#nextTryMs) return
    if (credential === undefined || this.#logins.generations.isOverdue(credential.generation)) return
    const due = this.#current === undefined ? this.#waiting.length > 0 : this.#current.link.generation !== credential.generation
    if (!due) return
    if (this.#host.room.takenBeside()) return this.#open(credential)
    this.#cause = 'the limits on server connections leave no place for the one that listens'
  }

  /** Called about four times a second. */
  tick(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    const { query_wait_timeout, server_idle_timeout } = this.#host.settings
    if (query_wait_timeout > 0) this.#refuse(({ sinceMs }) => nowMs - sinceMs >= query_wait_timeout)
    this.#overlap.tick(nowMs)
    const unused = this.subscriptions.sessions === 0 && this.#waiting.length === 0
    const failure = this.#current && this.#check.tick(this.#current, nowMs)
    if (this.#current !== undefined && failure !== undefined) this.#giveUp(this.#current, failure)
    if (this.#next !== undefined && nowMs - this.#openedMs >= CHECK_MS) this.#giveUp(this.#next, 'check_failed')
    if (unused && server_idle_timeout > 0 && nowMs - this.#unusedSinceMs >= server_idle_timeout) this.#shutAll('server_idle_timeout')
    else this.advance()
  }

  #giveUp({ link }: ListeningLink<L>, reason: CloseReason): void {
    this.dying(link)
    link.shut(reason)
  }

  /** No new links; the one that is open stays for those who listen still. */
  close(): void {
    this.#closed = true
    if (this.subscriptions.sessions === 0) this.#shutAll('pool_closed')
  }

  abort(): void {
    this.#closed = true
    this.#shutAll('shutdown_now')
  }

  /** The server ended `link`. */
  dying(link: L): void {
    const [next, current] = [this.#next, this.#current]
    if (next?.link === link) {
      this.#next = undefined
      next.lost()
      this.#failed('it was lost')
    }
    if (current?.link === link) this.#current = undefined
    if (this.#overlap.dying(link) || current?.link === link) this.#lose(link)
    if (current?.link === link) current.lost()
  }

  /** The connection is over. False: the link was none of those that listen. */
  closed(link: L): boolean {
    if (!this.#links.delete(link)) return false
    this.dying(link)
    this.#logins.generations.left(link.generation)
    this.#host.room.given(link)
    this.advance()
    return true
  }

  #sync(listening: ListeningLink<L>, subscriber: Subscriber, done: Done): void {
    listening.sync((error) => {
      if (error !== undefined) return done(this.#refused(subscriber, error))
      this.subscriptions.begin(subscriber)
      // what was sent before this one listened comes on the one before it
      this.#overlap.hearOut(done)
    })
  }

  #refused(subscriber: Subscriber, error: ListenError): PgleaseError {
    this.subscriptions.set(subscriber, new Set())
    return new PgleaseError('listen_failed', `${error.message} (SQLSTATE ${error.sqlstate})`)
  }

  #open(credential: Credential): void {
    this.#dialing = true
    this.#logins.generations.joined(credential.generation)
    this.#parts.open(credential).then(
      (link) => this.#opened(link),
      (error: unknown) => {
        this.#dialing = false
        this.#logins.generations.left(credential.generation)
        this.#host.room.given()
        this.#failed(error instanceof PgleaseError ? error.message : String(error))
      },
    )
  }

  #opened(link: L): void {
    this.#host.room.opened(link)
    this.#dialing = false
    this.#links.add(link)
    const refusal = this.#closed ? 'pool_closed' : this.#logins.generations.refusal(link.generation)
    if (refusal !== undefined) return link.shut(refusal)
    this.#openedMs = this.#parts.clock.monotonicMs()
    link.listener = this.subscriptions.heardBy(this.#host.lists)
    this.#next = new ListeningLink(link, this.subscriptions.byChannel)
    this.#bring(this.#next)
  }

  /** Until it listens to all that is wanted: sessions may begin to listen meanwhile. */
  #bring(next: ListeningLink<L>): void {
    next.sync((error) => {
      if (this.#next !== next) return
      if (error !== undefined) return this.#refusedAll(next, error)
      if (next.complete) this.#take(next)
      else this.#bring(next)
    })
  }

  #take(next: ListeningLink<L>): void {
    const before = this.#current
    this.#next = undefined
    this.#current = next
    this.#nextTryMs = 0
    this.#retryMs = 0
    this.#cause = ''
    this.#check.begin(this.#parts.clock.monotonicMs())
    const { link } = next
    const fields = { database: this.#parts.database, link: link.facts.id, generation: link.generation }
    const channels = this.subscriptions.channels
    if (before === undefined) this.#parts.log.info('listening_opened', `a server connection listens to ${channels} channels`, fields)
    else {
      this.#parts.log.info('listening_moved', `a server connection of the new credential listens to ${channels} channels`, fields)
      this.#overlap.add(before, this.#parts.clock.monotonicMs())
    }
    const waiting = this.#waiting
    this.#waiting = []
    for (const { subscriber, done } of waiting) {
      this.subscriptions.begin(subscriber)
      done()
    }
  }

  /** A standby, for example. Who waits is told; who listens already does so on. */
  #refusedAll(next: ListeningLink<L>, error: ListenError): void {
    this.#next = undefined
    next.link.shut('listen_failed')
    this.#failed(`${error.message} (SQLSTATE ${error.sqlstate})`)
    this.#refuse(() => true)
  }

  #failed(cause: string): void {
    this.#retryMs = Math.min(LONGEST_RETRY_MS, Math.max(FIRST_RETRY_MS, 2 * this.#retryMs))
    this.#nextTryMs = this.#parts.clock.monotonicMs() + this.#retryMs
    if (this.#cause === cause) return
    this.#cause = cause
    this.#parts.log.warning('listening_failed', `no server connection that listens: ${cause}`, { database: this.#parts.database })
  }

  #refuse(over: (waiting: Waiting) => boolean): void {
    for (const waiting of this.#waiting.filter(over)) {
      this.leave(waiting.subscriber)
      waiting.done(new PgleaseError('listen_failed', this.#cause || 'no server connection was opened in time'))
    }
  }

  /** Notifications may have been missed: all who listen are told. */
  #lose(link: L): void {
    const lost = this.subscriptions.takeAll()
    if (lost.length === 0) return
    const fields = { database: this.#parts.database, link: link.facts.id, generation: link.generation, count: lost.length }
    this.#parts.log.warning('listening_lost', `the server connection that listens was lost: ${lost.length} sessions are ended`, fields)
    this.#waiting = []
    for (const subscriber of lost) subscriber.listeningLost()
  }

  #used(): void {
    this.#unusedSinceMs = this.#parts.clock.monotonicMs()
  }

  #shutAll(reason: CloseReason): void {
    this.#current = undefined
    this.#next = undefined
    this.#overlap.clear()
    for (const link of this.#links) if (link.closeReason === undefined) link.shut(reason)
  }
}
