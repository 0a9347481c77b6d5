// Who listens to a source, which generation each consumer has logged in with, and which generations each may still have links of.
import type { CredentialConsumer } from '../credential.ts'

export class Holders {
  /** The newest generation that each consumer logged in with; 0 = none. */
  readonly #proven = new Map<CredentialConsumer, number>()
  /** Consumers with links, by generation. An empty set: there were some. */
  readonly #byGeneration = new Map<number, Set<CredentialConsumer>>()

  add(consumer: CredentialConsumer): void {
    this.#proven.set(consumer, 0)
  }

  /** Answers whether it was known. */
  remove(consumer: CredentialConsumer): boolean {
    if (!this.#proven.delete(consumer)) return false
    for (const holders of this.#byGeneration.values()) holders.delete(consumer)
    return true
  }

  /** Every consumer, as it is now: what they are told may change who is there. */
  all(): CredentialConsumer[] {
    return [...this.#proven.keys()]
  }

  has(consumer: CredentialConsumer): boolean {
    return this.#proven.has(consumer)
  }

  /** The newest generation that `consumer` logged in with; 0 = none. */
  newestOf(consumer: CredentialConsumer): number {
    return this.#proven.get(consumer) ?? 0
  }

  /** `consumer` logged in with `generation`. */
  prove(consumer: CredentialConsumer, generation: number): void {
    this.#proven.set(consumer, Math.max(this.newestOf(consumer), generation))
    const known = this.#byGeneration.get(generation)
    if (known === undefined) this.#byGeneration.set(generation, new Set([consumer]))
    else known.add(consumer)
  }

  /** `consumer` has no link of `generation` left. */
  letGo(consumer: CredentialConsumer, generation: number): void {
    this.#byGeneration.get(generation)?.delete(consumer)
  }

  /** Those that may have links of `generation`. */
  of(generation: number): readonly CredentialConsumer[] {
    return [...(this.#byGeneration.get(generation) ?? [])]
  }

  /** Whether anybody ever logged in with `generation`. */
  everHeld(generation: number): boolean {
    return this.#byGeneration.has(generation)
  }

  /** Whether for some consumer `generation` is the newest it logged in with. */
  anyServesWith(generation: number): boolean {
    return this.all().some((consumer) => this.newestOf(consumer) === generation)
  }

  /** Whether every consumer logged in with `generation` or a newer one. */
  allReached(generation: number): boolean {
    return this.all().every((consumer) => this.newestOf(consumer) >= generation)
  }

  /** The generation is over. */
  forget(generation: number): void {
    this.#byGeneration.delete(generation)
  }
}
