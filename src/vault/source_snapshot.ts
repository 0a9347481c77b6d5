// What a Vault source says of itself at one moment, for gauges and the status page.
import type { Trouble } from '../credential.ts'
import type { GenerationState } from './generation.ts'

export interface GenerationSnapshot {
  readonly generation: number
  readonly state: GenerationState
  readonly user: string
  readonly leaseId: string
  /** To the end of its lease or its token, whichever comes first; negative when past. */
  readonly remainingMs: number
}

export interface SourceSnapshot {
  readonly name: string
  readonly vaultPath: string
  readonly trouble: Trouble | undefined
  /** Whether a successor is being fetched. */
  readonly reading: boolean
  /** Oldest first. */
  readonly generations: readonly GenerationSnapshot[]
}
