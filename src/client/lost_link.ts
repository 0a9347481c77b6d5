// A link that was lost under its session: whether another one can take its place, and what it still owed the client.
import type { Link } from '../server/link.ts'
import { ASKED } from '../wire/asked.ts'
import { STATUS_IDLE } from '../wire/codes.ts'

/** Nothing was begun on it that only it could have finished. */
export const isReplaceable = ({ ledger, midReply }: Link): boolean => ledger.status === STATUS_IDLE && ledger.atBoundary && !midReply

/** So many of the client's requests get no other answer. */
export function unansweredBy({ ledger, asksItself, questioning }: Link): number {
  // what the client asked for meanwhile was never sent: it goes to the next link
  if (asksItself) return 0
  // the one in front of a DEALLOCATE
  const ownQueries = ledger.head === ASKED.inventedQuery && !questioning ? 1 : 0
  return ledger.owed - ownQueries
}
