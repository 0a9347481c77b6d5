// The closed list of log events and the one way to write them.

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
  'client_waiting',
  'link_opened',
  'link_closed',
  'login_failed',
  'login_recovered',
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
  'transaction_outlived_lease',
  'bug',
] as const
export type LogEvent = (typeof LOG_EVENTS)[number]
export type LogLevel = 'debug' | 'info' | 'warning' | 'error'

/** Keys beside time, level, event and msg. */
export interface LogFields {
  database?: string
  client?: string | number
  link?: number
  generation?: number
  source?: string
  lease?: string
  reason?: string
  code?: string
  ms?: number
}

export interface Log {
  debug(event: LogEvent, msg: string, fields?: LogFields): void
  info(event: LogEvent, msg: string, fields?: LogFields): void
  warning(event: LogEvent, msg: string, fields?: LogFields): void
  error(event: LogEvent, msg: string, fields?: LogFields): void
}
