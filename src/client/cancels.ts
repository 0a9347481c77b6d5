// Cancel requests, of clients and for clients that are gone: one at a time on each link, and only while what was meant still runs.
import { type Clock, delay } from '../clock.ts'
import type { Network } from '../net/transport.ts'
import type { Pool } from '../pool/pool.ts'
import { cancelQuery } from '../server/cancel.ts'
import type { Link } from '../server/link.ts'
import type { ReplicationSession } from './replication_session.ts'
import type { Session } from './session.ts'

/** Milliseconds; 0 = no limit. */
interface CancelSettings {
  readonly server_connect_timeout: number
  readonly cancel_wait_timeout: number
}

interface CancelsParts {
  readonly network: Network
  readonly clock: Clock
  readonly settings: () => CancelSettings
}

export class Cancels {
  readonly #parts: CancelsParts
  /** The links with a cancel request on its way, and when that is over. */
  readonly #underWay = new Map<Link, Promise<void>>()

  constructor(parts: CancelsParts) {
    this.#parts = parts
  }

  /**
   * A client's cancel request. Resolves when it was carried out (the server has closed the connection it came by) or there is nothing to
   * cancel; never rejects. What waits for a link is answered by pglease; what runs is meant as it is now, not the request after it.
   */
  async request(session: Session): Promise<void> {
    if (session.cancelWaiting()) return
    const { link } = session
    if (link === null || link.ledger.quiet) return
    const { rounds } = link.ledger
    await this.#cancel(session.parts.pool, link, () => session.link === link && link.ledger.rounds === rounds && !link.ledger.quiet)
  }

  /** A cancel request of a replication client: its server connection is never anybody else's. Never rejects. */
  async replication({ link }: ReplicationSession): Promise<void> {
    if (link !== null) await this.#send(link, () => true)
  }

  /** Ends what runs on `link`, whose client is gone. Never rejects. */
  async abandoned(pool: Pool<Link>, link: Link): Promise<void> {
    await this.#cancel(pool, link, () => true)
  }

  /** Until it is over the link serves nobody else. */
  async #cancel(pool: Pool<Link>, link: Link, wanted: () => boolean): Promise<void> {
    pool.beginCancel(link)
    if (!(await this.#turn(link)) || !wanted()) return pool.endCancel(link, true)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#underWay.set(link, promise)
    const clean = await this.#send(link, wanted)
    this.#underWay.delete(link)
    resolve()
    pool.endCancel(link, clean)
  }

  /** Waits until no other cancel request for `link` is on its way. False: `cancel_wait_timeout` was over before. */
  async #turn(link: Link): Promise<boolean> {
    const { clock, settings } = this.#parts
    const limitMs = settings().cancel_wait_timeout
    const startedMs = clock.monotonicMs()
    for (;;) {
      const before = this.#underWay.get(link)
      if (before === undefined) return true
      const leftMs = startedMs + limitMs - clock.monotonicMs()
      if (limitMs > 0 && leftMs <= 0) return false
      const over = new AbortController()
      await (limitMs > 0 ? Promise.race([before, delay(clock, leftMs, over.signal)]) : before)
      over.abort()
    }
  }

  /** False: it may still strike, and the link must not be used again. */
  async #send(link: Pick<Link, 'facts'>, wanted: () => boolean): Promise<boolean> {
    const { network, clock, settings } = this.#parts
    const { target, processId, secretKey } = link.facts
    try {
      await cancelQuery(network, target, processId, secretKey, { timeoutMs: settings().server_connect_timeout, clock, wanted })
      return true
    } catch {
      return false
    }
  }
}
