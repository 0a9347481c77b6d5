// The log lines of a pool's links.
import type { CloseReason } from '../errors.ts'
import type { Log, LogFields } from '../log.ts'
import type { PoolLink } from './pool_link.ts'

export class PoolLog {
  readonly #log: Log
  readonly #database: string
  readonly #source: string

  constructor(log: Log, database: string, source: string) {
    this.#log = log
    this.#database = database
    this.#source = source
  }

  closed(link: PoolLink, reason: CloseReason): void {
    this.#log.debug('link_closed', `server connection ${link.facts.id} closed: ${reason}`, { ...this.#fields(link), reason })
  }

  stuck(link: PoolLink): void {
    const message = `server connection ${link.facts.id} has not answered a query of pglease's own within server_connect_timeout, and is closed`
    this.#log.warning('link_closed', message, { ...this.#fields(link), reason: 'own_query_timeout' })
  }

  /** A transaction that the drain could not wait for: it keeps its link until it ends, by itself or by an error. */
  overrun(link: PoolLink): void {
    const message =
      'a transaction still runs with a role whose lease has ended, and may fail; rotate_before leaves long transactions more time'
    this.#log.warning('transaction_outlived_lease', message, this.#fields(link))
  }

  /** For the proof of a credential. */
  endedOther(): void {
    const message =
      'the limits on server connections leave no place for a new credential: a session or replication connection of another ends'
    this.#log.warning('sessions_recycled', message, { database: this.#database, source: this.#source, count: 1 })
  }

  #fields(link: PoolLink): LogFields {
    return { database: this.#database, source: this.#source, generation: link.generation, link: link.facts.id }
  }
}
