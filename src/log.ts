// The closed list of log events, and what a log is for those who write to it.

export const LOG_EVENTS = [
  'starting',
  'listening',
  'ready',
  'configuration',
  'signal',
  'draining',
  'stopped',
  'client_login',
  'client_closed',
  'pooler_error',
  'link_opened',
  'link_closed',
  'link_pinned',
  'login_failed',
  'login_recovered',
  'host_failed',
  'host_recovered',
  'reserve_pool',
  'vault_login',
  'vault_login_failed',
  'vault_request_failed',
  'vault_recovered',
  'token_renewed',
  'token_short_grant',
  'token_revoked',
  'token_warning',
  'lease_obtained',
  'lease_renewed',
  'lease_short_grant',
  'lease_revoked',
  'lease_revoke_failed',
  'lease_overdue',
  'lease_warning',
  'possibly_orphaned_lease',
  'credential_proven',
  'credential_refused',
  'rotated',
  'role_gone',
  'sessions_recycled',
  'listening_opened',
  'listening_moved',
  'listening_lost',
  'listening_failed',
  'transaction_outlived_lease',
  'log_lines_dropped',
  'bug',
] as const
export type LogEvent = (typeof LOG_EVENTS)[number]
export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Keys beside time, level, event and msg. */
export interface LogFields {
  database?: string | undefined
  client?: string | number | undefined
  link?: number | undefined
  generation?: number | undefined
  source?: string | undefined
  lease?: string | undefined
  reason?: string | undefined
  code?: string | undefined
  ms?: number | undefined
  /** Of a listener: database, unix, http or admin. */
  kind?: string | undefined
  /** host:port or a socket's path. */
  address?: string | undefined
  /** Vault's path, or a file. */
  path?: string | undefined
  status?: number | undefined
  operation?: string | undefined
  sqlstate?: string | undefined
  user?: string | undefined
  /** Of a lease or token: seconds until it ends. */
  remaining?: number | undefined
  count?: number | undefined
  signal?: string | undefined
  version?: string | undefined
  commit?: string | undefined
  runtime?: string | undefined
}

export interface Log {
  debug(event: LogEvent, msg: string, fields?: LogFields): void
  /** The `listening` event carries kind and address: tests and scripts read the port from there. */
  info(event: LogEvent, msg: string, fields?: LogFields): void
  warning(event: LogEvent, msg: string, fields?: LogFields): void
  error(event: LogEvent, msg: string, fields?: LogFields): void
}

/** One record as it was written: secrets are already replaced. */
export interface LogLine extends LogFields {
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  readonly level: LogLevel
  readonly event: LogEvent
  readonly msg: string
}
