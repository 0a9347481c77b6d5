// The links of one (database, source, identity): hands them to clients, opens and closes them, and moves them from one credential to the next.
import type { Clock } from '../clock.ts'
import type { Credential, CredentialConsumer, CredentialSource, Trouble } from '../credential.ts'
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Budget } from './budget.ts'
import { CancelHolds } from './cancel_holds.ts'
import { HostDoubts } from './host_doubts.ts'
import { type AgeSettings, idleEnd, outlived } from './link_age.ts'
import { LinkLists } from './link_lists.ts'
import { Logins } from './logins.ts'
import type { PoolLink } from './pool_link.ts'
import { PoolLog } from './pool_log.ts'
import { Recycling } from './recycling.ts'
import { Room, type RoomSettings } from './room.ts'
import { type Waiter, Waiters } from './waiters.ts'
import { Welcome, type WelcomeWaiter } from './welcome.ts'

/** What a pool reads of the settings; durations in milliseconds, 0 = off. */
export interface PoolSettings extends RoomSettings, AgeSettings {
  readonly pool_mode: 'session' | 'transaction' | 'statement'
  readonly server_reset_query: string
  readonly server_reset_query_always: boolean
  readonly server_round_robin: boolean
  readonly server_fast_close: boolean
  readonly server_check_delay: number
  readonly server_check_query: string
  readonly query_wait_timeout: number
  readonly query_wait_notify: number
}

export interface PoolParts<L extends PoolLink> {
  readonly database: string
  readonly settings: PoolSettings
  readonly source: CredentialSource
  readonly clock: Clock
  readonly log: Log
  /** The limits that it shares with other pools. */
  readonly budgets?: readonly Budget[]
  /** Dials and logs in. Rejects with a PgleaseError; the credential is never in it. */
  open(credential: Credential): Promise<L>
  /** See LoginsParts. */
  readonly longestRetryMs?: number | undefined
  /** Marks links whose host has moved; called at each tick. */
  watchMoves?: ((links: readonly L[]) => void) | undefined
  linkClosed(reason: CloseReason): void
  drainOverrun(): void
}

export class Pool<L extends PoolLink> implements CredentialConsumer {
  readonly lists = new LinkLists<L>()
  readonly waiters = new Waiters<L>()
  settings: PoolSettings
  readonly #parts: PoolParts<L>
  readonly #log: PoolLog
  readonly #logins: Logins<L>
  /** In session mode. */
  readonly #recycling: Recycling<L> | undefined
  readonly #welcome = new Welcome()
  readonly #cancels = new CancelHolds<L>()
  readonly room: Room<L>
  #closed = false
  readonly #doubts: HostDoubts<L>
  readonly #unsubscribe: () => void

  constructor(parts: PoolParts<L>) {
    this.#parts = parts
    this.settings = parts.settings
    this.#log = new PoolLog(parts.log, parts.database, parts.source.name)
    this.room = new Room<L>(this, parts.clock, parts.budgets ?? [])
    this.#logins = new Logins<L>(this, parts, this)
    this.#doubts = new HostDoubts<L>(this.lists, parts.clock)
    if (parts.settings.pool_mode === 'session') this.#recycling = new Recycling<L>(parts, this.lists, this.#logins)
    this.#unsubscribe = parts.source.subscribe(this)
  }

  /** Every link that counts: logging in, serving, and not closed by the server yet. */
  get size(): number {
    return this.#logins.size
  }

  get dialing(): number {
    return this.#logins.dialing
  }

  /** A credential has been proven and is not known to be dead. */
  get ready(): boolean {
    return this.#logins.current !== undefined
  }

  /** Clients can be served now, as far as is known. */
  get servable(): boolean {
    return this.ready && (this.lists.alive > 0 || this.cause === '')
  }

