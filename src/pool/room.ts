// How many links a pool may have just now: its own size, its reserve for clients that wait long, and the limits it shares with other pools.
import type { Clock } from '../clock.ts'
import type { CloseReason } from '../errors.ts'
import type { Budget, BudgetMember } from './budget.ts'
import type { LinkLists } from './link_lists.ts'
import type { PoolLink } from './pool_link.ts'
import type { Waiters } from './waiters.ts'

/** 0 = no limit, and none of the reserve or the minimum. */
export interface RoomSettings {
  readonly pool_size: number
  readonly min_pool_size: number
  readonly reserve_pool_size: number
  /** Milliseconds; 0 = the reserve is never used. */
  readonly reserve_pool_timeout: number
}

/** The pool, as its room sees it. */
interface RoomHost<L extends PoolLink> {
  readonly settings: RoomSettings
  /** Of its credentials. */
  readonly source: string
  /** Every link that counts. */
  readonly size: number
  readonly lists: LinkLists<L>
  readonly waiters: Waiters<L>
  /** Monotonic time since which a credential waits for its first link; undefined = none does. */
  readonly unprovenSinceMs: number | undefined
  /** See Logins. */
  readonly starving: boolean
  /** See BudgetMember. */
  endKept(): boolean
  shut(link: L, reason: CloseReason): void
  /** There may be room for a link now. */
  roomChanged(): void
}

export class Room<L extends PoolLink> implements BudgetMember {
  readonly #host: RoomHost<L>
  readonly #clock: Clock
  readonly #budgets: readonly Budget[]

  constructor(host: RoomHost<L>, clock: Clock, budgets: readonly Budget[]) {
    this.#host = host
    this.#clock = clock
    this.#budgets = budgets
    for (const budget of budgets) budget.add(this)
  }

  /** Most links, as far as the other pools leave room. */
  get limit(): number {
    let limit = this.#ownLimit
    for (const { free } of this.#budgets) limit = Math.min(limit, this.size + free)
    return limit
  }

  /** Links that are kept open without work; none while another pool is short of them. */
  get minimum(): number {
    const { pool_size, min_pool_size } = this.#host.settings
    if (min_pool_size === 0 || this.hungry) return 0
    return pool_size === 0 ? min_pool_size : Math.min(min_pool_size, pool_size)
  }

  /** A pool that shares a limit with this one waits for a link. */
  get hungry(): boolean {
    for (const { hungry } of this.#budgets) if (hungry) return true
    return false
  }

  /** A settled link goes although clients wait here: see `Budget.mustCede`. */
  get mustCede(): boolean {
    for (const budget of this.#budgets) if (budget.mustCede(this)) return true
    return false
  }

  /** One who keeps a link for their whole life, and rests, ends for the sake of another pool: see `Budget.endKeptFor`. */
  get mustEndKept(): boolean {
    for (const budget of this.#budgets) if (budget.mustEndKept(this)) return true
    return false
  }

  /** A login begins. Answers whether its link belongs to the reserve. */
  taken(): boolean {
    for (const budget of this.#budgets) budget.taken()
    const { pool_size } = this.#host.settings
    return pool_size > 0 && this.size > pool_size
  }

  /**
   * A place for a link that pool_size does not count is taken. False: the limits that pools share leave none just now; idle links make
   * room, and it may be asked again.
   */
  takenBeside(): boolean {
    const full = this.#full
    for (const budget of full) budget.evictFor(this, 1)
    if (full.length > 0 && this.closing === 0) this.evict()
    if (full.length > 0) return false
    for (const budget of this.#budgets) budget.taken()
    return true
  }

  /** A login failed, or a link is gone. */
  given(): void {
    for (const budget of this.#budgets) budget.given()
  }

  linkIdle(): void {
    for (const budget of this.#budgets) budget.linkIdle()
  }

  /** `count` links are needed for which no login has begun: idle links of other pools make room. */
  make(count: number): void {
    if (this.#budgets.length === 0 || this.size >= this.#ownLimit) return
    for (const budget of this.#budgets) budget.evictFor(this, count)
  }

  /** No link of another pool is idle, and this one starves: see `Budget.endKeptFor`. */
  endKeptOfOthers(): boolean {
    let ended = false
    for (const budget of this.#full) ended = budget.endKeptFor(this) || ended
    return ended
  }

  // What the pools see of one another (BudgetMember).

  get size(): number {
    return this.#host.size
  }

  get waitingSinceMs(): number | undefined {
    return this.#host.waiters.oldest()?.waitingSinceMs ?? this.#host.unprovenSinceMs
  }

  get idleSinceMs(): number | undefined {
    return this.#host.lists.longestIdle()?.idleSinceMs
  }

  get closing(): number {
    return this.#host.lists.count('closing')
  }

  get source(): string {
    return this.#host.source
  }

  get starving(): boolean {
    return this.size < this.#ownLimit && this.#host.starving
  }

  evict(): void {
    const link = this.#host.lists.longestIdle()
    if (link !== undefined) this.#host.shut(link, 'evicted')
  }

  endKept(): boolean {
    return this.#host.endKept()
  }

  changed(): void {
    this.#host.roomChanged()
  }

  get #full(): readonly Budget[] {
    return this.#budgets.filter(({ free }) => free <= 0)
  }

  /** Without regard to other pools. */
  get #ownLimit(): number {
    const { pool_size, reserve_pool_size, reserve_pool_timeout } = this.#host.settings
    if (pool_size === 0) return Number.POSITIVE_INFINITY
    if (reserve_pool_size === 0 || reserve_pool_timeout === 0) return pool_size
    const sinceMs = this.#host.waiters.oldest()?.waitingSinceMs
    const waitedLong = sinceMs !== undefined && this.#clock.monotonicMs() - sinceMs >= reserve_pool_timeout
    return waitedLong ? pool_size + reserve_pool_size : pool_size
  }
}
