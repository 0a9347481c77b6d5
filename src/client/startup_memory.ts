// Remembers the last startup packet and what it meant: clients of one application begin with the same bytes.
import type { PgleaseError } from '../errors.ts'
import type { ParameterNames } from '../wire/parameters.ts'
import { type FirstPacket, parseStartup, type StartupMessage } from '../wire/startup.ts'
import { trackedParameters, type Wishes } from './startup_parameters.ts'

export class StartupMemory {
  readonly #names: ParameterNames
  #packet: Buffer = Buffer.alloc(0)
  #startup: StartupMessage | undefined
  #ignored: readonly string[] | undefined
  #tracked: PgleaseError | Wishes = []

  constructor(names: ParameterNames) {
    this.#names = names
  }

  /** As `parseStartup`. */
  parse(bytes: Buffer): FirstPacket {
    if (this.#startup !== undefined && this.#packet.equals(bytes)) return this.#startup
    const packet = parseStartup(bytes)
    if (packet.kind === 'startup' && packet.length === bytes.length) {
      this.#packet = Buffer.from(bytes)
      this.#startup = packet
      this.#ignored = undefined
    }
    return packet
  }

  /** As `trackedParameters`. */
  tracked(startup: StartupMessage, ignored: readonly string[]): PgleaseError | Wishes {
    if (startup !== this.#startup) return trackedParameters(startup, this.#names, ignored)
    if (ignored !== this.#ignored) {
      this.#ignored = ignored
      this.#tracked = trackedParameters(startup, this.#names, ignored)
    }
    return this.#tracked
  }
}
