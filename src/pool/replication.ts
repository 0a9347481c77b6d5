// The replication connections of one database: each belongs to one client, counts in the shared limits, and ends before its credential does.
import type { Credential } from '../credential.ts'
import { type CloseReason, type ErrorCode, PgleaseError } from '../errors.ts'
import type { LogFields } from '../log.ts'
import type { Budget, BudgetMember } from './budget.ts'
import { LinkLists } from './link_lists.ts'
import type { Places } from './places.ts'
import { type Kept, Recycling, type RecyclingParts, type Reigns } from './recycling.ts'
import { LoginTrouble } from './trouble.ts'

/** A replication connection, as this file sees it. */
export interface ReplicationPeer extends Kept {
  readonly facts: { readonly id: number; readonly server: string } & Kept['facts']
  readonly closeReason: CloseReason | undefined
  /** Ends its client between two messages; `atOnce`: within one too. Answers whether it has ended. */
  recycle(atOnce?: boolean): boolean
  shut(reason: CloseReason): void
}

/** A client that asks for a connection with `request`. */
export interface ReplicationWaiter<L, R> {
  readonly request: R
  linkReady(link: L): void
  linkRefused(error: PgleaseError): void
}

/** What the pool of the same database knows of credentials: see Logins. */
export interface ReplicationLogins extends Pick<Reigns<never>, 'current' | 'generations'> {
  readonly current: Credential | undefined
  readonly cause: string
  refusal(): PgleaseError | undefined
}

interface ReplicationParts<L, R> extends RecyclingParts {
  readonly logins: ReplicationLogins
  readonly places: Places
  /** Milliseconds, 0 = no limit. */
  readonly queryWaitTimeoutMs: () => number
  open(credential: Credential, request: R): Promise<L>
  linkClosed(reason: CloseReason): void
}

/** Pass by themselves. What the server says of this login is the client's to hear: it may be the parameters, or a missing REPLICATION. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'connect_refused',
  'connect_timeout',
  'host_not_found',
  'no_host_fits',
  'server_starting',
  'server_full',
])
const LONGEST_RETRY_MS = 1_000
/** One that was asked to end is in the middle of a message: after this another is asked. */
const ENDING_PATIENCE_MS = 1_000

interface Pending<L, R> {
  readonly waiter: ReplicationWaiter<L, R>
  readonly sinceMs: number
  opening: boolean
}

