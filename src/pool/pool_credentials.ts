// What becomes of a pool's links when its source offers a credential, and when one is past its end or gone.
import type { Credential, CredentialConsumer, Trouble } from '../credential.ts'
import type { CloseReason } from '../errors.ts'
import type { LinkLists } from './link_lists.ts'
import type { Logins } from './logins.ts'
import type { PoolLink } from './pool_link.ts'
import type { PoolLog } from './pool_log.ts'

/** The pool, as seen from here. */
interface PoolCredentialsHost<L extends PoolLink> {
  readonly lists: LinkLists<L>
  readonly logins: Logins<L>
  /** The links that listen. */
  readonly listening: { readonly links: Iterable<L> } | undefined
  shut(link: L, reason: CloseReason): void
  /** Sessions that keep their links are ended, those whose turn it is. */
  recycle(): void
}

export class PoolCredentials<L extends PoolLink> implements CredentialConsumer {
  readonly #host: PoolCredentialsHost<L>
  readonly #parts: { drainOverrun(): void }
  readonly #log: PoolLog

  constructor(host: PoolCredentialsHost<L>, parts: { drainOverrun(): void }, log: PoolLog) {
    this.#host = host
    this.#parts = parts
    this.#log = log
  }

  offer(credential: Credential): void {
    this.#host.logins.offer(credential)
  }

  overdue(generation: number): void {
    const { lists, logins, listening } = this.#host
    if (!logins.generations.setOverdue(generation)) return
    for (const link of lists.all()) if (link.generation === generation) link.overdue = true
    for (const link of listening?.links ?? []) if (link.generation === generation) link.overdue = true
  }

  gone(generation: number): void {
    const { lists, logins } = this.#host
    const replaced = logins.generations.state(generation) === 'draining'
    if (!logins.gone(generation)) return
    for (const link of lists.idle()) if (link.generation === generation) this.#host.shut(link, replaced ? 'rotated' : 'role_gone')
    this.#host.recycle()
    // that a role is gone before its time is logged by the source, once for all its pools
    if (replaced) this.#noteOverruns(generation)
  }

  trouble(trouble: Trouble | undefined): void {
    this.#host.logins.setSourceTrouble(trouble)
  }

  /** Transactions that the drain could not wait for. */
  #noteOverruns(generation: number): void {
    const { lists } = this.#host
    for (const link of lists.all()) {
      if (link.generation !== generation || lists.state(link) !== 'active') continue
      this.#parts.drainOverrun()
      this.#log.overrun(link)
    }
  }
}
