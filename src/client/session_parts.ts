// What a session is made of, and whom it tells.
import type { Clock } from '../clock.ts'
import type { CloseReason } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Transport } from '../net/transport.ts'
import type { Pool } from '../pool/pool.ts'
import type { Link } from '../server/link.ts'
import type { Parameters } from '../wire/parameters.ts'
import type { SessionMeter } from './session_meter.ts'
import type { Wishes } from './startup_parameters.ts'

export interface SessionParts {
  readonly id: number
  readonly database: string
  readonly user: string
  readonly transport: Transport
  readonly pool: Pool<Link>
  readonly parameters: Parameters
  /** The tracked parameters of its startup packet. */
  readonly wanted: Wishes
  readonly clock: Clock
  readonly log: Log
  readonly meter: SessionMeter
  readonly maxPacketSize: number
  /** `log_pooler_errors`. */
  readonly logErrors: boolean
  /** pglease is ending: a session ends with its transaction. */
  leaving(): boolean
  /** The session is over; called once. */
  closed(reason: CloseReason): void
  /** Ends the query that runs on `link` (its client is gone). */
  cancel(link: Link): void
}
