// The links of one (database, source, identity): hands them to clients, opens and closes them, and moves them from one credential to the next.
import type { CloseReason, PgleaseError } from '../errors.ts'
import { Between } from './between.ts'
import { CancelHolds } from './cancel_holds.ts'
import { LinkEnd } from './link_end.ts'
import { LinkLists } from './link_lists.ts'
import { Listening } from './listening.ts'
import { Logins } from './logins.ts'
import { isPinned, pinnedRecycling } from './pinned_recycling.ts'
import { Places } from './places.ts'
import { PoolCredentials } from './pool_credentials.ts'
import type { PoolLink } from './pool_link.ts'
import { PoolLog } from './pool_log.ts'
import type { PoolParts, PoolSettings } from './pool_parts.ts'
import { Recycling } from './recycling.ts'
import { Room } from './room.ts'
import { Upkeep } from './upkeep.ts'
import { type Waiter, Waiters } from './waiters.ts'
import { Welcome } from './welcome.ts'

export class Pool<L extends PoolLink> {
  readonly lists = new LinkLists<L>()
  readonly waiters = new Waiters<L>()
  settings: PoolSettings
  readonly #parts: PoolParts<L>
  readonly #log: PoolLog
  readonly logins: Logins<L>
  /** Of the sessions that keep their links. */
  readonly #recycling: Recycling<L>
  /** In the other modes. */
  readonly listening: Listening<L> | undefined
  readonly welcome = new Welcome(() => this.logins.refusal())
  readonly #cancels = new CancelHolds<L>()
  readonly room: Room<L>
  readonly #between: Between<L>
  readonly #end: LinkEnd<L>
  readonly #upkeep: Upkeep<L>
  /** What its source tells goes to them. */
  readonly credentials: PoolCredentials<L>
  readonly #unsubscribe: () => void

