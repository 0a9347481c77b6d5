// What a pool's logins are made of, and what they see of their pool.
import type { Clock } from '../clock.ts'
import type { Credential, CredentialSource } from '../credential.ts'
import type { CloseReason, PgleaseError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { LinkLists } from './link_lists.ts'
import type { PoolLink } from './pool_link.ts'
import type { Room } from './room.ts'

/** The pool, as its logins see it. */
export interface LoginsHost<L> {
  readonly lists: LinkLists<L & PoolLink>
  /** How many links there may be. */
  readonly room: Room<L & PoolLink>
  readonly waiting: number
  readonly settings: { readonly server_login_retry: number }
  /** A fresh link, in state `active`: give it to a client or keep it. */
  opened(link: L): void
  shut(link: L, reason: CloseReason): void
  /** No link can be had for now: those who wait are told. */
  refuse(error: PgleaseError): void
}

export interface LoginsParts<L> {
  readonly database: string
  readonly source: CredentialSource
  readonly clock: Clock
  readonly log: Log
  open(credential: Credential): Promise<L>
  /** Longest pause between attempts that fail for a cause that passes by itself; with several hosts a new primary must be found soon. */
  readonly longestRetryMs?: number | undefined
}
