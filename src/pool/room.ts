// How many links a pool may have just now: its own size, its reserve for clients that wait long, and the limits it shares with other pools.
import type { Clock } from '../clock.ts'
import type { CloseReason } from '../errors.ts'
import type { Budget, BudgetMember } from './budget.ts'
import type { LinkLists } from './link_lists.ts'
import type { Places } from './places.ts'
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
  /** Ends one who keeps a link for which `accept` is true, if one rests. Answers whether it did. */
  endKept(accept: (link: L) => boolean): boolean
  shut(link: L, reason: CloseReason): void
  /** There may be room for a link now. */
  roomChanged(): void
}

export class Room<L extends PoolLink> implements BudgetMember {
  readonly #host: RoomHost<L>
  readonly #clock: Clock
  readonly #places: Places

  constructor(host: RoomHost<L>, clock: Clock, places: Places) {
    this.#host = host
    this.#clock = clock
    this.#places = places
    for (const budget of places.budgets) budget.add(this)
  }

  /** Most links, as far as the other pools leave room. */
  get limit(): number {
    return Math.min(this.#ownLimit, this.size + this.#places.free)
  }

  /** Links that are kept open without work; none while another pool is short of them. */
  get minimum(): number {
    const { pool_size, min_pool_size } = this.#host.settings
    if (min_pool_size === 0 || this.hungry) return 0
    return pool_size === 0 ? min_pool_size : Math.min(min_pool_size, pool_size)
  }

  /** A pool that shares a limit with this one waits for a link. */
  get hungry(): boolean {
    for (const { hungry } of this.#places.budgets) if (hungry) return true
    return false
  }

  /** `link`, which has settled, goes although clients wait here: see `Budget.mustCede`. */
  mustCede(link: L): boolean {
    for (const budget of this.#places.budgets) if (budget.hungry && this.#counts(link, budget) && budget.mustCede(this)) return true
    return false
  }

  /** One who keeps `link` for their whole life, and rests, ends for the sake of another pool: see `Budget.endKeptFor`. */
  mustEndKept(link: L): boolean {
    for (const budget of this.#places.budgets) if (budget.hungry && this.#counts(link, budget) && budget.mustEndKept(this)) return true
    return false
  }

  /** Whether the end of `link` makes room for another. */
  frees(link: L): boolean {
    const { full } = this.#places
    return full.length === 0 || this.size >= this.#ownLimit || full.some((budget) => this.#counts(link, budget))
  }

  /** A login begins. Answers whether its link belongs to the reserve. */
  taken(): boolean {
    this.#places.taken()
    const { pool_size } = this.#host.settings
    return pool_size > 0 && this.size > pool_size
  }

  /**
   * A place for a link that pool_size does not count is taken. False: the limits that pools share leave none just now; idle links make
   * room, and it may be asked again.
   */
  takenBeside(): boolean {
    const { full } = this.#places
    for (const budget of full) {
      budget.evictFor(this, 1)
      if (this.closing(budget) === 0) this.evict(budget)
    }
    if (full.length > 0) return false
    this.#places.taken()
    return true
  }

  /** The login has succeeded: where `link` leads to is known. */
  opened(link: L): void {
    this.#places.opened(link.facts.server)
  }

  /** `link` is gone; undefined: a login failed. */
  given(link?: L): void {
    this.#places.given(link?.facts.server)
  }

  linkIdle(): void {
    for (const budget of this.#places.budgets) budget.linkIdle()
  }

  /** `count` links are needed for which no login has begun: idle links of other pools make room. */
  make(count: number): void {
    const { budgets } = this.#places
    if (budgets.length === 0 || this.size >= this.#ownLimit) return
    for (const budget of budgets) budget.evictFor(this, count)
  }

  /** No link of another pool is idle, and this one starves: see `Budget.endKeptFor`. */
  endKeptOfOthers(): boolean {
    let ended = false
    for (const budget of this.#places.full) ended = budget.endKeptFor(this) || ended
    return ended
  }

  // What the pools see of one another (BudgetMember).

  get size(): number {
    return this.#host.size
  }

  get waitingSinceMs(): number | undefined {
    return this.#host.waiters.oldest()?.waitingSinceMs ?? this.#host.unprovenSinceMs
  }

  idleSinceMs(budget: Budget): number | undefined {
    return this.#longestIdle(budget)?.idleSinceMs
  }

  closing(budget: Budget): number {
    const { lists } = this.#host
    return this.#places.countsAll(budget) ? lists.count('closing') : lists.countClosing((link) => this.#counts(link, budget))
  }

  get source(): string {
    return this.#host.source
  }

  get starving(): boolean {
    return this.size < this.#ownLimit && this.#host.starving
  }

  evict(budget: Budget): void {
    const link = this.#longestIdle(budget)
    if (link !== undefined) this.#host.shut(link, 'evicted')
  }

  endKept(budget: Budget): boolean {
    return this.#host.endKept((link) => this.#counts(link, budget))
  }

  changed(): void {
    this.#host.roomChanged()
  }

  #counts(link: L, budget: Budget): boolean {
    return this.#places.counts(link.facts.server, budget)
  }

  #longestIdle(budget: Budget): L | undefined {
    const { lists } = this.#host
    return this.#places.countsAll(budget) ? lists.longestIdle() : lists.findLongestIdle((link) => this.#counts(link, budget))
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