  constructor(parts: PoolParts<L>) {
    this.#parts = parts
    this.settings = parts.settings
    this.#log = new PoolLog(parts.log, parts.database, parts.source.name)
    this.credentials = new PoolCredentials<L>(this, parts, this.#log)
    this.room = new Room<L>(this, parts.clock, parts.places ?? new Places([]))
    this.logins = new Logins<L>(this, parts, this.credentials)
    const isSession = parts.settings.pool_mode === 'session'
    this.#recycling = isSession ? new Recycling<L>(parts, this.lists, this.logins) : pinnedRecycling<L>(parts, this.lists, this.logins)
    if (!isSession) this.listening = new Listening<L>(this, this.logins, parts)
    this.#between = new Between<L>(this, parts.clock)
    this.#end = new LinkEnd<L>(this, this.logins, (link) => this.#between.hostUnfit(link))
    this.#upkeep = new Upkeep<L>(this, parts, this.#log)
    this.#unsubscribe = parts.source.subscribe(this.credentials)
  }

  /** Every link that counts: logging in, serving, and not closed by the server yet. */
  get size(): number {
    return this.logins.size
  }

  get dialing(): number {
    return this.logins.dialing
  }

  /** `size`, and the links that listen, which pool_size does not count. */
  get connections(): number {
    return this.size + (this.listening?.size ?? 0)
  }

  /** A credential has been proven and is not known to be dead. */
  get ready(): boolean {
    return this.logins.current !== undefined
  }

  /** Clients can be served now, as far as is known. */
  get servable(): boolean {
    return this.ready && (this.lists.alive > 0 || this.cause === '')
  }

  /** Idle links that are tested before a client gets them (pgbouncer's `used`). */
  get used(): number {
    const nowMs = this.#parts.clock.monotonicMs()
    return this.lists.idle().filter((link) => this.#between.needsCheck(link, nowMs)).length
  }

  /** Links that stay with their sessions for their statements. */
  get pinned(): number {
    return this.lists.all().filter((link) => isPinned(link) && this.lists.state(link) === 'active').length
  }

  get currentGeneration(): number {
    return this.logins.current?.generation ?? 0
  }

  /** Links of replaced credentials. */
  get draining(): number {
    return this.logins.generations.leaving
  }

  /** Why no link can be had just now, for probes and errors; '' when nothing is wrong. */
  get cause(): string {
    return this.logins.cause
  }

  get waiting(): number {
    return this.waiters.size
  }

  /** A session that holds `link` should give it back at the next ReadyForQuery. */
  mustYield(link: L): boolean {
    return this.waiters.size > 0 || this.room.hungry || link.generation !== this.logins.current?.generation
  }

  /** The session that keeps `link` (session mode, or for its statements) should end, with its link, as soon as it is in the middle of nothing. */
  mustRecycle(link: L): boolean {
    return this.#recycling.due(link) || this.room.mustEndKept(link)
  }

  /** A link, or null: `waiter` is then told later (or was refused at once). `nowMs`: monotonic, some milliseconds old at most. */
  checkout(waiter: Waiter<L>, nowMs = this.#parts.clock.monotonicMs()): L | null {
    if (this.waiters.size === 0) {
      const link = this.#between.takeIdle(this.logins.current?.generation, nowMs)
      if (link !== undefined) return link
    }
    const refusal = this.logins.refusal()
    if (refusal !== undefined) {
      waiter.linkRefused(refusal)
      return null
    }
    this.waiters.add(waiter, this.#parts.clock.monotonicMs())
    this.logins.grow()
    return null
  }

  /** The client waits no more. */
  leave(waiter: Waiter<L>): void {
    this.waiters.remove(waiter)
  }

  /** The process id that the client knows as its own for whom the server process `processId` works; 0: none of ours. Transaction mode. */
  senderOf(processId: number): number {
    return this.listening?.subscriptions.senderOf(processId, this.lists) ?? 0
  }

  /** A settled link comes back. `nowMs`: monotonic, some milliseconds old at most. */
  release(link: L, nowMs = this.#parts.clock.monotonicMs()): void {
    if (link.closeReason !== undefined) return
    if (this.settings.pool_mode === 'session' || isPinned(link)) this.#recycling.ended(link.generation)
    if (this.#cancels.has(link)) return this.lists.move(link, 'being_canceled')
    if (this.#between.begins(link, nowMs)) return
    const reason = this.endReason(link, nowMs)
    if (reason !== undefined) return this.shut(link, reason)
    this.#place(link, nowMs)
  }

  /** A client or server that is not to be trusted with this link any more. */
  discard(link: L, reason: CloseReason): void {
    if (link.closeReason === undefined) this.shut(link, reason)
  }

  beginCancel(link: L): void {
    this.#cancels.begin(link)
  }

  /** `clean` = the server has closed the cancel's connection; else it may still strike, and the link cannot be reused. */
  endCancel(link: L, clean: boolean): void {
    this.#cancels.end(link)
    if (link.closeReason !== undefined) return
    if (!clean) return this.shut(link, 'cancel_unfinished')
    if (!this.#cancels.has(link) && this.lists.state(link) === 'being_canceled') this.release(link)
  }

  // What a link tells (server/link's owner).

  linkDying(link: L): void {
    if (this.lists.state(link) !== undefined && this.lists.state(link) !== 'closing') this.lists.move(link, 'closing')
    this.listening?.dying(link)
  }

  linkClosed(link: L, reason: CloseReason): void {
    const listened = this.listening?.closed(link) === true
    if (!listened && this.lists.state(link) === undefined) return
    this.#parts.linkClosed(reason)
    this.#log.closed(link, reason)
    if (listened) return
    this.listening?.subscriptions.linkClosed(link)
    this.lists.remove(link)
    this.#cancels.forget(link)
    this.logins.generations.left(link.generation)
    this.room.given(link)
    this.logins.advance()
  }

  roleGone(link: L): void {
    this.credentials.gone(link.generation)
    this.#parts.source.reportFailure(link.generation, '42704')
  }

  // What the logins ask for (LoginsHost), and what runs between clients (BetweenHost).

  get source(): string {
    return this.#parts.source.name
  }

  get unprovenSinceMs(): number | undefined {
    return this.logins.unprovenSinceMs
  }

  get starving(): boolean {
    return this.logins.starving
  }

  endKept(accept: (link: L) => boolean): boolean {
    return this.#recycling.endOne(accept)
  }

  roomChanged(): void {
    this.logins.advance()
  }

  opened(link: L): void {
    this.welcome.heard(link.facts.welcome)
    if (link.closeReason === undefined) this.#place(link, this.#parts.clock.monotonicMs())
    this.recycle()
    this.listening?.advance()
  }

  refuse(error: PgleaseError): void {
    const welcomes = this.welcome.takeAll()
    for (const waiter of this.waiters.takeAll()) waiter.linkRefused(error)
    for (const waiter of welcomes) waiter.welcomeRefused(error)
  }

  endReason(link: L, nowMs: number): CloseReason | undefined {
    return this.#end.reason(link, nowMs)
  }

  /** Sessions that keep their links are ended, those whose turn it is. */
  recycle(): void {
    this.#recycling.tick((link) => this.shut(link, 'rotated'))
  }

  shut(link: L, reason: CloseReason): void {
    this.lists.move(link, 'closing')
    link.shut(reason)
  }

  /** Called about four times a second. */
  tick(): void {
    this.#upkeep.tick()
    this.recycle()
    this.logins.advance()
    if (this.room.starving && this.room.endKeptOfOthers()) this.#log.endedOther()
    this.listening?.tick()
  }

  /** No new links; idle ones are closed, and busy ones when they settle. */
  close(): void {
    this.#end.poolClosed = true
    this.logins.close()
    for (const link of this.lists.idle()) this.shut(link, 'pool_closed')
    this.listening?.close()
    this.#unsubscribe()
  }

  /** Closes every link now. */
  abort(): void {
    this.close()
    this.listening?.abort()
    for (const link of this.lists.all()) if (link.closeReason === undefined) this.shut(link, 'shutdown_now')
  }

  /** To the oldest waiter, or among the idle. */
  #place(link: L, nowMs: number): void {
    const waiter = this.waiters.shift()
    if (waiter !== undefined) {
      this.lists.move(link, 'active')
      link.needsReset = this.#between.resets
      waiter.linkReady(link)
      return
    }
    link.idleSinceMs = nowMs
    this.lists.move(link, 'idle')
    const { generations, current } = this.logins
    this.room.linkIdle()
    if (generations.several || link.generation !== current?.generation) this.logins.advance()
  }
}
