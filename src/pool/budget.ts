// A limit on links that several pools share: those of one database, of one user, or of one PostgreSQL host.

/** A pool, as the others see it that share a limit with it. Not every link of a pool counts in the limit of each host. */
export interface BudgetMember {
  /** Every link that counts. */
  readonly size: number
  /** Monotonic time since which its oldest client waits; undefined = none waits. */
  readonly waitingSinceMs: number | undefined
  /** Of its credentials. */
  readonly source: string
  /** The first login with a new credential waits for a place that its own links do not give. */
  readonly starving: boolean
  /** Of its links that count in `budget`: monotonic time since which the longest unused one is idle; undefined = none is. */
  idleSinceMs(budget: Budget): number | undefined
  /** Those that the server has not closed yet: they make room. */
  closing(budget: Budget): number
  /** Closes the longest unused one. */
  evict(budget: Budget): void
  /** Ends one of those who keep a link for their whole life, now or soon. False: there is none, or none that rests. */
  endKept(budget: Budget): boolean
  /** There may be room for a link, or a link of another pool that can be evicted. */
  changed(): void
}

export class Budget {
  readonly limit: number
  /** A member needed a link, and there was neither room nor an idle link of another pool. */
  hungry = false
  readonly #members = new Set<BudgetMember>()
  #used = 0

  /** `limit`: at least 1. */
  constructor(limit: number) {
    this.limit = limit
  }

  add(member: BudgetMember): void {
    this.#members.add(member)
  }

  get free(): number {
    return this.limit - this.#used
  }

  /** A login began. */
  taken(): void {
    this.#used++
  }

  /** A link is gone, or a login failed. */
  given(): void {
    // with the place there, nobody starves
    const waiting = this.#waiting()
    this.#used--
    this.#tell(waiting)
  }

  /** A link of one of the members has become idle. */
  linkIdle(): void {
    if (this.hungry) this.#tell(this.#waiting())
  }

  /** `member` needs `count` links and there is no room: idle links of others are closed, those first that were unused the longest. */
  evictFor(member: BudgetMember, count: number): void {
    while (this.free <= 0 && this.#closing < count) {
      const victim = this.#longestIdle(member)
      if (victim === undefined) {
        this.hungry = true
        return
      }
      victim.evict(this)
    }
  }

  /** `member` starves, and no link of another is idle: one of those who keep theirs ends, of the same credentials if possible, as they end soon anyway. */
  endKeptFor(member: BudgetMember): boolean {
    if (this.free > 0 || this.#closing > 0) return false
    const others = [...this.#members].filter((other) => other !== member)
    const rank = ({ source }: BudgetMember) => (source === member.source ? 0 : 1)
    others.sort((one, other) => rank(one) - rank(other) || other.size - one.size)
    return others.some((other) => other.endKept(this))
  }

  /** Whether one who keeps a link of `member` ends, having come to rest: see `endKeptFor`. */
  mustEndKept(member: BudgetMember): boolean {
    return this.#isShort && this.#some(member, (other) => other.starving)
  }

  /**
   * Whether a link that has just settled goes although its own pool has work for it: another member starves, or has clients that wait
   * and not one link, and would get none as long as the others are busy.
   */
  mustCede(member: BudgetMember): boolean {
    if (!this.#isShort) return false
    const isWithout = (other: BudgetMember) => member.size > 1 && other.size === 0 && other.waitingSinceMs !== undefined
    return this.#some(member, (other) => other.starving || isWithout(other))
  }

  /** Somebody needs a place, and none is on its way. */
  get #isShort(): boolean {
    return this.hungry && this.free <= 0 && this.#closing === 0
  }

  get #closing(): number {
    let count = 0
    for (const member of this.#members) count += member.closing(this)
    return count
  }

  #some(except: BudgetMember, accept: (member: BudgetMember) => boolean): boolean {
    for (const member of this.#members) if (member !== except && accept(member)) return true
    return false
  }

  #longestIdle(except: BudgetMember): BudgetMember | undefined {
    let found: BudgetMember | undefined
    let sinceMs = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      const idleSinceMs = member === except ? undefined : member.idleSinceMs(this)
      if (idleSinceMs === undefined || idleSinceMs >= sinceMs) continue
      found = member
      sinceMs = idleSinceMs
    }
    return found
  }

  /** Those who wait: first those who starve, then those without any link, then those who waited longest. */
  #waiting(): BudgetMember[] {
    const ranked = [...this.#members]
      .filter(({ waitingSinceMs }) => waitingSinceMs !== undefined)
      .map((member) => ({ member, rank: member.starving ? 0 : Math.min(2, member.size + 1), sinceMs: member.waitingSinceMs ?? 0 }))
    return ranked.sort((one, other) => one.rank - other.rank || one.sinceMs - other.sinceMs).map(({ member }) => member)
  }

  #tell(waiting: readonly BudgetMember[]): void {
    this.hungry = false
    for (const member of waiting) member.changed()
  }
}
