// How many clients a database and a user may have: counted from the end of the authentication to the end of the connection.
import { type ErrorCode, PgleaseError } from '../errors.ts'

/** Clients of one database or one user. */
export class ClientCount {
  clients = 0
  /** 0 = no limit. */
  readonly limit: number
  readonly code: ErrorCode

  /** `code`: what a client is told for whom there is no place. */
  constructor(limit: number, code: ErrorCode) {
    this.limit = limit
    this.code = code
  }
}

export class Admission {
  readonly #counts: readonly ClientCount[]

  /** The error of the first of `counts` that is reached is the one that is told. */
  constructor(counts: readonly ClientCount[]) {
    this.#counts = counts
  }

  /** Takes a place, or says why there is none. */
  enter(): PgleaseError | undefined {
    for (const { clients, limit, code } of this.#counts) if (limit > 0 && clients >= limit) return new PgleaseError(code)
    for (const count of this.#counts) count.clients++
    return undefined
  }

  /** Gives the place back; once for each `enter` that succeeded. */
  leave(): void {
    for (const count of this.#counts) count.clients--
  }
}
