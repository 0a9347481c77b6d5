// In which of the limits that pools share the links of one database count.
import type { Budget } from './budget.ts'

export class Places {
  /** All of them. */
  readonly budgets: readonly Budget[]
  readonly #byHost: ReadonlyMap<string, Budget>
  readonly #ofHosts: ReadonlySet<Budget>

  /** `byHost`: the limits of the database's hosts, by what `facts.server` of a link to one says. A link counts in its own host's only. */
  constructor(always: readonly Budget[], byHost: ReadonlyMap<string, Budget> = new Map()) {
    this.budgets = [...always, ...byHost.values()]
    this.#byHost = byHost
    this.#ofHosts = new Set(byHost.values())
  }

  /** How many more logins may begin. */
  get free(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { free } of this.budgets) least = Math.min(least, free)
    return least
  }

  get full(): readonly Budget[] {
    return this.budgets.filter(({ free }) => free <= 0)
  }

  counts(server: string, budget: Budget): boolean {
    return !this.#ofHosts.has(budget) || this.#byHost.get(server) === budget
  }

  /** Every link of the database counts in `budget`. */
  countsAll(budget: Budget): boolean {
    return !this.#ofHosts.has(budget) || this.#byHost.size === 1
  }

  /** A login begins. To which host it will lead is not known, so it takes a place at each. */
  taken(): void {
    for (const budget of this.budgets) budget.taken()
  }

  /** It led to `server`: the places at the others are free again. */
  opened(server: string): void {
    for (const budget of this.#ofHosts) if (this.#byHost.get(server) !== budget) budget.given()
  }

  /** A link to `server` is gone; undefined: a login failed. */
  given(server?: string): void {
    for (const budget of this.budgets) if (server === undefined || this.counts(server, budget)) budget.given()
  }
}
