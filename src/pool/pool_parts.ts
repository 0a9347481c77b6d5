// What a pool is made of: its settings, its credential source, and whom it tells.
import type { Clock } from '../clock.ts'
import type { Credential, CredentialSource } from '../credential.ts'
import type { CloseReason } from '../errors.ts'
import type { Log } from '../log.ts'
import type { AgeSettings } from './link_age.ts'
import type { Places } from './places.ts'
import type { PoolLink } from './pool_link.ts'
import type { RoomSettings } from './room.ts'

/** What a pool reads of the settings; durations in milliseconds, 0 = off. */
export interface PoolSettings extends RoomSettings, AgeSettings {
  readonly pool_mode: 'session' | 'transaction' | 'statement'
  readonly server_reset_query: string
  readonly server_reset_query_always: boolean
  readonly server_round_robin: boolean
  readonly server_fast_close: boolean
  readonly server_check_delay: number
  readonly server_check_query: string
  /** Also of queries of pglease's own. */
  readonly server_connect_timeout: number
  readonly query_wait_timeout: number
  readonly query_wait_notify: number
  readonly server_login_retry: number
  readonly max_pinned_connections: number
}

export interface PoolParts<L extends PoolLink> {
  readonly database: string
  readonly settings: PoolSettings
  readonly source: CredentialSource
  readonly clock: Clock
  readonly log: Log
  /** The limits that it shares with other pools. */
  readonly places?: Places
  /** Dials and logs in. Rejects with a PgleaseError; the credential is never in it. */
  open(credential: Credential): Promise<L>
  /** See LoginsParts. */
  readonly longestRetryMs?: number | undefined
  /** Marks links whose host has moved; called at each tick. */
  watchMoves?: ((links: readonly L[]) => void) | undefined
  linkClosed(reason: CloseReason): void
  drainOverrun(): void
}
