// What a client's RESET gives back: the values of its startup packet, as PostgreSQL does it, not those that its link began with.
import type { Link } from '../server/link.ts'
import { parameterStatus } from '../wire/reply.ts'
import { prepareLink } from './prepare_link.ts'
import type { SessionParts } from './session_parts.ts'

/** Of one transaction. */
export class Resets {
  readonly #parts: SessionParts
  /** The tracked parameters that have got the link's own value. */
  readonly #defaulted = new Set<number>()

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  /** The server reported a tracked parameter. */
  reported(link: Link, name: string, value: string): void {
    const index = this.#parts.parameters.names.index(name)
    if (link.facts.welcome.get(name) === value) this.#defaulted.add(index)
    else this.#defaulted.delete(index)
  }

  /** `link` has settled, and its client has said RESET. True: the server is asked for what it lacks, and `done` is called. */
  restore(link: Link, done: () => void): boolean {
    const { parameters, wanted, transport } = this.#parts
    link.wasReset = false
    link.forgetSession()
    for (const [name, value] of wanted) {
      const index = parameters.names.index(name)
      if (!this.#defaulted.has(index) || parameters.values[index] === value) continue
      parameters.set(name, value)
      transport.write(parameterStatus(parameters.names.names[index] as string, value))
    }
    const differing = parameters.differing(link.parameters)
    if (differing.length === 0) return false
    prepareLink(link, this.#parts, differing, done, 'ask')
    return true
  }
}
