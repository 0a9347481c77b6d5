// Finds the links whose server does not answer a query of pglease's own: a reset, a check, the parameters of a client.

/** A link, as seen from here. */
interface Asked {
  /** The query of pglease's own whose answer is awaited and read: an object for each; null = there is none. */
  readonly ownQuery: object | null
}

export class OwnQueries<L extends Asked> {
  readonly #seen = new Map<L, { readonly query: object; readonly sinceMs: number }>()

  /** Called at each tick: those of `links` that have waited for `limitMs` (0 = no limit) since the tick that saw their query first. */
  late(links: readonly L[], nowMs: number, limitMs: number): L[] {
    if (limitMs === 0) return []
    const late: L[] = []
    const running = new Set<L>()
    for (const link of links) {
      const { ownQuery } = link
      if (ownQuery === null) continue
      running.add(link)
      const seen = this.#seen.get(link)
      if (seen?.query !== ownQuery) this.#seen.set(link, { query: ownQuery, sinceMs: nowMs })
      else if (nowMs - seen.sinceMs >= limitMs) late.push(link)
    }
    for (const link of this.#seen.keys()) if (!running.has(link)) this.#seen.delete(link)
    return late
  }
}
