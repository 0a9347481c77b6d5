// How a pool gets its links: which credential is current, which is to be proven, and when to log in.
import type { Timer } from '../clock.ts'
import type { Credential, CredentialConsumer, Trouble } from '../credential.ts'
import { PgleaseError } from '../errors.ts'
import type { LogFields } from '../log.ts'
import { Ceiling } from './ceiling.ts'
import { Generations } from './generation.ts'
import { LoginFailures } from './login_failures.ts'
import type { LoginsHost, LoginsParts } from './logins_parts.ts'
import type { PoolLink } from './pool_link.ts'
import { Proof } from './proof.ts'
import { Replacement } from './replacement.ts'
import { type LoginTrouble, PoolTrouble } from './trouble.ts'

const PARALLEL_LOGINS = 5
/** For so long a proof without a place waits for the pool's own links before others end for it. */
const OWN_LINKS_PATIENCE_MS = 1_000

export class Logins<L extends PoolLink> {
  readonly generations: Generations
  readonly replacement = new Replacement()
  current: Credential | undefined
  /** Logins under way. */
  dialing = 0
  readonly #host: LoginsHost<L>
  readonly #parts: LoginsParts<L>
  readonly #troubles: PoolTrouble
  readonly #ceiling: Ceiling
  readonly #proof = new Proof()
  readonly #failures: LoginFailures
  #retry: Timer | undefined
  #closed = false
  readonly #consumer: CredentialConsumer

  constructor(host: LoginsHost<L>, parts: LoginsParts<L>, consumer: CredentialConsumer) {
    this.#host = host
    this.#parts = parts
    this.#consumer = consumer
    this.#troubles = new PoolTrouble(parts.clock)
    this.#failures = new LoginFailures(host, parts, this.#proof, this.#troubles.logins)
    this.#ceiling = new Ceiling(parts.clock)
    this.generations = new Generations((generation) => parts.source.reportDrained(consumer, generation))
  }

  /** Every link that counts: logging in, serving, and not closed by the server yet. */
  get size(): number {
    return this.dialing + this.#host.lists.size
  }

  /** Most links at a time, as far as is known. */
  get #limit(): number {
    return Math.min(this.#host.room.limit, this.#ceiling.links)
  }

  /** Why no link can be had just now; '' when nothing is wrong. */
  get cause(): string {
    return this.#troubles.cause
  }

