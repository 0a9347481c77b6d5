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

  /**
   * A physical replication connection is to a server, not to a database. Its client may still name one (PostgreSQL's tools do since version
   * 17); the older ones always say `replication`, which means the only database when there is one and none has that name.
   */
  findServer(identity: Identity): D | undefined {
    const found = this.find(identity)
    if (found !== undefined || identity.database !== 'replication' || this.#destinations.size !== 1) return found
    return this.all()[0]
  }

  all(): D[] {
    return [...this.#destinations.values()]
  }
}
