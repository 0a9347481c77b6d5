// The settings of how pglease stops and what it logs.
import { choice, row } from './row.ts'

export const OPERATION_ROWS = {
  drain_timeout: row<number>('duration', {
    default: 20_000,
    help: 'After SIGTERM, clients are served until they have left, at most this long.',
  }),
  shutdown_delay: row<number>('duration', {
    default: 0,
    help: 'After SIGTERM, clients are served at least this long.',
  }),
  shutdown_timeout: row<number>('duration', {
    default: 25_000,
    help: 'This long after the first signal pglease ends at once; 0 is no limit.',
  }),
  log_format: choice(['auto', 'json', 'text'], {
    default: 'auto',
    defaultText: 'text on a terminal, else json',
    help: 'Form of the log lines.',
    change: 'restart',
  }),
  log_level: choice(['debug', 'info', 'warning', 'error'], {
    default: 'info',
    help: 'The least important lines that are logged.',
    synonyms: { warn: 'warning' },
  }),
  log_connections: row<boolean>('boolean', {
    default: true,
    help: 'Log each client that logged in.',
  }),
  log_disconnections: row<boolean>('boolean', {
    default: true,
    help: 'Log each client that left, with the reason.',
  }),
  log_pooler_errors: row<boolean>('boolean', {
    default: true,
    help: 'Log each error that pglease itself sends to a client.',
  }),
}