export class Replications<L extends ReplicationPeer, R> implements BudgetMember {
  readonly lists = new LinkLists<L>()
  readonly #parts: ReplicationParts<L, R>
  readonly #recycling: Recycling<L>
  readonly #trouble: LoginTrouble
  readonly #pending = new Set<Pending<L, R>>()
  #dialing = 0
  /** For the sake of a pool's new credential, and when the last of them was. */
  readonly #askedToEnd = new WeakSet<L>()
  #askedMs = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(parts: ReplicationParts<L, R>) {
    this.#parts = parts
    this.#trouble = new LoginTrouble(parts.clock)
    const { logins } = parts
    const view = {
      get current() {
        return logins.current
      },
      generations: logins.generations,
      // see endKept
      proofNeedsPlace: false,
      frees: () => false,
    }
    this.#recycling = new Recycling<L>(parts, this.lists, view, 'replication connections')
    for (const budget of parts.places.budgets) budget.add(this)
  }

  get dialing(): number {
    return this.#dialing
  }

  get waiting(): number {
    return this.#pending.size
  }

  /** `waiter` is told as soon as there is a connection, or why there is none. */
  request(waiter: ReplicationWaiter<L, R>): void {
    if (this.#closed) return waiter.linkRefused(new PgleaseError('shutting_down'))
    this.#pending.add({ waiter, sinceMs: this.#parts.clock.monotonicMs(), opening: false })
    this.changed()
  }

  /** The client is gone before it had a connection. */
  leave(waiter: ReplicationWaiter<L, R>): void {
    for (const pending of this.#pending) if (pending.waiter === waiter) this.#pending.delete(pending)
  }

  /** Called about four times a second. */
  tick(): void {
    const timeoutMs = this.#parts.queryWaitTimeoutMs()
    const nowMs = this.#parts.clock.monotonicMs()
    for (const pending of this.#pending) {
      if (timeoutMs > 0 && nowMs - pending.sinceMs >= timeoutMs) this.#refuse(pending, new PgleaseError('query_wait_timeout', this.#cause))
    }
    this.#recycling.tick(() => {})
    this.#cutOff()
    this.changed()
  }

  /** Closes every connection now; their clients are told by whoever ends them. */
  abort(): void {
    this.#closed = true
    for (const link of this.lists.all()) if (link.closeReason === undefined) link.shut('shutdown_now')
  }

  // What a connection tells.

  linkDying(link: L): void {
    if (link.listed !== undefined && link.listed !== 'closing') this.lists.move(link, 'closing')
    this.#recycling.ended(link.generation)
  }

  linkClosed(link: L, reason: CloseReason): void {
    if (link.listed === undefined) return
    this.lists.remove(link)
    this.#parts.linkClosed(reason)
    const fields = { ...this.#fields(link.generation), link: link.facts.id, reason }
    this.#parts.log.debug('link_closed', `replication connection ${link.facts.id} closed: ${reason}`, fields)
    this.#given(link.generation, link)
  }

  // What the pools see that share a limit with these (BudgetMember).

  /** Those that are not closed by the server yet count. */
  get size(): number {
    return this.#dialing + this.lists.size
  }

  get waitingSinceMs(): number | undefined {
    return this.#next?.sinceMs
  }

  /** None is ever idle. */
  idleSinceMs(): undefined {
    return undefined
  }

  closing(budget: Budget): number {
    return this.lists.countClosing((link) => this.#parts.places.counts(link.facts.server, budget))
  }

  get source(): string {
    return this.#parts.source.name
  }

  get starving(): boolean {
    return false
  }

  evict(): void {}

  endKept(budget: Budget): boolean {
    const nowMs = this.#parts.clock.monotonicMs()
    if (nowMs - this.#askedMs < ENDING_PATIENCE_MS) return true
    const { places } = this.#parts
    const mayEnd = (link: L) => link.listed === 'active' && !this.#askedToEnd.has(link) && places.counts(link.facts.server, budget)
    const link = this.lists.find(mayEnd)
    if (link === undefined) return false
    this.#askedToEnd.add(link)
    this.#askedMs = nowMs
    link.recycle()
    return true
  }

  /** Opens a connection for each that waits, as far as there is room. */
  changed(): void {
    for (let next = this.#next; next !== undefined; next = this.#next) {
      const { logins, places } = this.#parts
      const { current } = logins
      const refusal = logins.refusal()
      if (current === undefined && refusal !== undefined) {
        this.#refuse(next, refusal)
        continue
      }
      if (current === undefined || logins.generations.isOverdue(current.generation) || this.#trouble.waitMs > 0) return
      const { full } = places
      for (const budget of full) budget.evictFor(this, 1)
      if (full.length > 0) return
      this.#open(next, current)
    }
  }

  /** Who has waited longest of those for whom no login is under way. */
  get #next(): Pending<L, R> | undefined {
    for (const pending of this.#pending) if (!pending.opening) return pending
    return undefined
  }

  get #cause(): string {
    return this.#trouble.error?.message ?? this.#parts.logins.cause
  }

  #open(pending: Pending<L, R>, credential: Credential): void {
    pending.opening = true
    this.#dialing++
    this.#parts.places.taken()
    this.#parts.logins.generations.joined(credential.generation)
    this.#parts.open(credential, pending.waiter.request).then(
      (link) => this.#opened(link, pending),
      (error: unknown) => this.#failed(error, pending, credential),
    )
  }

  #opened(link: L, pending: Pending<L, R>): void {
    this.#parts.places.opened(link.facts.server)
    this.#dialing--
    this.#trouble.clear()
    this.lists.add(link, 'active')
    const fields = { ...this.#fields(link.generation), link: link.facts.id }
    this.#parts.log.debug('link_opened', `replication connection ${link.facts.id} opened`, fields)
    const refusal = this.#closed ? 'pool_closed' : this.#parts.logins.generations.refusal(link.generation)
    if (refusal !== undefined) {
      pending.opening = false
      return link.shut(refusal)
    }
    if (!this.#pending.delete(pending)) return link.shut('client_lost')
    pending.waiter.linkReady(link)
  }

  #failed(thrown: unknown, pending: Pending<L, R>, { generation }: Credential): void {
    this.#dialing--
    pending.opening = false
    const error = thrown instanceof PgleaseError ? thrown : new PgleaseError('server_misbehaved', 'an internal error during login')
    if (!(thrown instanceof PgleaseError)) this.#parts.log.error('bug', String(thrown), this.#fields(generation))
    const fields = { ...this.#fields(generation), code: error.code }
    if (PASSING.has(error.code)) {
      if (this.#trouble.failed(error, LONGEST_RETRY_MS)) this.#parts.log.warning('login_failed', `replication: ${error.message}`, fields)
    } else this.#refuse(pending, error)
    this.#given(generation)
  }

  #refuse(pending: Pending<L, R>, error: PgleaseError): void {
    if (this.#pending.delete(pending)) pending.waiter.linkRefused(error)
  }

  /** A connection is gone, or there is none. */
  #given(generation: number, link?: L): void {
    this.#parts.logins.generations.left(generation)
    this.#parts.places.given(link?.facts.server)
    this.changed()
  }

  /** The role is gone, and a client that does not read would keep the connection in the middle of a message. */
  #cutOff(): void {
    const { generations } = this.#parts.logins
    if (generations.leaving === 0) return
    for (const link of this.lists.all()) if (link.listed === 'active' && generations.state(link.generation) === 'gone') link.recycle(true)
  }

  #fields(generation: number): LogFields {
    return { database: this.#parts.database, source: this.#parts.source.name, generation }
  }
}
