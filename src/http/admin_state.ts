// What the status page shows, as plain data that JSON carries unchanged. Nothing in it is a secret.
import type { DatabaseSnapshot, SourceSnapshot } from '../metrics_snapshot.ts'
import type { ProbeCheck } from './probes.ts'

export interface DatabaseState extends DatabaseSnapshot {
  /** These four only grow. */
  readonly queries: number
  readonly transactions: number
  readonly bytesIn: number
  readonly bytesOut: number
}

export interface GenerationSummary {
  readonly generation: number
  /** offered, current, draining, overdue, gone or revoked. */
  readonly state: string
  /** The role's name in PostgreSQL. */
  readonly user: string
  readonly leaseId?: string
  /** Absent = never ends. */
  readonly remainingSeconds?: number
  /** How long it lasted when it was granted, where known: the full length of the page's bar. */
  readonly durationSeconds?: number
}

export interface SourceState extends SourceSnapshot {
  readonly vaultPath?: string
  readonly generations: readonly GenerationSummary[]
}

export interface TokenState {
  /** own: from our login; foreign: given to us. */
  readonly kind: string
  /** How it was obtained: the name of the auth method. */
  readonly method: string
  /** Absent = never ends. */
  readonly remainingSeconds?: number
  readonly durationSeconds?: number
}

export interface VaultState {
  readonly address: string
  readonly available: boolean
  readonly trouble?: string
}

export interface AdminState {
  readonly version: string
  readonly uptimeSeconds: number
  readonly state: 'starting' | 'serving' | 'draining'
  readonly databases: readonly DatabaseState[]
  readonly sources: readonly SourceState[]
  /** Absent without a Vault source, or before the first login. */
  readonly token?: TokenState
  readonly vault?: VaultState
  readonly startup: readonly ProbeCheck[]
  readonly ready: readonly ProbeCheck[]
}
