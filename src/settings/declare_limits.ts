// The limits and timeouts of pools and their clients: those that a database may set for itself, and those of the whole process.
import { row } from './row.ts'

const MOST_LINKS = 100_000
const MOST_CLIENTS = 1_000_000

/** A database may set each for itself. */
export const LIMIT_ROWS = {
  min_pool_size: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_LINKS,
    help: 'Server connections that are kept open even when nobody needs them, at most the size of the pool.',
    perDatabase: true,
  }),
  reserve_pool_size: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_LINKS,
    help: 'Server connections beyond the size of the pool for when a client has waited for `reserve_pool_timeout`.',
    perDatabase: true,
    perUser: true,
  }),
  max_db_connections: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_LINKS,
    help: 'Most server connections of a database over all its pools, reserve included; 0 is no limit.',
    perDatabase: true,
  }),
  max_db_client_connections: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_CLIENTS,
    help: 'Most clients of a database; further ones are refused; 0 is no limit.',
    perDatabase: true,
  }),
  max_pinned_connections: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_LINKS,
    help: "Most server connections of a database that stay with one client because of statements that were prepared there (SQL's PREPARE, or a text longer than 64 KiB); a client that takes a further one is closed when its transaction ends; 0 is no limit.",
    perDatabase: true,
  }),
  query_timeout: row<number>('duration', {
    default: 0,
    help: 'Longest time from a request to its answer: the client is closed and the query cancelled; 0 is no limit. The time between the statements of a transaction does not count.',
    perDatabase: true,
    perUser: true,
  }),
  transaction_timeout: row<number>('duration', {
    default: 0,
    help: 'Longest time that a transaction may hold a server connection before its client is closed; 0 is no limit.',
    perDatabase: true,
    perUser: true,
  }),
  idle_transaction_timeout: row<number>('duration', {
    default: 0,
    help: 'Longest time that a client may leave an open transaction without a request before it is closed; 0 is no limit.',
    perDatabase: true,
    perUser: true,
  }),
  client_idle_timeout: row<number>('duration', {
    default: 0,
    help: 'A client that has asked nothing for this long, outside a transaction, is closed; 0 is no limit.',
    perDatabase: true,
    perUser: true,
  }),
}

/** Of the whole process. */
export const SHARED_LIMIT_ROWS = {
  reserve_pool_timeout: row<number>('duration', {
    default: 5_000,
    help: 'After this much waiting a client gets a server connection of the reserve; 0 never uses the reserve.',
  }),
  max_user_connections: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_LINKS,
    help: 'Most server connections of a user of the configuration, or of a `vault_path`, over all databases; 0 is no limit.',
    perUser: true,
  }),
  max_user_client_connections: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_CLIENTS,
    help: 'Most clients that are served with a user of the configuration, or with a `vault_path`, over all databases; 0 is no limit.',
    perUser: true,
  }),
  max_server_connections: row<number>('integer', {
    default: 0,
    minimum: 0,
    maximum: MOST_LINKS,
    help: 'Most server connections to a PostgreSQL host and port over all databases: a pool that needs one more takes the place of the connection that another pool left unused the longest; 0 is no limit. With several hosts a connection counts at the one that it leads to, and while it is opened at each of them.',
  }),
  server_round_robin: row<boolean>('boolean', {
    default: false,
    help: 'Whether the server connections of a pool are used in turn; otherwise the one that was used last is used first.',
  }),
  server_fast_close: row<boolean>('boolean', {
    default: false,
    help: 'In session mode, whether sessions end as soon as they rest when the credential is replaced, instead of one after another until its lease ends. Without effect in the other modes, where a server connection is always replaced after its transaction.',
  }),
}
