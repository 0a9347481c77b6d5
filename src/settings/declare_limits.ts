// The limits and timeouts that protect a database from its clients; a database may set each for itself.
import { row } from './row.ts'

export const LIMIT_ROWS = {
  query_timeout: row<number>('duration', {
    default: 0,
    help: 'Longest time from a request to its answer: the client is closed and the query cancelled; 0 is no limit. The time between the statements of a transaction does not count.',
    perDatabase: true,
  }),
  transaction_timeout: row<number>('duration', {
    default: 0,
    help: 'Longest time that a transaction may hold a server connection before its client is closed; 0 is no limit.',
    perDatabase: true,
  }),
  idle_transaction_timeout: row<number>('duration', {
    default: 0,
    help: 'Longest time that a client may leave an open transaction without a request before it is closed; 0 is no limit.',
    perDatabase: true,
  }),
  client_idle_timeout: row<number>('duration', {
    default: 0,
    help: 'A client that has asked nothing for this long, outside a transaction, is closed; 0 is no limit.',
    perDatabase: true,
  }),
}
