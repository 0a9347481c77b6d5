// Why a link that has settled must not be used again.
import type { CloseReason } from '../errors.ts'
import { outlived } from './link_age.ts'
import type { Logins } from './logins.ts'
import type { PoolLink } from './pool_link.ts'
import type { PoolSettings } from './pool_parts.ts'
import type { Room } from './room.ts'

/** The pool, as seen from here. */
interface LinkEndHost<L extends PoolLink> {
  readonly settings: PoolSettings
  readonly room: Room<L>
  readonly waiting: number
}

export class LinkEnd<L extends PoolLink> {
  poolClosed = false
  readonly #host: LinkEndHost<L>
  readonly #logins: Logins<L>
  readonly #hostUnfit: (link: L) => void

  /** `hostUnfit` is told of a link whose server is not what was asked for any more. */
  constructor(host: LinkEndHost<L>, logins: Logins<L>, hostUnfit: (link: L) => void) {
    this.#host = host
    this.#logins = logins
    this.#hostUnfit = hostUnfit
  }

  /** Undefined: it may serve on. */
  reason(link: L, nowMs: number): CloseReason | undefined {
    if (this.poolClosed) return 'pool_closed'
    const { generations, current } = this.#logins
    const { settings, room, waiting } = this.#host
    const state = generations.state(link.generation)
    if (state === 'gone') return 'role_gone'
    if (link.moved && !generations.isOverdue(link.generation)) return 'host_unfit'
    if (link.facts.fit?.unfit === true || link.facts.fit?.serverUnfit === true) {
      this.#hostUnfit(link)
      return 'host_unfit'
    }
    if (this.#logins.mustGo(link)) return 'rotated'
    // a session that took it would have to end soon
    const leaves = settings.pool_mode === 'session' || generations.isOverdue(link.generation)
    if (state === 'draining' && leaves && current !== undefined) return 'rotated'
    if (outlived(link, settings, nowMs) && !generations.isOverdue(link.generation)) return 'server_lifetime'
    return waiting > 0 && room.mustCede(link) ? 'evicted' : undefined
  }
}
