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

/** What is kept in the lists. The state is the link's own field, because looking it up for every transaction costs more than moving it. */
export interface Listed {
  /** Undefined = in no list. Only LinkLists writes it. */
  listed: LinkState | undefined
}

export class LinkLists<L extends Listed> {
  readonly #all = new Set<L>()
  readonly #counts: Record<LinkState, number> = { idle: 0, active: 0, tested: 0, being_canceled: 0, closing: 0 }
  /** Last released first out, so that few links stay warm and the rest can time out. */
  #idle: L[] = []

  add(link: L, state: 'idle' | 'active'): void {
    this.#all.add(link)
    link.listed = state
    this.#counts[state]++
    if (state === 'idle') this.#idle.push(link)
  }

  state(link: L): LinkState | undefined {
    return link.listed
  }

  count(state: LinkState): number {
    return this.#counts[state]
  }

  get size(): number {
    return this.#all.size
  }

  /** Links that serve or may serve. */
  get alive(): number {
    return this.#all.size - this.#counts.closing
  }

  move(link: L, to: LinkState): void {
    const from = link.listed
    if (from === undefined || !MOVES[from].includes(to)) throw new Error(`a link cannot go from ${from} to ${to}`)
    if (from === to) return
    if (from === 'idle' && this.#idle[this.#idle.length - 1] === link) this.#idle.pop()
    else if (from === 'idle' && this.#idle[0] === link) this.#idle.shift()
    else if (from === 'idle') this.#idle.splice(this.#idle.lastIndexOf(link), 1)
    link.listed = to
    this.#counts[from]--
    this.#counts[to]++
    if (to === 'idle') this.#idle.push(link)
  }

  /** The link is gone for good. */
  remove(link: L): void {
    const state = link.listed
    if (state === undefined) return
    if (state === 'idle') this.#idle.splice(this.#idle.lastIndexOf(link), 1)
    this.#all.delete(link)
    link.listed = undefined
    this.#counts[state]--
  }

  /** The idle link that was used last. */
  lastIdle(): L | undefined {
    return this.#idle[this.#idle.length - 1]
  }

  /** The idle link that was unused the longest. */
  longestIdle(): L | undefined {
    return this.#idle[0]
  }

  findLongestIdle(accept: (link: L) => boolean): L | undefined {
    return this.#idle.find(accept)
  }

  /** The youngest idle link for which `accept` is true. */
  findIdle(accept: (link: L) => boolean): L | undefined {
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      const link = this.#idle[index] as L
      if (accept(link)) return link
    }
    return undefined
  }

  /** Any link for which `accept` is true. */
  find(accept: (link: L) => boolean): L | undefined {
    for (const link of this.#all) if (accept(link)) return link
    return undefined
  }

  countAlive(accept: (link: L) => boolean): number {
    let count = 0
    for (const link of this.#all) if (link.listed !== 'closing' && accept(link)) count++
    return count
  }

  countClosing(accept: (link: L) => boolean): number {
    let count = 0
    for (const link of this.#all) if (link.listed === 'closing' && accept(link)) count++
    return count
  }

  idle(): readonly L[] {
    return [...this.#idle]
  }

  all(): L[] {
    return [...this.#all]
  }
}
