// The states of a session and the moves between them.

/**
 * preparing: the link is brought to the session's parameters; settling: its last transaction is over, and it is made sure that its
 * notifications reach it, before its client is told; ending: the client said Terminate and its last replies are awaited.
 */
export type SessionState = 'idle' | 'waiting' | 'preparing' | 'active' | 'settling' | 'ending' | 'closed'

const MOVES: Readonly<Record<SessionState, readonly SessionState[]>> = {
  idle: ['waiting', 'preparing', 'active', 'closed'],
  waiting: ['preparing', 'active', 'idle', 'closed'],
  preparing: ['active', 'closed', 'idle'],
  active: ['idle', 'settling', 'ending', 'closed'],
  settling: ['active', 'closed'],
  ending: ['closed'],
  closed: [],
}

/** Answers `to`. Throws when there is no such move. */
export function moved(from: SessionState, to: SessionState): SessionState {
  if (!MOVES[from].includes(to)) throw new Error(`a session cannot go from ${from} to ${to}`)
  return to
}
