// Counts a pool's links by the generation of the credential they logged in with, and knows what became of each generation.

/** offered: to be proven; current: new links log in with it; draining: replaced; gone: its role does not exist any more. */
export type GenerationState = 'offered' | 'current' | 'draining' | 'gone'

interface Entry {
  state: GenerationState
  /** Past its lease's end: links may die at any moment, and no login works. */
  overdue: boolean
  /** It was current once: its source knows that we have links of it. */
  proven: boolean
  links: number
}

export class Generations {
  readonly #entries = new Map<number, Entry>()
  readonly #drained: (generation: number) => void

  /** `drained` is called when a generation that is not needed any more has lost its last link. */
  constructor(drained: (generation: number) => void) {
    this.#drained = drained
  }

  offer(generation: number): void {
    for (const [number, entry] of this.#entries) {
      if (entry.state === 'offered' && number !== generation) this.#move(number, entry, 'draining')
    }
    if (!this.#entries.has(generation)) this.#entries.set(generation, { state: 'offered', overdue: false, proven: false, links: 0 })
  }

  makeCurrent(generation: number): void {
    for (const [number, entry] of this.#entries) {
      if (entry.state === 'current' && number !== generation) this.#move(number, entry, 'draining')
    }
    const entry = this.#entries.get(generation)
    if (entry === undefined || entry.state !== 'offered') return
    entry.proven = true
    this.#move(generation, entry, 'current')
  }

  setOverdue(generation: number): boolean {
    const entry = this.#entries.get(generation)
    if (entry === undefined || entry.overdue) return false
    entry.overdue = true
    return true
  }

  setGone(generation: number): boolean {
    const entry = this.#entries.get(generation)
    if (entry === undefined || entry.state === 'gone') return false
    this.#move(generation, entry, 'gone')
    return true
  }

  state(generation: number): GenerationState | undefined {
    return this.#entries.get(generation)?.state
  }

  /** Why a link that has just been opened must not serve: its lease may be revoked at any moment. */
  refusal(generation: number): 'rotated' | 'role_gone' | undefined {
    const entry = this.#entries.get(generation)
    if (entry === undefined || entry.state === 'gone') return 'role_gone'
    return entry.state === 'draining' && (!entry.proven || entry.overdue) ? 'rotated' : undefined
  }

  isOverdue(generation: number): boolean {
    return this.#entries.get(generation)?.overdue ?? false
  }

  /** More than one is alive. */
  get several(): boolean {
    return this.#entries.size > 1
  }

  /** Links of replaced or gone generations. */
  get leaving(): number {
    let count = 0
    for (const entry of this.#entries.values()) if (entry.state === 'draining' || entry.state === 'gone') count += entry.links
    return count
  }

  /** A dial with this generation began: stamped before the dial, so that no link escapes the drain. */
  joined(generation: number): void {
    const entry = this.#entries.get(generation)
    if (entry !== undefined) entry.links++
  }

  left(generation: number): void {
    const entry = this.#entries.get(generation)
    if (entry === undefined) return
    entry.links--
    this.#settle(generation, entry)
  }

  #move(generation: number, entry: Entry, to: GenerationState): void {
    entry.state = to
    this.#settle(generation, entry)
  }

  #settle(generation: number, entry: Entry): void {
    if (entry.links > 0 || (entry.state !== 'draining' && entry.state !== 'gone')) return
    this.#entries.delete(generation)
    this.#drained(generation)
  }
}
