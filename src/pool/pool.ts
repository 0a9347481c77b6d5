// The links of one (database, source, identity): hands them to clients, opens and closes them, and moves them from one credential to the next.
import type { Clock, Timer } from '../clock.ts'
import type { Credential, CredentialConsumer, CredentialSource, Trouble } from '../credential.ts'
import { type CloseReason, ERRORS, PgleaseError } from '../errors.ts'
import type { Log } from '../log.ts'
import { Generations } from './generation.ts'
import { LinkLists } from './link_lists.ts'
import { Replacement } from './replacement.ts'
import { cachedError, LoginTrouble } from './trouble.ts'
import { type Waiter, Waiters } from './waiters.ts'

/** A link, as the pool sees it. */
export interface PoolLink {
  readonly generation: number
  readonly facts: { readonly id: number; readonly openedAtMs: number; readonly welcome: ReadonlyMap<string, string> }
  overdue: boolean
  idleSinceMs: number
  roleMayDiffer: boolean
  readonly closeReason: CloseReason | undefined
  shut(reason: CloseReason): void
  run(sql: string, done: (error: { readonly sqlstate: string; readonly message: string } | undefined) => void): void
}

/** What a pool reads of the settings; durations in milliseconds, 0 = off. */
export interface PoolSettings {
  readonly pool_size: number
  readonly server_lifetime: number
  readonly server_idle_timeout: number
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
  /** Dials and logs in. Rejects with a PgleaseError; the credential is never in it. */
  open(credential: Credential): Promise<L>
  linkClosed(reason: CloseReason): void
  drainOverrun(): void
}

/** Someone who needs to know what the server said at login, once. */
export interface WelcomeWaiter {
  welcome(parameters: ReadonlyMap<string, string>): void
  welcomeRefused(error: PgleaseError): void
}

/** How long a refused proof is repeated: a standby may not have the role yet. */
const PROOF_PATIENCE_MS = 5_000
const PROOF_RETRY_MS = 500
const PARALLEL_LOGINS = 5

export class Pool<L extends PoolLink> implements CredentialConsumer {
  readonly lists = new LinkLists<L>()
  readonly waiters = new Waiters<L>()
  settings: PoolSettings
  welcomeParameters: ReadonlyMap<string, string> | undefined
  readonly #parts: PoolParts<L>
  readonly #generations: Generations
  readonly #trouble: LoginTrouble
  readonly #replacement = new Replacement()
  readonly #welcomeWaiters = new Set<WelcomeWaiter>()
  readonly #cancels = new Map<L, number>()
  #sourceTrouble: Trouble | undefined
  #current: Credential | undefined
  #offered: Credential | undefined
  #proving = false
  #refusedSinceMs: number | undefined
  #dialing = 0
  #retry: Timer | undefined
  #closed = false
  readonly #unsubscribe: () => void

  constructor(parts: PoolParts<L>) {
    this.#parts = parts
    this.settings = parts.settings
    this.#trouble = new LoginTrouble(parts.clock)
    this.#generations = new Generations((generation) => parts.source.reportDrained(this, generation))
    this.#unsubscribe = parts.source.subscribe(this)
  }

  /** Every link that counts: logging in, serving, and not closed by the server yet. */
  get size(): number {
    return this.#dialing + this.lists.size
  }

  get dialing(): number {
    return this.#dialing
  }

  /** A credential has been proven and is not known to be dead. */
  get ready(): boolean {
    return this.#current !== undefined
  }

  get currentGeneration(): number {
    return this.#current?.generation ?? 0
  }

  get draining(): number {
    return this.#generations.leaving
  }

  /** Why no link can be had just now, for probes and errors; '' when nothing is wrong. */
  get cause(): string {
    const cause = this.#trouble.error ?? this.#sourceTrouble
    return cause === undefined ? '' : ERRORS[cause.code].text.replace('%s', () => cause.detail)
  }

