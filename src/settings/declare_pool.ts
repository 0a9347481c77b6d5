// The settings of pools: how many server connections there are, how long they live and who waits for them.
import { choice, row } from './row.ts'

export const POOL_ROWS = {
  pool_mode: choice(['session', 'transaction', 'statement'], {
    default: 'transaction',
    help: 'When a server connection goes back to its pool: `transaction` after each transaction; `session` when the client leaves, so that all session state is kept, but connections are closed with 57P01 when the credential is replaced; `statement` after each statement, and transaction blocks are refused.',
    perDatabase: true,
    perUser: true,
  }),
  server_reset_query: row<string>('query', {
    default: 'DISCARD ALL',
    help: 'In session mode, the query that clears a server connection of what a client left behind; an empty value leaves it there for the next client.',
  }),
  server_reset_query_always: row<boolean>('boolean', {
    default: false,
    help: 'Runs `server_reset_query` in the other modes too, each time that a server connection goes back to its pool.',
  }),
  default_pool_size: row<number>('integer', {
    default: 20,
    minimum: 0,
    maximum: 100_000,
    help: 'Most server connections of a database that sets no `pool_size`; 0 is no limit.',
  }),
  max_prepared_statements: row<number>('integer', {
    default: 200,
    minimum: 0,
    maximum: 100_000,
    help: 'Most named prepared statements that a server connection holds for its clients; 0 refuses them.',
  }),
  query_wait_timeout: row<number>('duration', {
    default: 120_000,
    help: 'Longest time that a query waits for a server connection before its client is closed; 0 is no limit.',
  }),
  query_wait_notify: row<number>('duration', {
    default: 5_000,
    help: 'After this much waiting the client is sent a notice; 0 sends none.',
  }),
  cancel_wait_timeout: row<number>('duration', {
    default: 10_000,
    help: 'Longest time that a cancel request waits for another one for the same server connection to end; 0 is no limit.',
  }),
  server_lifetime: row<number>('duration', {
    default: 3_600_000,
    help: 'An unused server connection older than this is replaced; 0 closes each after one use.',
    perDatabase: true,
  }),
  server_idle_timeout: row<number>('duration', {
    default: 600_000,
    help: 'A server connection that was unused for this long is closed; 0 keeps it.',
  }),
  server_check_delay: row<number>('duration', {
    default: 30_000,
    help: 'A server connection that was unused for longer is tested before a client gets it; 0 tests always.',
  }),
  server_check_query: row<string>('query', {
    default: '<empty>',
    help: 'The query of that test: `<empty>` is an empty query, an empty value switches the test off.',
  }),
  server_login_retry: row<number>('duration', {
    default: 15_000,
    help: 'Longest pause between attempts to log in to a server that keeps failing.',
  }),
}
