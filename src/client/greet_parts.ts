// What greets clients: the settings it reads, and whom it asks and tells.
import type { Clock } from '../clock.ts'
import type { CloseReason, PgleaseError } from '../errors.ts'
import type { Authenticator, Identity } from '../identity.ts'
import type { Log } from '../log.ts'
import type { Pool } from '../pool/pool.ts'
import type { Replications } from '../pool/replication.ts'
import type { Link } from '../server/link.ts'
import type { ReplicationLink, ReplicationRequest } from '../server/replication_link.ts'
import type { ParameterNames } from '../wire/parameters.ts'
import type { Admission } from './admission.ts'
import type { CancelKey, Registry } from './registry.ts'
import type { SessionMeter } from './session_meter.ts'
import type { StartupMemory } from './startup_memory.ts'

export interface GreetSettings {
  readonly max_client_conn: number
  readonly client_login_timeout: number
  readonly ignore_startup_parameters: readonly string[]
  readonly max_packet_size: number
  readonly log_connections: boolean
  readonly log_pooler_errors: boolean
}

export interface Destination {
  readonly database: string
  readonly pool: Pool<Link>
  readonly replications: Replications<ReplicationLink, ReplicationRequest>
  readonly meter: SessionMeter
  readonly admission: Admission
}

/** Who has left, for the log. */
interface Departed {
  readonly database: string
  readonly id: number
  readonly remoteAddress: string
  readonly kind: 'client' | 'replication client'
}

export interface GreetParts {
  readonly settings: () => GreetSettings
  readonly clock: Clock
  readonly log: Log
  readonly names: ParameterNames
  readonly startups: StartupMemory
  readonly registry: Registry
  readonly authenticate: Authenticator
  /** `server`: any database of the server will do (physical replication). */
  readonly route: (identity: Identity, server: boolean) => Destination | undefined
  /** New clients are refused. */
  readonly refusing: () => boolean
  readonly cancelRequest: (request: CancelKey) => Promise<void>
  readonly cancelLink: (pool: Pool<Link>, link: Link) => void
  readonly clientClosed: (client: Departed, reason: CloseReason) => void
  readonly greetingFailed: (error: PgleaseError | undefined, reason: CloseReason) => void
}
