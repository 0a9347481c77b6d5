// A dynamic role of Vault as a credential source: when each generation is leased, handed to its consumers, replaced and ended.
import { delay } from '../clock.ts'
import type { Credential, CredentialConsumer, CredentialSource, Trouble } from '../credential.ts'
import type { VaultContext } from './context.ts'
import { canServe } from './generation.ts'
import { Holders } from './holders.ts'
import { Lease, type LeaseGrant, type LeaseOwner } from './lease.ts'
import { ReadTurns } from './read_turns.ts'
import { CredentialReader } from './reader.ts'
import { Refusals } from './refusals.ts'
import { Revoker } from './revoke.ts'
import { SourceLog } from './source_log.ts'
import type { SourceSnapshot } from './source_snapshot.ts'
import type { TokenKeeper } from './token_keeper.ts'

/** How long the revocation of a lease that cannot be used is tried. */
const UNUSABLE_PATIENCE_MS = 60_000
/** Many sources spread their reads under a new token over this long. */
const LONGEST_SPREAD_MS = 20_000

export class LeasedSource implements CredentialSource, LeaseOwner {
  readonly name: string
  readonly vaultPath: string
  readonly #context: VaultContext
  readonly #log: SourceLog
  readonly #keeper: TokenKeeper
  readonly #reader: CredentialReader
  readonly #revoker: Revoker
  readonly #holders = new Holders()
  readonly #refusals: Refusals
  /** Not over yet, oldest first. */
  #leases: Lease[] = []
  #generation = 0
  #trouble: Trouble | undefined
  readonly #turns: ReadTurns
  #closed = false
  /** When the read of the newest generation began; undefined once its rotation was reported. */
  #rotationMs: number | undefined

