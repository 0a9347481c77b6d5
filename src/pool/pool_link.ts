// A server connection as the pool sees it: nothing of its bytes.
import type { CloseReason } from '../errors.ts'
import type { Listed } from './link_lists.ts'

/** A link, as the pool sees it. */
export interface PoolLink extends Listed {
  readonly generation: number
  readonly facts: { readonly id: number; readonly openedAtMs: number; readonly welcome: ReadonlyMap<string, string> }
  overdue: boolean
  idleSinceMs: number
  roleMayDiffer: boolean
  readonly closeReason: CloseReason | undefined
  shut(reason: CloseReason): void
  run(sql: string, done: (error: { readonly sqlstate: string; readonly message: string } | undefined) => void): void
}