  /** Idle links that are tested before a client gets them (pgbouncer's `used`). */
  get used(): number {
    const nowMs = this.#parts.clock.monotonicMs()
    return this.lists.idle().filter((link) => this.#needsCheck(link, nowMs)).length
  }

  get currentGeneration(): number {
    return this.#logins.current?.generation ?? 0
  }

  /** Links of replaced credentials. */
  get draining(): number {
    return this.#logins.generations.leaving
  }

  /** Why no link can be had just now, for probes and errors; '' when nothing is wrong. */
  get cause(): string {
    return this.#logins.cause
  }

  get waiting(): number {
    return this.waiters.size
  }

  /** A session that holds `link` should give it back at the next ReadyForQuery. */
  mustYield(link: L): boolean {
    return this.waiters.size > 0 || this.room.hungry || link.generation !== this.#logins.current?.generation
  }

  /** Session mode: the session that holds `link` should end, with its link, as soon as it is in the middle of nothing. */
  mustRecycle(link: L): boolean {
    return this.#recycling?.due(link) ?? false
  }

  /** A link, or null: `waiter` is then told later (or was refused at once). `nowMs`: monotonic, some milliseconds old at most. */
  checkout(waiter: Waiter<L>, nowMs = this.#parts.clock.monotonicMs()): L | null {
    if (this.waiters.size === 0) {
      const link = this.#takeIdle(nowMs)
      if (link !== undefined) return link
    }
    const refusal = this.#logins.refusal()
    if (refusal !== undefined) {
      waiter.linkRefused(refusal)
      return null
    }
    this.waiters.add(waiter, this.#parts.clock.monotonicMs())
    this.#logins.grow()
    return null
  }

  /** The client waits no more. */
  leave(waiter: Waiter<L>): void {
    this.waiters.remove(waiter)
  }

  /** A settled link comes back. `nowMs`: monotonic, some milliseconds old at most. */
  release(link: L, nowMs = this.#parts.clock.monotonicMs()): void {
    if (link.closeReason !== undefined) return
    this.#recycling?.ended(link.generation)
    if (this.#cancels.has(link)) return this.lists.move(link, 'being_canceled')
    if (link.needsReset) return this.#reset(link, nowMs)
    if (link.roleMayDiffer) return this.#resetRole(link)
    if (link.statements?.unclean) return this.#runBetween(link, 'DEALLOCATE ALL', 'reset_failed')
    if (link.facts.fit?.doubted === true) return this.#askFit(link)
    const reason = this.#endReason(link, nowMs)
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
  }

  linkClosed(link: L, reason: CloseReason): void {
    if (this.lists.state(link) === undefined) return
    this.lists.remove(link)
    this.#cancels.forget(link)
    this.#parts.linkClosed(reason)
    this.#log.closed(link, reason)
    this.#logins.generations.left(link.generation)
    this.room.given(reason === 'evicted')
    this.#logins.advance()
  }

  roleGone(link: L): void {
    this.gone(link.generation)
    this.#parts.source.reportFailure(link.generation, '42704')
  }

  // What a source tells (CredentialConsumer).

  offer(credential: Credential): void {
    this.#logins.offer(credential)
  }

  overdue(generation: number): void {
    if (!this.#logins.generations.setOverdue(generation)) return
    for (const link of this.lists.all()) if (link.generation === generation) link.overdue = true
  }

  gone(generation: number): void {
    const replaced = this.#logins.generations.state(generation) === 'draining'
    if (!this.#logins.gone(generation)) return
    for (const link of this.lists.idle()) if (link.generation === generation) this.shut(link, replaced ? 'rotated' : 'role_gone')
    this.#recycle()
    // that a role is gone before its time is logged by the source, once for all its pools
    if (replaced) this.#noteOverruns(generation)
  }

  trouble(trouble: Trouble | undefined): void {
    this.#logins.setSourceTrouble(trouble)
  }

  // What the logins ask for (LoginsHost).

  get unprovenSinceMs(): number | undefined {
    return this.#logins.unprovenSinceMs
  }

  roomChanged(): void {
    this.#logins.advance()
  }

  opened(link: L): void {
    this.#welcome.heard(link.facts.welcome)
    if (link.closeReason === undefined) this.#place(link, this.#parts.clock.monotonicMs())
    this.#recycle()
  }

  refuse(error: PgleaseError): void {
    const welcomes = this.#welcome.takeAll()
    for (const waiter of this.waiters.takeAll()) waiter.linkRefused(error)
    for (const waiter of welcomes) waiter.welcomeRefused(error)
  }

  shut(link: L, reason: CloseReason): void {
    this.lists.move(link, 'closing')
    if (reason === 'evicted') this.room.evicting()
    link.shut(reason)
  }

  /** Called about four times a second. */
  tick(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    const { query_wait_timeout, query_wait_notify } = this.settings
    this.waiters.tick(nowMs, query_wait_timeout, query_wait_notify, () => new PgleaseError('query_wait_timeout', this.cause))
    this.#parts.watchMoves?.(this.lists.all())
    for (const link of this.lists.idle()) {
      if (this.#logins.generations.isOverdue(link.generation)) continue
      const reason = link.moved ? 'host_unfit' : idleEnd(link, this.settings, this.lists.alive > this.room.minimum, nowMs)
      if (reason !== undefined) this.shut(link, reason)
    }
    this.#recycle()
    this.#logins.advance()
  }

  whenWelcome(waiter: WelcomeWaiter): void {
    const { parameters } = this.#welcome
    if (parameters !== undefined) return waiter.welcome(parameters)
    const refusal = this.#logins.refusal()
    if (refusal !== undefined) return waiter.welcomeRefused(refusal)
    this.#welcome.add(waiter)
  }

  leaveWelcome(waiter: WelcomeWaiter): void {
    this.#welcome.remove(waiter)
  }

  /** No new links; idle ones are closed, and busy ones when they settle. */
  close(): void {
    this.#closed = true
    this.#logins.close()
    for (const link of this.lists.idle()) this.shut(link, 'pool_closed')
    this.#unsubscribe()
  }

  /** Closes every link now. */
  abort(): void {
    this.close()
    for (const link of this.lists.all()) if (link.closeReason === undefined) this.shut(link, 'shutdown_now')
  }

  /** Transactions that the drain could not wait for. */
  #noteOverruns(generation: number): void {
    for (const link of this.lists.all()) {
      if (link.generation !== generation || this.lists.state(link) !== 'active') continue
      this.#parts.drainOverrun()
      this.#log.overrun(link)
    }
  }

  /** Prefers links of the current credential; an older one still serves rather than let a client wait. */
  #takeIdle(nowMs: number): L | undefined {
    const current = this.#logins.current?.generation
    let link = this.#nextIdle
    if (link !== undefined && link.generation !== current) link = this.lists.findIdle((idle) => idle.generation === current) ?? link
    while (link !== undefined) {
      if (!this.#needsCheck(link, nowMs)) {
        this.lists.move(link, 'active')
        link.needsReset = this.#resets
        return link
      }
      this.#check(link)
      link = this.#nextIdle
    }
    return undefined
  }

  get #nextIdle(): L | undefined {
    return this.settings.server_round_robin ? this.lists.longestIdle() : this.lists.lastIdle()
  }

  #needsCheck(link: L, nowMs: number): boolean {
    const { server_check_delay, server_check_query } = this.settings
    return server_check_query !== '' && nowMs - link.idleSinceMs >= server_check_delay
  }

  #check(link: L): void {
    this.#runBetween(link, this.settings.server_check_query === '<empty>' ? '' : this.settings.server_check_query, 'check_failed')
  }

  /** Clients leave state behind that the next one must not see. */
  get #resets(): boolean {
    const { pool_mode, server_reset_query, server_reset_query_always } = this.settings
    return (pool_mode === 'session' || server_reset_query_always) && server_reset_query !== ''
  }