  /** A session that holds `link` should give it back at the next ReadyForQuery. */
  mustYield(link: L): boolean {
    return this.waiters.size > 0 || link.generation !== this.#current?.generation
  }

  /** A link, or null: `waiter` is then told later (or was refused at once). */
  checkout(waiter: Waiter<L>): L | null {
    if (this.waiters.size === 0) {
      const link = this.#takeIdle()
      if (link !== undefined) return link
    }
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      waiter.linkRefused(refusal)
      return null
    }
    this.waiters.add(waiter, this.#parts.clock.monotonicMs())
    this.#grow()
    return null
  }

  /** The client waits no more. */
  leave(waiter: Waiter<L>): void {
    this.waiters.remove(waiter)
  }

  /** A settled link comes back. */
  release(link: L): void {
    if (link.closeReason !== undefined) return
    if ((this.#cancels.get(link) ?? 0) > 0) return this.lists.move(link, 'being_canceled')
    if (link.roleMayDiffer) return this.#resetRole(link)
    const reason = this.#endReason(link)
    if (reason !== undefined) return this.#shut(link, reason)
    this.#place(link)
  }

  /** A client or server that is not to be trusted with this link any more. */
  discard(link: L, reason: CloseReason): void {
    if (link.closeReason === undefined) this.#shut(link, reason)
  }

  beginCancel(link: L): void {
    this.#cancels.set(link, (this.#cancels.get(link) ?? 0) + 1)
  }

  /** `clean` = the server has closed the cancel's connection; else it may still strike, and the link cannot be reused. */
  endCancel(link: L, clean: boolean): void {
    const left = (this.#cancels.get(link) ?? 1) - 1
    if (left > 0) this.#cancels.set(link, left)
    else this.#cancels.delete(link)
    if (link.closeReason !== undefined) return
    if (!clean) return this.#shut(link, 'cancel_unfinished')
    if (left === 0 && this.lists.state(link) === 'being_canceled') this.release(link)
  }

  // What a link tells (server/link's owner).

  linkDying(link: L): void {
    if (this.lists.state(link) !== undefined && this.lists.state(link) !== 'closing') this.lists.move(link, 'closing')
  }

  linkClosed(link: L, reason: CloseReason): void {
    if (this.lists.state(link) === undefined) return
    this.lists.remove(link)
    this.#cancels.delete(link)
    this.#parts.linkClosed(reason)
    this.#parts.log.debug('link_closed', `server connection ${link.facts.id} closed: ${reason}`, { ...this.#fields(link), reason })
    this.#generations.left(link.generation)
    this.#advance()
  }

  roleGone(link: L): void {
    this.gone(link.generation)
    this.#parts.source.reportFailure(link.generation, '42704')
  }

  // What a source tells (CredentialConsumer).

  offer(credential: Credential): void {
    if (this.#closed || this.#generations.state(credential.generation) !== undefined) return
    this.#offered = credential
    this.#refusedSinceMs = undefined
    this.#generations.offer(credential.generation)
    // a new credential is a new chance: no wait that the old one earned
    this.#trouble.nextTryMs = 0
    this.#advance()
  }

  overdue(generation: number): void {
    if (!this.#generations.setOverdue(generation)) return
    for (const link of this.lists.all()) if (link.generation === generation) link.overdue = true
    if (this.#generations.state(generation) !== 'draining') return
    const busy = this.lists.all().filter((link) => link.generation === generation && this.lists.state(link) === 'active')
    for (const link of busy) {
      this.#parts.drainOverrun()
      this.#parts.log.warning(
        'transaction_outlived_lease',
        'a transaction still runs with a role whose lease has ended and may fail; set rotate_before to leave long transactions more time',
        this.#fields(link),
      )
    }
    for (const link of this.lists.idle()) if (link.generation === generation) this.#shut(link, 'rotated')
  }

  gone(generation: number): void {
    if (!this.#generations.setGone(generation)) return
    this.#parts.log.warning(
      'role_gone',
      `the role of generation ${generation} no longer exists: its connections are closed as they settle`,
      {
        database: this.#parts.database,
        source: this.#parts.source.name,
        generation,
      },
    )
    if (this.#current?.generation === generation) this.#current = undefined
    for (const link of this.lists.idle()) if (link.generation === generation) this.#shut(link, 'role_gone')
  }

  trouble(trouble: Trouble | undefined): void {
    this.#sourceTrouble = trouble
    if (trouble !== undefined) this.#refuseWaiters()
  }

  /** Called about four times a second. */
  tick(): void {
    const nowMs = this.#parts.clock.monotonicMs()
    const { query_wait_timeout, query_wait_notify, server_idle_timeout } = this.settings
    this.waiters.tick(nowMs, query_wait_timeout, query_wait_notify, () => new PgleaseError('query_wait_timeout', this.cause))
    for (const link of this.lists.idle()) {
      if (this.#generations.isOverdue(link.generation)) continue
      if (server_idle_timeout > 0 && nowMs - link.idleSinceMs >= server_idle_timeout) this.#shut(link, 'server_idle_timeout')
      else if (this.#outlived(link, nowMs)) this.#shut(link, 'server_lifetime')
    }
    this.#advance()
  }

  whenWelcome(waiter: WelcomeWaiter): void {
    if (this.welcomeParameters !== undefined) return waiter.welcome(this.welcomeParameters)
    const refusal = this.#refusal()
    if (refusal !== undefined) return waiter.welcomeRefused(refusal)
    this.#welcomeWaiters.add(waiter)
  }

  leaveWelcome(waiter: WelcomeWaiter): void {
    this.#welcomeWaiters.delete(waiter)
  }

  /** No new links; idle ones are closed, and busy ones when they settle. */
  close(): void {
    this.#closed = true
    this.#retry?.cancel()
    for (const link of this.lists.idle()) this.#shut(link, 'pool_closed')
    this.#unsubscribe()
  }

  /** Closes every link now. */
  abort(): void {
    this.close()
    for (const link of this.lists.all()) if (link.closeReason === undefined) this.#shut(link, 'shutdown_now')
  }

  #fields(link: L): { database: string; source: string; generation: number; link: number } {
    return { database: this.#parts.database, source: this.#parts.source.name, generation: link.generation, link: link.facts.id }
  }

  /** Prefers links of the current credential; an older one still serves rather than let a client wait. */
  #takeIdle(): L | undefined {
    const current = this.#current?.generation
    let link = this.lists.lastIdle()
    if (link !== undefined && link.generation !== current) link = this.lists.findIdle((idle) => idle.generation === current) ?? link
    while (link !== undefined) {
      if (!this.#needsCheck(link)) {
        this.lists.move(link, 'active')
        return link
      }
      this.#check(link)
      link = this.lists.lastIdle()
    }
    return undefined
  }

  #needsCheck(link: L): boolean {
    const { server_check_delay, server_check_query } = this.settings
    return server_check_query !== '' && this.#parts.clock.monotonicMs() - link.idleSinceMs >= server_check_delay
  }

  #check(link: L): void {
    this.lists.move(link, 'tested')
    const sql = this.settings.server_check_query === '<empty>' ? '' : this.settings.server_check_query
    link.run(sql, (error) => {
      if (error !== undefined) return this.#shut(link, 'check_failed')
      this.#place(link)
    })
  }

  #resetRole(link: L): void {
    this.lists.move(link, 'tested')
    link.roleMayDiffer = false
    link.run('RESET ROLE', (error) => {
      if (error !== undefined) return this.#shut(link, 'reset_failed')
      this.release(link)
    })
  }

  /** Why a settled link must not be used again. */
  #endReason(link: L): CloseReason | undefined {
    if (this.#closed) return 'pool_closed'
    const state = this.#generations.state(link.generation)
    if (state === 'gone') return 'role_gone'
    if (state === 'draining' && this.#replacement.takeAtRelease(this.size >= this.#limit)) return 'rotated'
    if (state === 'draining' && this.#generations.isOverdue(link.generation) && this.#current !== undefined) return 'rotated'
    if (!this.#generations.isOverdue(link.generation) && this.#outlived(link, this.#parts.clock.monotonicMs())) return 'server_lifetime'
    return undefined
  }

  #outlived(link: L, nowMs: number): boolean {
    return this.settings.server_lifetime > 0 && nowMs - link.facts.openedAtMs >= this.settings.server_lifetime
  }

  #shut(link: L, reason: CloseReason): void {
    this.lists.move(link, 'closing')
    link.shut(reason)
  }

  /** To the oldest waiter, or among the idle. */
  #place(link: L): void {
    const waiter = this.waiters.shift()
    if (waiter !== undefined) {
      this.lists.move(link, 'active')
      waiter.linkReady(link)
      return
    }
    link.idleSinceMs = this.#parts.clock.monotonicMs()
    this.lists.move(link, 'idle')
    if (this.#generations.leaving > 0) this.#advance()
  }

  get #limit(): number {
    return this.settings.pool_size > 0 ? this.settings.pool_size : Number.POSITIVE_INFINITY
  }

  /** Does whatever is due: prove an offered credential, replace links of old ones, open links for those who wait. */
  #advance(): void {
    if (this.#closed) return
    if (this.#trouble.waitMs > 0) return this.#retryLater()
    if (this.#offered !== undefined && !this.#proving) this.#prove(this.#offered)
    this.#replace()
    this.#grow()
  }

  #retryLater(): void {
    if (this.#retry !== undefined || this.#closed) return
    this.#retry = this.#parts.clock.after(this.#trouble.waitMs + 1, () => {
      this.#retry = undefined
      this.#advance()
    })
  }

  #prove(credential: Credential): void {
    if (this.size >= this.#limit) {
      // the proof counts: one link has to make room for it
      const idle = this.lists.lastIdle()
      if (idle !== undefined) this.#shut(idle, 'rotated')
      else this.#replacement.wantSlot()
      return
    }
    this.#proving = true
    this.#dial(credential)
  }

  /** Opens links with the current credential in place of those of its predecessors, a few at a time. */
  #replace(): void {
    const current = this.#current
    if (current === undefined || this.#generations.isOverdue(current.generation)) return
    const leaving = this.#generations.leaving - this.lists.count('closing')
    if (leaving <= 0) return this.#replacement.over()
    while (this.#replacement.wants(leaving) && this.#dialing < PARALLEL_LOGINS) {
      if (this.size >= this.#limit) {
        const idle = this.lists.findIdle((link) => link.generation !== current.generation)
        if (idle === undefined) return this.#replacement.wantSlot()
        this.#replacement.prepaid()
        return this.#shut(idle, 'rotated')
      }
      this.#replacement.begin()
      this.#dial(current, true)
    }
  }

  /** A login for each client that waits, as far as the limit allows. */
  #grow(): void {
    const current = this.#current
    if (this.#closed || current === undefined || this.#generations.isOverdue(current.generation)) return
    if (this.#trouble.waitMs > 0) return this.#retryLater()
    while (this.waiters.size > this.#dialing && this.size < this.#limit && this.#dialing < PARALLEL_LOGINS) this.#dial(current)
  }

  #dial(credential: Credential, replacing = false): void {
    this.#dialing++
    this.#generations.joined(credential.generation)
    this.#parts.open(credential).then(
      (link) => this.#opened(link, credential, replacing),
      (error: unknown) => this.#failed(error, credential, replacing),
    )
  }

  #opened(link: L, credential: Credential, replacing: boolean): void {
    this.#dialing--
    this.lists.add(link, 'active')
    if (this.#trouble.clear()) this.#parts.log.info('login_recovered', 'logins to the server succeed again', this.#fields(link))
    this.#parts.log.debug('link_opened', `server connection ${link.facts.id} opened`, this.#fields(link))
    if (this.#closed) return this.#shut(link, 'pool_closed')
    if (this.#generations.isOverdue(link.generation)) link.overdue = true
    if (this.#offered === credential) this.#makeCurrent(credential)
    if (replacing && this.#replacement.done()) this.#retireOne()
    this.welcomeParameters = link.facts.welcome
    for (const waiter of this.#welcomeWaiters) waiter.welcome(link.facts.welcome)
    this.#welcomeWaiters.clear()
    if (link.closeReason === undefined) this.#place(link)
    this.#advance()
  }

  #makeCurrent(credential: Credential): void {
    const before = this.#current
    this.#proving = false
    this.#offered = undefined
    this.#current = credential
    this.#generations.makeCurrent(credential.generation)
    if (before !== undefined) this.#replacement.owe()
    this.#parts.log.info('credential_proven', `generation ${credential.generation} serves new connections`, {
      database: this.#parts.database,
      source: credential.source,
      generation: credential.generation,
    })
    this.#parts.source.reportProven(this, credential.generation)
  }

  /** One link of an old credential has been replaced: an idle one goes now, else the next that settles. */
  #retireOne(): void {
    const current = this.#current?.generation
    const idle = this.lists.findIdle((link) => link.generation !== current)
    if (idle !== undefined) this.#shut(idle, 'rotated')
    else this.#replacement.owe()
  }

  #failed(thrown: unknown, credential: Credential, replacing: boolean): void {
    this.#dialing--
    if (replacing) this.#replacement.failed()
    const error = thrown instanceof PgleaseError ? thrown : new PgleaseError('server_misbehaved', 'an internal error during login')
    if (!(thrown instanceof PgleaseError)) this.#parts.log.error('bug', String(thrown), { database: this.#parts.database })
    if (this.#offered === credential) this.#proving = false
    if (!this.#closed) this.#noteFailure(error, credential)
    this.#generations.left(credential.generation)
    this.#advance()
  }

  #noteFailure(error: PgleaseError, credential: Credential): void {
    let cause = error
    if (error.code === 'login_refused') {
      const nowMs = this.#parts.clock.monotonicMs()
      this.#refusedSinceMs ??= nowMs
      const patient = this.#offered === credential && nowMs - this.#refusedSinceMs < PROOF_PATIENCE_MS
      if (patient) this.#trouble.failed(error, PROOF_RETRY_MS)
      else {
        cause = new PgleaseError('login_refused_for_good', error.detail)
        this.#trouble.failed(cause)
        this.#parts.source.reportFailure(credential.generation, error.sqlstate)
      }
      if (patient) return
    } else if (!this.#trouble.failed(error)) return this.#refuseWaiters()
    this.#parts.log.warning('login_failed', `${cause.message}; tried again in ${Math.round(this.#trouble.waitMs)} ms`, {
      database: this.#parts.database,
      source: credential.source,
      generation: credential.generation,
      code: cause.code,
    })
    this.#refuseWaiters()
  }

  /** The error for clients that need not wait: a permanent cause while no link works. */
  #refusal(): PgleaseError | undefined {
    if (this.lists.alive > 0) return undefined
    const login = this.#trouble.error
    if (login !== undefined && this.#trouble.permanent) return cachedError(login)
    const source = this.#sourceTrouble
    if (source !== undefined && this.#current === undefined && ERRORS[source.code].class === 'permanent') return cachedError(source)
    return undefined
  }

  #refuseWaiters(): void {
    const refusal = this.#refusal()
    if (refusal === undefined) return
    for (const waiter of this.waiters.takeAll()) waiter.linkRefused(refusal)
    const welcomes = [...this.#welcomeWaiters]
    this.#welcomeWaiters.clear()
    for (const waiter of welcomes) waiter.welcomeRefused(refusal)
  }
}
