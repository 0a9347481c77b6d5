// A token as we hold it: the value, its end as far as Vault has told it, and what depends on it.
import type { Secret } from '../secret.ts'
import type { GrantedToken } from './login.ts'
import { type Instant, instantAfter, leftMs } from './schedule.ts'

export class Token {
  readonly secret: Secret
  readonly own: boolean
  readonly batch: boolean
  readonly firstMs: number
  /** Undefined = it never ends. */
  end: Instant | undefined
  granted: Instant
  grantedMs: number
  renewable: boolean
  /** Renewing it moves its end no more. */
  final = false
  /** Leases made with it that are not over, and reads on their way: Vault revokes leases together with their token. */
  leases = 0

  constructor(granted: GrantedToken, own: boolean) {
    this.secret = granted.secret
    this.own = own
    this.batch = granted.batch
    this.firstMs = granted.durationMs
    this.granted = granted.sent
    this.grantedMs = granted.durationMs
    this.renewable = granted.renewable
    this.end = granted.durationMs === 0 ? undefined : instantAfter(granted.sent, granted.durationMs)
  }

  extend(sent: Instant, ms: number): void {
    this.granted = sent
    this.grantedMs = ms
    this.end = ms === 0 ? undefined : instantAfter(sent, ms)
  }

  leftMs(now: Instant): number {
    return this.end === undefined ? Number.POSITIVE_INFINITY : leftMs(this.end, now)
  }
}
