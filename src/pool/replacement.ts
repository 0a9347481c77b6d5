// The account of a rotation: how many links of the new credential are to be opened, and how many of the old ones may stay meanwhile.

/** Logins at a time: enough to be done soon, too few to be felt by the server or by clients. */
const PARALLEL = 2

export class Replacement {
  /** Links that the pool had with old credentials when the new one became current. */
  #target = 0
  /** Links of the new credential opened since, the proof among them. */
  #opened = 0
  #begun = 0

  /** A new credential became current: `old` links are to be replaced, one is there already. */
  start(old: number): void {
    this.#target = old
    this.#opened = 1
  }

  /** Whether another login in place of an old link should begin. */
  get wantsLogin(): boolean {
    return this.#begun < PARALLEL && this.#opened + this.#begun < this.#target
  }

  begin(): void {
    this.#begun++
  }

  ended(succeeded: boolean): void {
    this.#begun--
    if (succeeded) this.#opened++
  }

  /** How many of `old` links have their replacement and go now, or when they settle. */
  surplus(old: number): number {
    return old - Math.max(0, this.#target - this.#opened)
  }
}