  constructor(context: VaultContext, keeper: TokenKeeper, name: string, vaultPath: string) {
    this.#context = context
    this.#keeper = keeper
    this.name = name
    this.vaultPath = vaultPath
    this.#log = new SourceLog(context, name, vaultPath)
    this.#refusals = new Refusals(context.clock)
    this.#turns = new ReadTurns(context.clock, {
      pauseLeftMs: () => this.#refusals.pauseLeftMs,
      read: () => this.#readNext(),
      over: () => this.#reconsider(),
    })
    this.#revoker = new Revoker(context, keeper)
    this.#reader = new CredentialReader(context, keeper, {
      source: name,
      vaultPath,
      servingLeftMs: () => this.#servingLeftMs(),
      onFailure: (trouble, attempted) => this.#readFailed(trouble, attempted),
      onUnusable: (leaseId, generation) => void this.#revoker.revoke(this.#target(leaseId, generation), () => UNUSABLE_PATIENCE_MS),
    })
  }

  /** Begins to lease: sources of exact databases are ready before the first client comes. */
  start(): void {
    this.#turns.request(0)
  }

  current(): Credential | undefined {
    return this.#newest()?.credential
  }

  leftMs(generation: number): number {
    return this.#find(generation)?.leftMs() ?? 0
  }

  subscribe(consumer: CredentialConsumer): () => void {
    this.#holders.add(consumer)
    if (this.#trouble !== undefined) consumer.trouble(this.#trouble)
    const newest = this.#newest()
    if (newest !== undefined) consumer.offer(newest.credential)
    return () => {
      if (this.#holders.remove(consumer)) this.#settle()
    }
  }

  reportProven(consumer: CredentialConsumer, generation: number): void {
    const lease = this.#find(generation)
    if (lease === undefined || !this.#holders.has(consumer)) return
    this.#holders.prove(consumer, generation)
    if (lease.state === 'offered') {
      lease.become('current')
      this.#refusals.proven()
      this.#log.proven(lease)
    }
    this.#reportRotation(lease)
    this.#settle()
  }

  reportFailure(generation: number, sqlstate: string): void {
    const lease = this.#find(generation)
    if (lease === undefined || this.#closed) return
    const next = this.#refuse(lease)
    if (sqlstate === '42704') this.#roleGone(lease, next ?? '')
    else if (next !== undefined) this.#log.refused(lease, sqlstate, next)
    if (next !== undefined) this.#turns.request(0)
  }

  /** Counts a refusal and answers, for the log, when a new credential comes; undefined = one is there or on its way already. */
  #refuse(lease: Lease): string | undefined {
    if (lease !== this.#newest() || this.#refusals.has(lease.generation)) return undefined
    const { clock, observer } = this.#context
    if (lease.state === 'offered') observer.rotation(this.name, 'failed', clock.monotonicMs() - (this.#rotationMs ?? 0))
    const pause = this.#refusals.add(lease.generation, lease.state !== 'offered')
    return pause === 0 ? '; a new one is leased now' : `; a new one is leased in ${Math.round(pause / 1000)} s`
  }

  /** Heard only from consumers that serve with a newer generation: until then they may open links with this one again. */
  reportDrained(consumer: CredentialConsumer, generation: number): void {
    if (this.#holders.newestOf(consumer) <= generation) return
    this.#holders.letGo(consumer, generation)
    this.#settle()
  }

  wantsSuccessor(lease: Lease): void {
    if (lease === this.#newest()) this.#turns.request(0)
  }

  ended(lease: Lease): void {
    if (lease.state === 'draining') {
      lease.become('gone')
      for (const consumer of this.#holders.of(lease.generation)) consumer.gone(lease.generation)
    } else if (canServe(lease.state)) {
      lease.become('overdue')
      this.#log.overdue(lease)
      for (const consumer of this.#holders.all()) {
        if (this.#holders.newestOf(consumer) > lease.generation) consumer.gone(lease.generation)
        else consumer.overdue(lease.generation)
      }
    }
    this.#settle()
    if (lease === this.#newest()) this.#turns.request(0)
  }

  /** Token or availability changed: every lease looks again, and a new token means new leases under it. */
  vaultChanged(): void {
    const token = this.#keeper.current
    const newest = this.#newest()
    for (const lease of this.#leases) lease.wake()
    // what is being read right now may still come under the old token: that is looked at when it has come
    if (token === undefined || newest === undefined || newest.token === token || this.#turns.running) return
    // spread, so that many sources do not lease all at once; the old token's end bounds it
    const longest = Math.max(0, Math.min(LONGEST_SPREAD_MS, newest.leftMs() / 3))
    this.#turns.request(this.#context.clock.random() * longest)
  }

  async close(budgetMs: number): Promise<void> {
    this.#closed = true
    this.#turns.close()
    this.#reader.close()
    this.#revoker.limit(budgetMs)
    for (const lease of this.#leases) void this.#finish(lease)
    this.#leases = []
    const timeout = new AbortController()
    const ended = async () => {
      // a read on its way may still grant a lease, which is revoked at once
      await this.#turns.idle()
      await this.#revoker.idle()
    }
    await Promise.race([ended(), delay(this.#context.clock, budgetMs, timeout.signal)])
    timeout.abort()
  }

  snapshot(): SourceSnapshot {
    return {
      name: this.name,
      vaultPath: this.vaultPath,
      trouble: this.#trouble,
      reading: this.#turns.running,
      generations: this.#leases.map((lease) => ({
        generation: lease.generation,
        state: lease.state,
        user: lease.credential.user,
        leaseId: lease.leaseId,
        remainingMs: lease.leftMs(),
      })),
    }
  }

  #newest(): Lease | undefined {
    return this.#leases.at(-1)
  }

  #find(generation: number): Lease | undefined {
    return this.#leases.find((lease) => lease.generation === generation)
  }

  #servingLeftMs(): number | undefined {
    const left = this.#leases.filter((lease) => canServe(lease.state)).map((lease) => lease.leftMs())
    return left.length === 0 ? undefined : Math.max(...left)
  }

  #target(leaseId: string, generation: number) {
    return { leaseId, generation, source: this.name, vaultPath: this.vaultPath }
  }

  #setTrouble(trouble: Trouble | undefined): void {
    if (trouble?.code === this.#trouble?.code && trouble?.detail === this.#trouble?.detail) return
    this.#trouble = trouble
    for (const consumer of this.#holders.all()) consumer.trouble(trouble)
  }

  #readFailed(trouble: Trouble, attempted: boolean): void {
    const { observer, clock } = this.#context
    if (attempted && this.#generation > 0) observer.rotation(this.name, 'failed', clock.monotonicMs() - (this.#rotationMs ?? 0))
    const news = trouble.code !== this.#trouble?.code || trouble.detail !== this.#trouble.detail
    if (attempted && news) this.#log.readFailed(trouble, this.#servingLeftMs() !== undefined)
    this.#setTrouble(trouble)
  }

  async #readNext(): Promise<void> {
    this.#rotationMs = this.#context.clock.monotonicMs()
    const grant = await this.#reader.read(this.#generation + 1)
    if (grant === undefined) return
    this.#generation = grant.credential.generation
    this.#adopt(grant)
  }

  /** What called for a successor while one was being read may call for the next one. */
  #reconsider(): void {
    const newest = this.#newest()
    if (newest === undefined || this.#closed) return
    if (newest.successorWanted || newest.leftMs() <= 0 || this.#refusals.has(newest.generation)) this.#turns.request(0)
    else this.vaultChanged()
  }

  #adopt(grant: LeaseGrant): void {
    const lease = new Lease(this.#context, this.#keeper, this, grant)
    if (this.#closed) {
      void this.#finish(lease)
      return
    }
    this.#leases.push(lease)
    this.#log.obtained(lease, grant)
    this.#setTrouble(undefined)
    for (const consumer of this.#holders.all()) consumer.offer(lease.credential)
    this.#settle()
    void lease.run()
  }

  /** `next` says when another credential is leased. */
  #roleGone(lease: Lease, next: string): void {
    if (lease.state === 'gone') return
    lease.stop()
    lease.become('gone')
    this.#log.roleGone(lease, next)
    for (const consumer of this.#holders.all()) consumer.gone(lease.generation)
    this.#settle()
  }

  #reportRotation(lease: Lease): void {
    if (lease !== this.#newest() || this.#rotationMs === undefined) return
    if (!this.#holders.allReached(lease.generation)) return
    const ms = this.#context.clock.monotonicMs() - this.#rotationMs
    this.#rotationMs = undefined
    if (lease.generation === 1) return
    this.#context.observer.rotation(this.name, 'ok', ms)
    this.#log.rotated(lease, ms)
  }

  /** Whether nobody will open links with `lease` any more. */
  #superseded(lease: Lease): boolean {
    const newer = this.#leases.filter((other) => other.generation > lease.generation)
    if (newer.length === 0) return false
    if (this.#holders.anyServesWith(lease.generation)) return false
    const replaced = this.#holders.all().length === 0 || newer.some((other) => this.#holders.everHeld(other.generation))
    return replaced || (this.#refusals.has(lease.generation) && !this.#holders.everHeld(lease.generation))
  }

  /** Brings every generation to the state that the reports call for, and ends those that nobody holds. */
  #settle(): void {
    for (const lease of [...this.#leases]) {
      if (!this.#superseded(lease)) continue
      if (lease.state !== 'draining' && lease.state !== 'gone') lease.become('draining')
      if (this.#holders.of(lease.generation).length > 0) continue
      this.#leases = this.#leases.filter((other) => other !== lease)
      void this.#finish(lease)
    }
  }

  /** Revokes what Vault has not ended by itself, and lets go of the token. */
  async #finish(lease: Lease): Promise<void> {
    lease.stop()
    this.#holders.forget(lease.generation)
    this.#refusals.forget(lease.generation)
    if (lease.leftMs() > 0) await this.#revoker.revoke(this.#target(lease.leaseId, lease.generation), () => lease.leftMs())
    lease.over()
  }
}
