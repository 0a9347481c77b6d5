// The account of a rotation: how many links of old credentials still have to be replaced, and which of them have to go.

const PARALLEL = 2

export class Replacement {
  /** Logins under way that will replace a link. */
  #begun = 0
  /** Replaced already: so many links of old credentials are closed when they settle. */
  #owed = 0
  /** Closed already: so many logins need no further link to go. */
  #prepaid = 0
  #slotWanted = false

  /** Whether another login should begin, with `leaving` links of old credentials alive. */
  wants(leaving: number): boolean {
    return this.#begun < PARALLEL && (this.#prepaid > this.#begun || leaving - this.#owed - this.#begun > 0)
  }

  /** No link of an old credential is left: nothing is owed any more. */
  over(): void {
    this.#owed = 0
    this.#prepaid = 0
    this.#slotWanted = false
  }

  begin(): void {
    this.#begun++
  }

  failed(): void {
    this.#begun--
  }

  /** A login succeeded. Answers whether a link of an old credential has to go for it. */
  done(): boolean {
    this.#begun--
    if (this.#prepaid === 0) return true
    this.#prepaid--
    return false
  }

  /** A link of an old credential goes before its replacement is there. */
  prepaid(): void {
    this.#prepaid++
  }

  /** The next link of an old credential that settles goes. */
  owe(): void {
    this.#owed++
  }

  /** The pool is full and a login needs a place. */
  wantSlot(): void {
    this.#slotWanted = true
  }

  /** Asked for each link of an old credential that settles: does it go? */
  takeAtRelease(full: boolean): boolean {
    if (this.#owed > 0) {
      this.#owed--
      return true
    }
    if (!this.#slotWanted || !full) return false
    this.#slotWanted = false
    this.#prepaid++
    return true
  }
}
