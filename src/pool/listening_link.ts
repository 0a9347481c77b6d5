// One link that listens for a pool: its server is brought to the channels that are wanted, one query at a time.
import { quotedChannel } from '../wire/notification.ts'
import type { PoolLink } from './pool_link.ts'

export interface ListenError {
  readonly sqlstate: string
  readonly message: string
}

const LOST: ListenError = { sqlstate: '08006', message: 'the server connection that listens was lost' }

type Heard = (error?: ListenError) => void

export class ListeningLink<L extends PoolLink> {
  readonly link: L
  readonly #wanted: ReadonlyMap<string, unknown>
  /** What the server listens to. */
  readonly #on = new Set<string>()
  /** Those whom the next query answers. */
  #waiting: Heard[] = []
  /** Those whom the query that runs answers. */
  #asked: Heard[] | undefined

  /** The keys of `wanted` are the channels that are wanted now. */
  constructor(link: L, wanted: ReadonlyMap<string, unknown>) {
    this.link = link
    this.#wanted = wanted
  }

  /** The server listens to all that is wanted now. */
  get complete(): boolean {
    for (const channel of this.#wanted.keys()) if (!this.#on.has(channel)) return false
    return true
  }

  /**
   * `done` is called when the server listens to all that was wanted at the call, and every notification was heard whose transaction was
   * over before; with an error when it refused, or when the link is lost.
   */
  sync(done: Heard): void {
    this.#waiting.push(done)
    if (this.#asked === undefined) this.#run()
  }

  /** The link is dead: nobody gets another answer. */
  lost(): void {
    const all = [...(this.#asked ?? []), ...this.#waiting]
    this.#asked = []
    this.#waiting = []
    for (const done of all) done(LOST)
  }

  #run(): void {
    this.#asked = this.#waiting
    this.#waiting = []
    const added = [...this.#wanted.keys()].filter((channel) => !this.#on.has(channel))
    const dropped = [...this.#on].filter((channel) => !this.#wanted.has(channel))
    const statements = [
      ...added.map((channel) => `LISTEN ${quotedChannel(channel)}`),
      ...dropped.map((channel) => `UNLISTEN ${quotedChannel(channel)}`),
    ]
    // one query is one transaction; without a statement it is a round trip
    this.link.run(statements.join(';'), (error) => {
      const answered = this.#asked ?? []
      this.#asked = undefined
      if (error === undefined) {
        for (const channel of added) this.#on.add(channel)
        for (const channel of dropped) this.#on.delete(channel)
      }
      for (const done of answered) done(error)
      if (this.#waiting.length > 0 && this.#asked === undefined) this.#run()
    })
  }
}
