// Faults of the stand-in Vault: what a test makes go wrong with the requests that match.

interface Fault {
  match: RegExp
  left: number
  kind: 'answer' | 'lose' | 'delay'
  status: number
  errors: readonly string[] | undefined
  headers: Readonly<Record<string, string>>
  delayMs: number
}

interface FaultAnswer {
  /** The `errors` of the body; undefined = a body that is not Vault's, as from a gateway. */
  errors?: readonly string[]
  headers?: Readonly<Record<string, string>>
  /** How many requests; all until removed unless given. */
  times?: number
}

type Remove = () => void

/** `match` is tried on `METHOD /v1/path`. The first fault that matches counts, the oldest first. */
export class Faults {
  readonly #faults = new Set<Fault>()

  /** Answers `status` without performing the request. */
  answer(match: RegExp, status: number, { errors, headers = {}, times = Number.POSITIVE_INFINITY }: FaultAnswer = {}): Remove {
    return this.#add({ match, left: times, kind: 'answer', status, errors, headers, delayMs: 0 })
  }

  /** Performs the request and cuts the connection instead of answering. */
  lose(match: RegExp, times = 1): Remove {
    return this.#add({ match, left: times, kind: 'lose', status: 0, errors: undefined, headers: {}, delayMs: 0 })
  }

  /** Performs the request after `delayMs`. */
  delay(match: RegExp, delayMs: number, times = Number.POSITIVE_INFINITY): Remove {
    return this.#add({ match, left: times, kind: 'delay', status: 0, errors: undefined, headers: {}, delayMs })
  }

  clear(): void {
    this.#faults.clear()
  }

  /** The fault for a request, used up by one. */
  take(line: string): Readonly<Fault> | undefined {
    const fault = [...this.#faults].find(({ match }) => match.test(line))
    if (fault && --fault.left <= 0) this.#faults.delete(fault)
    return fault
  }

  #add(fault: Fault): Remove {
    this.#faults.add(fault)
    return () => void this.#faults.delete(fault)
  }
}