  get #trouble(): LoginTrouble {
    return this.#troubles.logins
  }

  offer(credential: Credential): void {
    if (this.#closed || this.generations.state(credential.generation) !== undefined) return
    this.#proof.offer(credential, this.#parts.clock.monotonicMs())
    this.generations.offer(credential.generation)
    // a new credential is a new chance: it does not wait for what the old one earned
    this.#trouble.nextTryMs = 0
    this.advance()
  }

  /** Answers whether the generation was alive until now. */
  gone(generation: number): boolean {
    if (!this.generations.setGone(generation)) return false
    if (this.current?.generation === generation) this.current = undefined
    return true
  }

  setSourceTrouble(trouble: Trouble | undefined): void {
    this.#troubles.source = trouble
    if (trouble !== undefined) this.#refuseWaiting()
  }

  /** The error for clients that need not wait: a permanent cause while no link works. */
  refusal(): PgleaseError | undefined {
    return this.#host.lists.alive > 0 ? undefined : this.#troubles.refusal(this.current !== undefined)
  }

  close(): void {
    this.#closed = true
    this.#retry?.cancel()
  }

  /** Does whatever is due: tell those who wait in vain, prove an offered credential, replace links of old ones, open links for those who wait. */
  advance(): void {
    if (this.#closed) return
    // the last link may have gone since they began to wait
    if (this.#host.waiting > 0) this.#refuseWaiting()
    if (this.#trouble.waitMs > 0) return this.#retryLater()
    const { due } = this.#proof
    if (due !== undefined) this.#prove(due)
    this.#replace()
    this.grow()
  }

  /** A login for each client that waits, as far as the limit allows. */
  grow(): void {
    const current = this.current
    if (this.#closed || current === undefined || this.generations.isOverdue(current.generation)) return
    if (this.#trouble.waitMs > 0) return this.#retryLater()
    // while logins fail, one asks for all
    const parallel = this.#trouble.error === undefined ? PARALLEL_LOGINS : 1
    while (this.#isShort && this.size < this.#limit && this.dialing < parallel) this.#dial(current)
    this.#makeRoom(this.#host.waiting - this.dialing)
  }

  /** A client waits for whom no login is under way, the pool is smaller than it is to be, or clients are refused until a login succeeds. */
  get #isShort(): boolean {
    const { waiting, room } = this.#host
    return waiting > this.dialing || this.size < room.minimum || (this.#trouble.error !== undefined && this.size === 0)
  }

  /** For `count` more logins. */
  #makeRoom(count: number): void {
    if (count > 0) this.#host.room.make(count)
  }

  /** Monotonic time since which a credential waits to be proven while no link serves, or none gives it a place; undefined = none does. */
  get unprovenSinceMs(): number | undefined {
    return this.#host.lists.alive > 0 && !this.starving ? undefined : this.#proof.dueSinceMs
  }

  #retryLater(): void {
    if (this.#retry !== undefined || this.#closed) return
    this.#retry = this.#parts.clock.after(this.#trouble.waitMs + 1, () => {
      this.#retry = undefined
      this.advance()
    })
  }

  /** Links that are not of the current credential and still serve. */
  get #old(): number {
    if (this.generations.leaving === 0) return 0
    const current = this.current?.generation
    return this.#host.lists.countAlive((link) => link.generation !== current)
  }

  /** Does this link, which has just settled, have to make room: is it replaced already, or does a login need its place? */
  mustGo(link: L): boolean {
    // the steady state: nothing is replaced
    if (this.#proof.state === 'none' && link.generation === this.current?.generation) return false
    const makesPlace = this.#needsPlace && this.frees(link)
    if (makesPlace && this.#proof.state !== 'none') {
      this.#proof.makePlace()
      return true
    }
    if (makesPlace && link.generation !== this.current?.generation) return true
    return link.generation !== this.current?.generation && this.current !== undefined && this.replacement.surplus(this.#old) > 0
  }

  /** A login is due and the pool is full. */
  get #needsPlace(): boolean {
    if (this.#trouble.waitMs > 0 || this.size < this.#limit || this.#host.lists.count('closing') > 0) return false
    return this.#proof.state === 'due' || (this.#old > 0 && this.replacement.wantsLogin)
  }

  /** The proof waits for a link to be closed, and none is idle. */
  get proofNeedsPlace(): boolean {
    return this.#proof.state === 'due' && this.#needsPlace && this.#idleThatFrees === undefined
  }

  /** Whether the end of `link` makes room for a login. */
  frees(link: L): boolean {
    return this.#host.room.frees(link)
  }

  get #idleThatFrees(): L | undefined {
    return this.#host.lists.findIdle((link) => this.frees(link))
  }

  /** Links of the pool's own will not give it one soon. A credential that was refused asks nobody else to end. */
  get starving(): boolean {
    if (!this.proofNeedsPlace || this.#proof.refused) return false
    const waitedMs = this.#parts.clock.monotonicMs() - (this.#proof.dueSinceMs ?? 0)
    return this.#host.lists.alive === 0 || waitedMs >= OWN_LINKS_PATIENCE_MS
  }

  #prove(credential: Credential): void {
    const idle = this.#needsPlace ? this.#idleThatFrees : undefined
    if (idle !== undefined) {
      this.#proof.makePlace()
      this.#host.shut(idle, 'rotated')
    }
    if (this.size >= this.#limit) return this.#makeRoom(1)
    this.#proof.begin()
    this.#dial(credential)
  }

  /** Opens links with the current credential in place of those of its predecessors, a few at a time, and closes those. */
  #replace(): void {
    const current = this.current
    if (current === undefined || this.generations.isOverdue(current.generation)) return
    while (this.replacement.wantsLogin && this.dialing < PARALLEL_LOGINS && this.size < this.#limit) {
      this.replacement.begin()
      this.#dial(current, true)
    }
    const isOld = (link: L) => link.generation !== current.generation
    for (let going = this.replacement.surplus(this.#old); going > 0; going--) {
      const idle = this.#host.lists.findIdle(isOld)
      if (idle === undefined) break
      this.#host.shut(idle, 'rotated')
    }
    if (!this.#needsPlace) return
    const { lists } = this.#host
    const idle = lists.findIdle((link) => isOld(link) && this.frees(link))
    if (idle !== undefined) this.#host.shut(idle, 'rotated')
    else if (lists.find((link) => isOld(link) && this.frees(link)) === undefined) this.#makeRoom(1)
  }

  #dial(credential: Credential, replacing = false): void {
    this.dialing++
    if (this.#host.room.taken()) this.#logReserve()
    this.generations.joined(credential.generation)
    this.#parts.open(credential).then(
      (link) => this.#opened(link, credential, replacing),
      (error: unknown) => this.#failed(error, credential, replacing),
    )
  }

  #opened(link: L, credential: Credential, replacing: boolean): void {
    // while the login still counts as one that is under way: others are told of the places that it does not need
    this.#host.room.opened(link)
    this.dialing--
    this.#host.lists.add(link, 'active')
    const fields = this.#fields(credential)
    if (this.#trouble.clear()) this.#parts.log.info('login_recovered', 'logins to the server succeed again', fields)
    this.#parts.log.debug('link_opened', `server connection ${link.facts.id} opened`, { ...fields, link: link.facts.id })
    if (this.#closed) return this.#host.shut(link, 'pool_closed')
    if (this.generations.isOverdue(link.generation)) link.overdue = true
    const proof = this.#proof.loggedIn(credential)
    if (proof !== 'no proof') this.#makeCurrent(credential, proof === 'proven, place made' ? 1 : 0)
    if (replacing) this.replacement.ended(true)
    const refusal = this.generations.refusal(link.generation)
    if (refusal !== undefined) this.#host.shut(link, refusal)
    else this.#host.opened(link)
    this.advance()
  }

  /** `closed`: links that went for the sake of the proof. */
  #makeCurrent(credential: Credential, closed: number): void {
    this.current = credential
    // before what is drained by it: a source believes in the end of a generation only when there is a newer one
    this.#parts.source.reportProven(this.#consumer, credential.generation)
    this.generations.makeCurrent(credential.generation)
    this.replacement.start(this.#old + closed)
    // a source says so itself, once for all its pools
    this.#parts.log.debug('credential_proven', `generation ${credential.generation} serves new connections`, this.#fields(credential))
  }

  #failed(thrown: unknown, credential: Credential, replacing: boolean): void {
    this.dialing--
    if (replacing) this.replacement.ended(false)
    const error = thrown instanceof PgleaseError ? thrown : new PgleaseError('server_misbehaved', 'an internal error during login')
    if (!(thrown instanceof PgleaseError)) this.#parts.log.error('bug', String(thrown), this.#fields(credential))
    this.#proof.failed(credential, error)
    if (!this.#closed) {
      // as at our own limit, one is closed before the next is opened: else a credential could not be replaced on a full server
      if (error.code === 'server_full' && this.#host.lists.alive > 1) this.#ceiling.reached(this.size)
      this.#failures.note(error, credential, this.current)
      this.#refuseWaiting()
    }
    this.generations.left(credential.generation)
    this.#host.room.given()
    this.advance()
  }

  #refuseWaiting(): void {
    const refusal = this.refusal()
    if (refusal !== undefined) this.#host.refuse(refusal)
  }

  /** A client has waited for reserve_pool_timeout (pgbouncer's text). */
  #logReserve(): void {
    this.#parts.log.warning('reserve_pool', 'taking connection from reserve_pool', { database: this.#parts.database, count: this.size })
  }

  #fields(credential: Credential): LogFields {
    return { database: this.#parts.database, source: credential.source, generation: credential.generation }
  }
}
