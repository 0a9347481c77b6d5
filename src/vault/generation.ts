// The states of a generation and the only moves between them.

export type GenerationState = 'offered' | 'current' | 'draining' | 'overdue' | 'gone' | 'revoked'

/**
 * offered: leased, not proven by anyone. current: somebody serves with it. draining: everybody serves with a newer one.
 * overdue: past its end and not replaced. gone: its role does not exist any more. revoked: nothing of it is left with us.
 */
const MOVES: Readonly<Record<GenerationState, readonly GenerationState[]>> = {
  offered: ['current', 'draining', 'overdue', 'gone', 'revoked'],
  current: ['draining', 'overdue', 'gone', 'revoked'],
  overdue: ['draining', 'gone', 'revoked'],
  draining: ['gone', 'revoked'],
  gone: ['revoked'],
  revoked: [],
}

/** `to`, when `from` may become it; throws otherwise: a bug, never a condition of the outside. */
export function move(from: GenerationState, to: GenerationState): GenerationState {
  if (!MOVES[from].includes(to)) throw new Error(`a generation cannot go from ${from} to ${to}`)
  return to
}

/** Whether new logins with a generation in `state` can succeed. */
export function canServe(state: GenerationState): boolean {
  return state === 'offered' || state === 'current'
}
