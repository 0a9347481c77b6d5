// Which destination serves an identity: exact names of the configuration.
import type { Identity } from '../identity.ts'

export class Routes<D> {
  readonly #destinations = new Map<string, D>()

  add(database: string, destination: D): void {
    this.#destinations.set(database, destination)
  }

  find(identity: Identity): D | undefined {
    return this.#destinations.get(identity.database)
  }

  all(): D[] {
    return [...this.#destinations.values()]
  }
}
