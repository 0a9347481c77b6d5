// What the server said at the newest login, and the clients that wait for the first such word.
import type { PgleaseError } from '../errors.ts'

/** Someone who needs to know what the server said at login, once. */
export interface WelcomeWaiter {
  welcome(parameters: ReadonlyMap<string, string>): void
  welcomeRefused(error: PgleaseError): void
}

export class Welcome {
  readonly #waiting = new Set<WelcomeWaiter>()
  readonly #refusal: () => PgleaseError | undefined
  /** Undefined before the first login. */
  #parameters: ReadonlyMap<string, string> | undefined

  /** `refusal`: the error for those who need not wait. */
  constructor(refusal: () => PgleaseError | undefined) {
    this.#refusal = refusal
  }

  /** Tells `waiter` at once, or after the first login. */
  tell(waiter: WelcomeWaiter): void {
    if (this.#parameters !== undefined) return waiter.welcome(this.#parameters)
    const refusal = this.#refusal()
    if (refusal !== undefined) return waiter.welcomeRefused(refusal)
    this.#waiting.add(waiter)
  }

  leave(waiter: WelcomeWaiter): void {
    this.#waiting.delete(waiter)
  }

  /** A login succeeded. */
  heard(parameters: ReadonlyMap<string, string>): void {
    this.#parameters = parameters
    for (const waiter of this.takeAll()) waiter.welcome(parameters)
  }

  /** Those who wait, who wait no more: what they are told may bring new ones. */
  takeAll(): WelcomeWaiter[] {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    return waiting
  }
}
