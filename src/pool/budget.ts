// A limit on links that several pools share: those of one database, of one user, or of one PostgreSQL host.

/** A pool, as the others see it that share a limit with it. */
export interface BudgetMember {
  /** Every link that counts. */
  readonly size: number
  /** Monotonic time since which its oldest client waits; undefined = none waits. */
  readonly waitingSinceMs: number | undefined
  /** Monotonic time since which its longest unused link is idle; undefined = it has no idle link. */
  readonly idleSinceMs: number | undefined
  /** Closes its longest unused link. */
  evict(): void
  /** There may be room for a link, or a link of another pool that can be evicted. */
  changed(): void
}

export class Budget {
  readonly limit: number
  /** A member needed a link, and there was neither room nor an idle link of another pool. */
  hungry = false
  readonly #members = new Set<BudgetMember>()
  #used = 0
  /** Evicted links that the server has not closed yet. */
  #evicting = 0

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

  evicting(): void {
    this.#evicting++
  }

  /** A link is gone, or a login failed. */
  given(evicted: boolean): void {
    this.#used--
    if (evicted) this.#evicting--
    this.#tell()
  }

  /** A link of one of the members has become idle. */
  linkIdle(): void {
    if (this.hungry) this.#tell()
  }

  /** `member` needs `count` links and there is no room: idle links of others are closed, those first that were unused the longest. */
  evictFor(member: BudgetMember, count: number): void {
    while (this.free <= 0 && this.#evicting < count) {
      const victim = this.#longestIdle(member)
      if (victim === undefined) {
        this.hungry = true
        return
      }
      victim.evict()
    }
  }

  /**
   * Whether a link that has just settled goes although its own pool has work for it: another member has clients that wait and not one
   * link, and would get none as long as the others are busy.
   */
  mustCede(member: BudgetMember): boolean {
    if (!this.hungry || this.free > 0 || this.#evicting > 0 || member.size < 2) return false
    for (const other of this.#members) if (other !== member && other.size === 0 && other.waitingSinceMs !== undefined) return true
    return false
  }

  #longestIdle(except: BudgetMember): BudgetMember | undefined {
    let found: BudgetMember | undefined
    let sinceMs = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      const idleSinceMs = member === except ? undefined : member.idleSinceMs
      if (idleSinceMs === undefined || idleSinceMs >= sinceMs) continue
      found = member
      sinceMs = idleSinceMs
    }
    return found
  }

  /** Those who wait: first those without any link, then those who waited longest. */
  #tell(): void {
    this.hungry = false
    const waiting = [...this.#members].filter((member) => member.waitingSinceMs !== undefined)
    const rank = ({ size }: BudgetMember) => Math.min(1, size)
    waiting.sort((one, other) => rank(one) - rank(other) || (one.waitingSinceMs ?? 0) - (other.waitingSinceMs ?? 0))
    for (const member of waiting) member.changed()
  }
}
