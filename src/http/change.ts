// Tells a change of the state from mere passing of time, so that a quiet pglease sends nothing.
import type { AdminState } from './admin_state.ts'

/** Rounding and a late timer are no change of an end. */
const TOLERANCE_SECONDS = 2

/** Whether `next` is what `previous` would be by now, had nothing happened. */
export function onlyTimePassed(previous: AdminState, next: AdminState): boolean {
  return same(previous, next, next.uptimeSeconds - previous.uptimeSeconds, '')
}

function same(previous: unknown, next: unknown, elapsed: number, key: string): boolean {
  if (key === 'uptimeSeconds') return true
  if (key === 'remainingSeconds' && typeof previous === 'number' && typeof next === 'number') {
    // what has ended may stand still at 0, or go on below it
    return Math.abs(Math.max(0, previous - elapsed) - Math.max(0, next)) < TOLERANCE_SECONDS
  }
  if (typeof previous !== 'object' || typeof next !== 'object' || previous === null || next === null) return previous === next
  const before = previous as Record<string, unknown>
  const after = next as Record<string, unknown>
  const keys = Object.keys(after)
  return keys.length === Object.keys(before).length && keys.every((one) => same(before[one], after[one], elapsed, one))
}
