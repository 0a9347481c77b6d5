// All clients of the process: the limit on them, the keys with which their queries are cancelled, and their states for metrics.
import { randomInt, timingSafeEqual } from 'node:crypto'
import type { CloseReason } from '../errors.ts'
import type { ReplicationSession } from './replication_session.ts'
import type { Session } from './session.ts'

/** Protocol 3.0 has four bytes; 3.2 allows up to 256. */
const SHORT_KEY_BYTES = 4
const LONG_KEY_BYTES = 32

export interface CancelKey {
  readonly processId: number
  readonly key: Buffer
}

/** A client that has said who it is and waits to be let in. */
export interface Newcomer {
  /** At shutdown: it is told and closed. */
  turnAway(reason: CloseReason): void
}

export class Registry {
  /** Connections that have not sent their first packet yet. */
  silent = 0
  readonly #sessions = new Map<number, { session: Session; key: Buffer }>()
  readonly #replications = new Map<number, { session: ReplicationSession; key: Buffer }>()
  /** Clients whose greeting is under way and who count against the limit. */
  readonly #newcomers = new Set<Newcomer>()

  get size(): number {
    return this.#sessions.size + this.#replications.size + this.#newcomers.size
  }

  beginGreeting(newcomer: Newcomer): void {
    this.#newcomers.add(newcomer)
  }

  endGreeting(newcomer: Newcomer): void {
    this.#newcomers.delete(newcomer)
  }

  newcomers(): Newcomer[] {
    return [...this.#newcomers]
  }

  /** Random and unique among the living; the process id is positive as PostgreSQL's. */
  newKey(long: boolean): CancelKey {
    let processId = randomInt(1, 2 ** 31 - 1)
    while (this.#sessions.has(processId) || this.#replications.has(processId)) processId = randomInt(1, 2 ** 31 - 1)
    // as random as node:crypto's randomBytes, at a twentieth of its time on Bun
    return { processId, key: crypto.getRandomValues(Buffer.alloc(long ? LONG_KEY_BYTES : SHORT_KEY_BYTES)) }
  }

  add(session: Session, key: CancelKey): void {
    this.#sessions.set(key.processId, { session, key: key.key })
  }

  remove(session: Session): void {
    this.#sessions.delete(session.parts.id)
  }

  addReplication(session: ReplicationSession, key: CancelKey): void {
    this.#replications.set(key.processId, { session, key: key.key })
  }

  removeReplication(session: ReplicationSession): void {
    this.#replications.delete(session.parts.id)
  }

  /** The client that a cancel request means; undefined for a wrong key, which is ignored without a word. */
  find(request: CancelKey): Session | ReplicationSession | undefined {
    const found = this.#sessions.get(request.processId) ?? this.#replications.get(request.processId)
    if (found === undefined || found.key.length !== request.key.length) return undefined
    return timingSafeEqual(found.key, request.key) ? found.session : undefined
  }

  sessions(): Session[] {
    return [...this.#sessions.values()].map(({ session }) => session)
  }

  replications(): ReplicationSession[] {
    return [...this.#replications.values()].map(({ session }) => session)
  }
}
