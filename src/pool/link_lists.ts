// Which link is in which state: one list a state, and one function that moves.

export type LinkState = 'idle' | 'active' | 'tested' | 'being_canceled' | 'closing'

/** Every legal move; 'login' is before a link exists, and a link is forgotten from 'closing' only. */
const MOVES: Readonly<Record<LinkState, readonly LinkState[]>> = {
  idle: ['active', 'tested', 'closing'],
  active: ['idle', 'active', 'tested', 'being_canceled', 'closing'],
  tested: ['idle', 'active', 'closing'],
  being_canceled: ['idle', 'active', 'tested', 'being_canceled', 'closing'],
  closing: [],
}

export class LinkLists<L extends object> {
  readonly #states = new Map<L, LinkState>()
  readonly #counts: Record<LinkState, number> = { idle: 0, active: 0, tested: 0, being_canceled: 0, closing: 0 }
  /** Last released first out, so that few links stay warm and the rest can time out. */
  #idle: L[] = []

  add(link: L, state: 'idle' | 'active'): void {
    this.#states.set(link, state)
    this.#counts[state]++
    if (state === 'idle') this.#idle.push(link)
  }

  state(link: L): LinkState | undefined {
    return this.#states.get(link)
  }

  count(state: LinkState): number {
    return this.#counts[state]
  }

  get size(): number {
    return this.#states.size
  }

  /** Links that serve or may serve. */
  get alive(): number {
    return this.#states.size - this.#counts.closing
  }

  move(link: L, to: LinkState): void {
    const from = this.#states.get(link)
    if (from === undefined || !MOVES[from].includes(to)) throw new Error(`a link cannot go from ${from} to ${to}`)
    if (from === to) return
    if (from === 'idle' && this.#idle[this.#idle.length - 1] === link) this.#idle.pop()
    else if (from === 'idle') this.#idle.splice(this.#idle.lastIndexOf(link), 1)
    this.#states.set(link, to)
    this.#counts[from]--
    this.#counts[to]++
    if (to === 'idle') this.#idle.push(link)
  }

  /** The link is gone for good. */
  remove(link: L): void {
    const state = this.#states.get(link)
    if (state === undefined) return
    if (state === 'idle') this.#idle.splice(this.#idle.lastIndexOf(link), 1)
    this.#states.delete(link)
    this.#counts[state]--
  }

  /** The idle link that was used last. */
  lastIdle(): L | undefined {
    return this.#idle[this.#idle.length - 1]
  }

  /** The youngest idle link for which `accept` is true. */
  findIdle(accept: (link: L) => boolean): L | undefined {
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const link = this.#idle[index] as L
      if (accept(link)) return link
    }
    return undefined
  }

  countAlive(accept: (link: L) => boolean): number {
    let count = 0
    for (const [link, state] of this.#states) if (state !== 'closing' && accept(link)) count++
    return count
  }

  idle(): readonly L[] {
    return [...this.#idle]
  }

  all(): L[] {
    return [...this.#states.keys()]
  }
}
