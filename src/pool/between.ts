// From one client of a link to the next: which idle link is taken, and what runs before: the reset, RESET ROLE, DEALLOCATE ALL, the check of an idle link, and whether its server still fits.
import type { Clock } from '../clock.ts'
import type { CloseReason } from '../errors.ts'
import { HostDoubts } from './host_doubts.ts'
import type { LinkLists } from './link_lists.ts'
import type { PoolLink } from './pool_link.ts'
import type { PoolSettings } from './pool_parts.ts'

/** The pool, as seen from here. */
interface BetweenHost<L extends PoolLink> {
  readonly settings: PoolSettings
  readonly lists: LinkLists<L>
  /** Why a settled link must not be used again. */
  endReason(link: L, nowMs: number): CloseReason | undefined
  release(link: L): void
  shut(link: L, reason: CloseReason): void
}

export class Between<L extends PoolLink> {
  readonly #host: BetweenHost<L>
  readonly #doubts: HostDoubts<L>

  constructor(host: BetweenHost<L>, clock: Clock) {
    this.#host = host
    this.#doubts = new HostDoubts<L>(host.lists, clock)
  }

  /** An idle link, active now. Prefers those of the `current` credential; an older one still serves rather than let a client wait. */
  takeIdle(current: number | undefined, nowMs: number): L | undefined {
    const { lists } = this.#host
    let link = this.#nextIdle
    if (link !== undefined && link.generation !== current) link = lists.findIdle((idle) => idle.generation === current) ?? link
    while (link !== undefined) {
      if (!this.needsCheck(link, nowMs)) {
        lists.move(link, 'active')
        link.needsReset = this.resets
        return link
      }
      this.#check(link)
      link = this.#nextIdle
    }
    return undefined
  }

  get #nextIdle(): L | undefined {
    const { settings, lists } = this.#host
    return settings.server_round_robin ? lists.longestIdle() : lists.lastIdle()
  }

  /** Clients leave state behind that the next one must not see. */
  get resets(): boolean {
    const { pool_mode, server_reset_query, server_reset_query_always } = this.#host.settings
    return (pool_mode === 'session' || server_reset_query_always) && server_reset_query !== ''
  }

  /** Begins what a link that a client gave back needs first; `release` follows. False: it needs nothing. */
  begins(link: L, nowMs: number): boolean {
    if (link.needsReset) this.#reset(link, nowMs)
    else if (link.roleMayDiffer) this.#resetRole(link)
    else if (link.channels?.listened) this.#unlisten(link)
    else if (link.statements?.pinned) this.#run(link, 'DEALLOCATE ALL', 'reset_failed')
    else if (link.facts.fit?.doubted === true) this.#askFit(link)
    else return false
    return true
  }

  needsCheck(link: L, nowMs: number): boolean {
    const { server_check_delay, server_check_query } = this.#host.settings
    return server_check_query !== '' && nowMs - link.idleSinceMs >= server_check_delay
  }

  #check(link: L): void {
    const { server_check_query } = this.#host.settings
    this.#run(link, server_check_query === '<empty>' ? '' : server_check_query, 'check_failed')
  }

  /** The server of `link` is not what was asked for any more: its other links are asked too. */
  hostUnfit(link: L): void {
    this.#doubts.spread(link, (idle) => this.#askFit(idle))
  }

  #reset(link: L, nowMs: number): void {
    link.needsReset = false
    const reason = this.#host.endReason(link, nowMs)
    if (reason !== undefined) return this.#host.shut(link, reason)
    link.forgetSession()
    this.#run(link, this.#host.settings.server_reset_query, 'reset_failed')
  }

  #resetRole(link: L): void {
    link.roleMayDiffer = false
    this.#run(link, 'RESET ROLE', 'reset_failed')
  }

  #unlisten(link: L): void {
    if (link.channels !== null) link.channels.listened = false
    this.#run(link, 'UNLISTEN *', 'reset_failed')
  }

  #askFit(link: L): void {
    const { fit } = link.facts
    if (fit === undefined) return
    fit.doubted = false
    this.#run(link, fit.question, 'host_unfit')
  }

  /** A link that fails at `sql` is closed for `reason`. */
  #run(link: L, sql: string, reason: CloseReason): void {
    this.#host.lists.move(link, 'tested')
    link.run(sql, (error) => {
      if (error !== undefined) {
        if (reason === 'host_unfit') this.hostUnfit(link)
        return this.#host.shut(link, reason)
      }
      // not straight to a client: its role may have gone meanwhile
      this.#host.release(link)
    })
  }
}
