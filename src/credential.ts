// What a credential is and the contract between those who obtain credentials and those who log in with them.
import type { ErrorCode } from './errors.ts'
import type { Secret } from './secret.ts'

/** A username and password under one generation number (from 1, per source). */
export interface Credential {
  readonly source: string
  readonly generation: number
  readonly user: string
  readonly password: Secret
}

/** Why a source has no (new) credential. Cleared by any success. */
export interface Trouble {
  readonly code: ErrorCode
  /** What a person can act on: names the Vault path or setting, never a value that may be secret. */
  readonly detail: string
}

/**
 * A pool, as a source sees it. Calls arrive synchronously and must not throw.
 * Order for one generation: offer, then (overdue | gone)* in any order.
 */
export interface CredentialConsumer {
  /** A new credential exists: prove it by one login, make it current, then answer `proven`. Also called at `subscribe` when one exists already. */
  offer(credential: Credential): void
  /** The generation is past its end and no successor is proven: its links are kept, but may die at any moment. */
  overdue(generation: number): void
  /** Some consumer found that the role no longer exists: close links of that generation as they settle. */
  gone(generation: number): void
  /** The source's trouble changed; undefined = over. */
  trouble(trouble: Trouble | undefined): void
}

export interface CredentialSource {
  /** Key of the configuration: the metrics' and logs' `source`. */
  readonly name: string
  /** Newest credential, proven or not. */
  current(): Credential | undefined
  /** Returns what ends the subscription. */
  subscribe(consumer: CredentialConsumer): () => void
  /** The consumer logged in with it: from now on it serves. When every consumer has, the predecessor drains. */
  reportProven(consumer: CredentialConsumer, generation: number): void
  /** A login was refused with 28P01/28000 (after the proof's patience), or `select session_user` said 42704. */
  reportFailure(generation: number, sqlstate: string): void
  /** The consumer has no link of this generation left: when no consumer has, the lease is revoked. */
  reportDrained(consumer: CredentialConsumer, generation: number): void
  /** Milliseconds until the credential ends, as far as is known now; Infinity = never, 0 or less = it is over or not known. */
  leftMs(generation: number): number
  /** Stops renewing and revokes what is left, for at most `budgetMs`. */
  close(budgetMs: number): Promise<void>
}

/** The configured user and password: generation 1, for ever. */
export class FixedSource implements CredentialSource {
  readonly name: string
  readonly #credential: Credential
  constructor(name: string, user: string, password: Secret) {
    this.name = name
    this.#credential = { source: name, generation: 1, user, password }
  }
  current(): Credential {
    return this.#credential
  }
  subscribe(consumer: CredentialConsumer): () => void {
    consumer.offer(this.#credential)
    return () => {}
  }
  leftMs(): number {
    return Number.POSITIVE_INFINITY
  }
  reportProven(): void {}
  reportFailure(): void {}
  reportDrained(): void {}
  async close(): Promise<void> {}
}