  #reset(link: L, nowMs: number): void {
    link.needsReset = false
    const reason = this.#endReason(link, nowMs)
    if (reason !== undefined) return this.shut(link, reason)
    link.forgetSession()
    this.#runBetween(link, this.settings.server_reset_query, 'reset_failed')
  }

  #recycle(): void {
    this.#recycling?.tick((link) => this.shut(link, 'rotated'))
  }

  #resetRole(link: L): void {
    link.roleMayDiffer = false
    this.#runBetween(link, 'RESET ROLE', 'reset_failed')
  }

  #askFit(link: L): void {
    const { fit } = link.facts
    if (fit === undefined) return
    fit.doubted = false
    this.#runBetween(link, fit.question, 'host_unfit')
  }

  #hostUnfit(link: L): void {
    this.#doubts.spread(link, (idle) => this.#askFit(idle))
  }

  /** Runs `sql` between two clients; a link that fails at it is closed for `reason`. */
  #runBetween(link: L, sql: string, reason: CloseReason): void {
    this.lists.move(link, 'tested')
    link.run(sql, (error) => {
      if (error !== undefined) {
        if (reason === 'host_unfit') this.#hostUnfit(link)
        return this.shut(link, reason)
      }
      // not straight to a client: its role may have gone meanwhile
      this.release(link)
    })
  }

  /** Why a settled link must not be used again. */
  #endReason(link: L, nowMs: number): CloseReason | undefined {
    if (this.#closed) return 'pool_closed'
    const state = this.#logins.generations.state(link.generation)
    if (state === 'gone') return 'role_gone'
    if (link.moved && !this.#logins.generations.isOverdue(link.generation)) return 'host_unfit'
    if (link.facts.fit?.unfit === true) {
      this.#hostUnfit(link)
      return 'host_unfit'
    }
    if (this.#logins.mustGo(link)) return 'rotated'
    // a session that took it would have to end soon
    const leaves = this.#recycling !== undefined || this.#logins.generations.isOverdue(link.generation)
    if (state === 'draining' && leaves && this.#logins.current !== undefined) return 'rotated'
    if (outlived(link, this.settings, nowMs) && !this.#logins.generations.isOverdue(link.generation)) return 'server_lifetime'
    return this.waiters.size > 0 && this.room.mustCede ? 'evicted' : undefined
  }

  /** To the oldest waiter, or among the idle. */
  #place(link: L, nowMs: number): void {
    const waiter = this.waiters.shift()
    if (waiter !== undefined) {
      this.lists.move(link, 'active')
      link.needsReset = this.#resets
      waiter.linkReady(link)
      return
    }
    link.idleSinceMs = nowMs
    this.lists.move(link, 'idle')
    const { generations, current } = this.#logins
    this.room.linkIdle()
    if (generations.several || link.generation !== current?.generation) this.#logins.advance()
  }
}
