// Which links have lived or rested for long enough.
import type { CloseReason } from '../errors.ts'
import type { PoolLink } from './pool_link.ts'

/** Milliseconds. */
export interface AgeSettings {
  /** 0 = a link is used once. */
  readonly server_lifetime: number
  /** 0 = no limit. */
  readonly server_idle_timeout: number
}

/** Whether a link that was used is not used again. */
export function outlived(link: PoolLink, { server_lifetime }: AgeSettings, nowMs: number): boolean {
  return nowMs - link.facts.openedAtMs >= server_lifetime
}

/** Why an idle link is closed, or undefined. `spare`: the pool has more links than it is to keep. */
export function idleEnd(link: PoolLink, settings: AgeSettings, spare: boolean, nowMs: number): CloseReason | undefined {
  const { server_idle_timeout, server_lifetime } = settings
  if (spare && server_idle_timeout > 0 && nowMs - link.idleSinceMs >= server_idle_timeout) return 'server_idle_timeout'
  return server_lifetime > 0 && outlived(link, settings, nowMs) ? 'server_lifetime' : undefined
}
