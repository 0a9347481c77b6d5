// When to renew, when to fetch a successor, when it is over: pure arithmetic of (lease, now, chance).

/** A moment on both clocks: the machine may sleep (monotonic stops) and the wall clock may jump. */
export interface Instant {
  readonly monotonicMs: number
  readonly wallMs: number
}

/**
 * We ask for whole seconds. Vault grants exactly that, or what its maximum leaves, cut to whole seconds: a second less is a sign
 * already, and after another renewal there would be less than a third of the first duration left.
 */
const ROUNDING_MS = 500
const JITTER = 0.1
const LEAST_RENEWAL_PART = 0.1
const LEAST_TIMEOUT_MS = 200
const PATIENT_TIMEOUT_MS = 1000
/** What a read and a login need on a busy machine. */
const SHORT_MARGIN_MS = 1500

export interface Policy {
  /** Part of a grant after which it is renewed (`lease_renew_fraction`). */
  readonly fraction: number
  /** `rotate_before`; 0 = off. */
  readonly rotateBeforeMs: number
}

/** What is known of a lease. A lease's clock starts when the request for it was *sent*. */
export interface LeaseTimes {
  readonly issued: Instant
  readonly firstMs: number
  /** When the request of the last grant was sent, and for how long it was granted. */
  readonly granted: Instant
  readonly grantedMs: number
  readonly renewable: boolean
  /** A renewal was granted for less than asked: the end is the maximum's and no renewal moves it. */
  readonly final: boolean
}

export function instantAfter(from: Instant, ms: number): Instant {
  return { monotonicMs: from.monotonicMs + ms, wallMs: from.wallMs + ms }
}

/** Milliseconds until `end`, on whichever clock it comes first; negative when it is past. */
export function leftMs(end: Instant, now: Instant): number {
  return Math.min(end.monotonicMs - now.monotonicMs, end.wallMs - now.wallMs)
}

/** Milliseconds since `start`, on whichever clock more has passed. */
export function ageMs(start: Instant, now: Instant): number {
  return Math.max(now.monotonicMs - start.monotonicMs, now.wallMs - start.wallMs)
}

export function endOf(lease: LeaseTimes): Instant {
  return instantAfter(lease.granted, lease.grantedMs)
}

/** What is left of a lease: Vault revokes it with its token. `tokenEnd` undefined = the token never ends. */
export function leaseLeftMs(lease: LeaseTimes, tokenEnd: Instant | undefined, now: Instant): number {
  const left = leftMs(endOf(lease), now)
  return tokenEnd === undefined ? left : Math.min(left, leftMs(tokenEnd, now))
}

/** Whether `grantedMs` shows that a maximum is near. */
export function isShortGrant(askedMs: number, grantedMs: number): boolean {
  return grantedMs < askedMs - ROUNDING_MS
}

/**
 * What a renewal asks for: the first duration. A longer `rotate_before` needs longer grants, else no grant could tell that far
 * ahead that the maximum comes.
 */
export function renewalAskMs(firstMs: number, policy: Policy): number {
  return Math.max(firstMs, 1.5 * policy.rotateBeforeMs)
}

/** Milliseconds from a grant to its renewal: the fraction minus up to 10 % by chance (`random` in [0, 1)), never later. */
export function renewalDelayMs(grantedMs: number, policy: Policy, random: number): number {
  const usual = grantedMs * policy.fraction * (1 - JITTER * random)
  if (policy.rotateBeforeMs === 0) return usual
  return Math.min(usual, Math.max(grantedMs - policy.rotateBeforeMs, grantedMs * LEAST_RENEWAL_PART))
}

/** Milliseconds from `now` until the renewal is due (negative = overdue), undefined when none is of use. */
export function renewalInMs(lease: LeaseTimes, now: Instant, policy: Policy, random: number): number | undefined {
  if (!lease.renewable || lease.final) return undefined
  return renewalDelayMs(lease.grantedMs, policy, random) - ageMs(lease.granted, now)
}

/**
 * Milliseconds from `now` until a successor must be fetched (negative = overdue). Never in the first half of the lease's whole
 * life, so that a `rotate_before` longer than that life does not mint roles without end. A lease that should still be renewed
 * gets its successor when the renewals have failed for too long: when half of the time between renewal and end has passed
 * (a sixth of the whole by default), and a quarter of it when that is a matter of seconds.
 */
export function successorInMs(lease: LeaseTimes, now: Instant, policy: Policy, random: number): number {
  const end = endOf(lease)
  const left = leftMs(end, now)
  const halfLife = left - (end.monotonicMs - lease.issued.monotonicMs) / 2
  if (lease.final) return halfLife
  if (lease.renewable) {
    const afterRenewal = lease.firstMs * (1 - policy.fraction)
    return left - Math.max(afterRenewal / 2, Math.min(SHORT_MARGIN_MS, afterRenewal * 0.75))
  }
  const due = renewalDelayMs(lease.grantedMs, policy, random) - ageMs(lease.granted, now)
  return Math.max(due, halfLife)
}

/**
 * The longest that one renewal may take: a quarter of what is left, within `longestMs`. Of a lease of seconds a quarter is less
 * than a busy Vault may need: up to a second, as far as half of what is left allows.
 */
export function renewalTimeoutMs(left: number, longestMs: number): number {
  return Math.max(LEAST_TIMEOUT_MS, Math.min(longestMs, Math.max(left / 4, Math.min(PATIENT_TIMEOUT_MS, left / 2))))
}
