// What a pool looks after while no client asks: waits that last too long, and links that are too old, have moved, or do not answer.
import type { Clock } from '../clock.ts'
import { type CloseReason, PgleaseError } from '../errors.ts'
import { idleEnd } from './link_age.ts'
import type { LinkLists } from './link_lists.ts'
import type { Logins } from './logins.ts'
import { OwnQueries } from './own_queries.ts'
import type { PoolLink } from './pool_link.ts'
import type { PoolLog } from './pool_log.ts'
import type { PoolSettings } from './pool_parts.ts'
import type { Room } from './room.ts'
import type { Waiters } from './waiters.ts'

/** The pool, as seen from here. */
interface UpkeepHost<L extends PoolLink> {
  readonly settings: PoolSettings
  readonly lists: LinkLists<L>
  readonly waiters: Waiters<L>
  readonly room: Room<L>
  readonly logins: Logins<L>
  /** The links that listen. */
  readonly listening: { readonly links: Iterable<L> } | undefined
  shut(link: L, reason: CloseReason): void
}

interface UpkeepParts<L> {
  readonly clock: Clock
  /** Marks links whose host has moved. */
  watchMoves?: ((links: readonly L[]) => void) | undefined
}

export class Upkeep<L extends PoolLink> {
  readonly #host: UpkeepHost<L>
  readonly #parts: UpkeepParts<L>
  readonly #log: PoolLog
  readonly #ownQueries = new OwnQueries<L>()

  constructor(host: UpkeepHost<L>, parts: UpkeepParts<L>, log: PoolLog) {
    this.#host = host
    this.#parts = parts
    this.#log = log
  }

  /** Called about four times a second. */
  tick(): void {
    const { settings, lists, waiters, logins, listening } = this.#host
    const nowMs = this.#parts.clock.monotonicMs()
    const late = () => new PgleaseError('query_wait_timeout', logins.cause)
    waiters.tick(nowMs, settings.query_wait_timeout, settings.query_wait_notify, late)
    this.#parts.watchMoves?.([...lists.all(), ...(listening?.links ?? [])])
    for (const link of lists.idle()) this.#endIdle(link, nowMs)
    for (const link of this.#ownQueries.late(lists.all(), nowMs, settings.server_connect_timeout)) {
      this.#log.stuck(link)
      this.#host.shut(link, 'own_query_timeout')
    }
  }

  #endIdle(link: L, nowMs: number): void {
    const { settings, lists, room, logins } = this.#host
    if (logins.generations.isOverdue(link.generation)) return
    const reason = link.moved ? 'host_unfit' : idleEnd(link, settings, lists.alive > room.minimum, nowMs)
    if (reason !== undefined) this.#host.shut(link, reason)
  }
}
