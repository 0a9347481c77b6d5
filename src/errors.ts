// The closed table of pglease's own errors: what the client is told, what the log says, and whether waiting helps.

/** transient: clients wait up to query_wait_timeout; permanent: they fail at once while retries go on; final: concerns one connection only. */
export type ErrorClass = 'transient' | 'permanent' | 'final'

export interface ErrorRow {
  readonly sqlstate: string
  readonly class: ErrorClass
  /** For the client; `%s` is the detail's place. */
  readonly text: string
  /** For the client, where a setting helps; '' elsewhere. */
  readonly hint: string
}

const row = (sqlstate: string, kind: ErrorClass, text: string, hint = ''): ErrorRow => ({ sqlstate, class: kind, text, hint })

const STARTUP_HINT = 'Add it to track_extra_parameters if the server reports it, to ignore_startup_parameters if it may be dropped'

export const ERRORS = {
  // one client connection (pgbouncer's texts, FATAL 08P01)
  no_such_database: row('08P01', 'final', 'no such database: %s'),
  too_many_clients: row(
    '08P01',
    'final',
    'no more connections allowed (max_client_conn)',
    'Raise max_client_conn, or close connections that are not used.',
  ),
  too_many_database_clients: row('08P01', 'final', 'client connections exceeded (max_db_client_connections)'),
  too_many_user_clients: row('08P01', 'final', 'client connections exceeded (max_user_client_connections)'),
  unsupported_startup_parameter: row('08P01', 'final', 'unsupported startup parameter: %s', `${STARTUP_HINT}.`),
  unsupported_startup_option: row(
    '08P01',
    'final',
    'unsupported startup parameter in options: %s',
    `${STARTUP_HINT}; or use SET inside the transaction.`,
  ),
  bad_startup_packet: row('08P01', 'final', 'bad startup packet: %s'),
  old_protocol: row('08P01', 'final', 'old V2 protocol not supported'),
  protocol_violation: row('08P01', 'final', 'protocol violation: %s'),
  message_too_large: row('08P01', 'final', 'message too large: %s', 'Raise max_packet_size if such messages are wanted.'),
  client_login_timeout: row('08P01', 'final', 'client_login_timeout'),
  client_login_timeout_server_down: row('08P01', 'final', 'client_login_timeout (server down)'),
  query_wait_timeout: row(
    '08P01',
    'final',
    'query_wait_timeout',
    'All server connections were in use: raise default_pool_size, or query_wait_timeout.',
  ),
  query_canceled: row('57014', 'final', 'canceling statement due to user request'),
  query_timeout_waiting: row('08P01', 'final', 'query_timeout', 'The request got no server connection within query_timeout.'),
  query_timeout: row('08P01', 'final', 'query timeout', 'The request had no answer within query_timeout.'),
  transaction_timeout: row('08P01', 'final', 'transaction timeout', 'The transaction lasted longer than transaction_timeout.'),
  idle_transaction_timeout: row(
    '08P01',
    'final',
    'idle transaction timeout',
    'The transaction was left without a request for idle_transaction_timeout.',
  ),
  client_idle_timeout: row('08P01', 'final', 'client_idle_timeout'),
  shutting_down: row('57P01', 'final', 'pooler is shutting down'),
  server_shutting_down: row('08P01', 'final', 'server shutting down'),
  server_lost: row('08006', 'final', 'server conn crashed?'),
  bad_parameter: row('08P01', 'final', 'cannot set a session parameter: %s'),
  transaction_block_refused: row(
    '08P01',
    'final',
    'transaction blocks not allowed in statement pooling mode',
    'Set pool_mode to transaction or session for this database.',
  ),
  session_recycled: row(
    '57P01',
    'final',
    'terminating connection because the credential of its server connection is being replaced',
    'Connect again. With pool_mode transaction, connections outlive the replacement.',
  ),
  listen_failed: row(
    '08006',
    'final',
    'LISTEN failed: %s',
    'In pool_mode transaction one more server connection listens for all sessions of a database.',
  ),
  listening_lost: row('08006', 'final', 'the server connection that listens was lost, and notifications perhaps'),
  notifications_unread: row('08006', 'final', 'notifications were not read: %s'),
  session_host_unfit: row('57P01', 'final', 'terminating connection because its server is no longer what target_session_attrs asks for'),
  replication_recycled: row('57P01', 'final', 'terminating connection because the credential of its server connection is being replaced'),
  named_statement_refused: row('0A000', 'final', 'named prepared statements are not supported in transaction pooling mode: %s'),
  pin_refused: row(
    '53400',
    'final',
    'too many server connections are kept by prepared statements (max_pinned_connections)',
    'Prepare through the protocol, as drivers do, in place of SQL; or raise max_pinned_connections.',
  ),
  // a pool that can't log in
  login_cached_error: row('08P01', 'final', 'server login has been failing, cached error: %s (server_login_retry)'),
  connect_refused: row('08006', 'transient', 'connection to the server failed: %s'),
  connect_timeout: row('08006', 'transient', 'connection to the server timed out: %s'),
  host_not_found: row('08006', 'transient', 'host name could not be resolved: %s'),
  no_host_fits: row('08006', 'transient', 'no host is what target_session_attrs asks for: %s'),
  server_starting: row('57P03', 'transient', 'the server is starting up: %s'),
  server_full: row('53300', 'transient', 'the server has no free connection: %s'),
  login_refused: row('28P01', 'transient', 'the server refused the credential: %s'),
  login_refused_for_good: row('28P01', 'permanent', 'the server refused the credential: %s'),
  database_missing: row('3D000', 'permanent', 'the server has no such database: %s'),
  login_not_permitted: row('42501', 'permanent', 'the server refused the login: %s'),
  tls_failed: row('08006', 'permanent', 'TLS to the server failed: %s'),
  auth_method_refused: row('28000', 'permanent', 'the server asked for an authentication method that server_require_auth forbids: %s'),
  server_misbehaved: row('08P01', 'permanent', 'the server broke the protocol: %s'),
  connect_query_failed: row('08P01', 'permanent', 'connect_query failed: %s'),
  role_gone: row('42704', 'transient', 'the role of this connection no longer exists: %s'),
  // Vault
  vault_unreachable: row('08006', 'transient', 'Vault is unreachable: %s'),
  vault_unavailable: row('08006', 'transient', 'Vault cannot answer now: %s'),
  vault_bad_request: row('08006', 'permanent', 'Vault refused the request: %s'),
  vault_denied: row('08006', 'permanent', 'Vault denied access: %s'),
  vault_path_missing: row('08006', 'permanent', 'Vault has nothing at this path: %s'),
  vault_login_failed: row('08006', 'permanent', 'the login to Vault failed: %s'),
  vault_bad_answer: row('08006', 'permanent', 'Vault answered something unexpected: %s'),
  vault_lease_unusable: row('08006', 'permanent', 'the lease cannot be used: %s'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** The client's text of `code` with `detail` in its place. */
export function errorText(code: ErrorCode, detail = ''): string {
  return ERRORS[code].text.replace('%s', () => detail)
}

/** An error of the table. `detail` never holds a secret. */
export class PgleaseError extends Error {
  override readonly name = 'PgleaseError'
  readonly code: ErrorCode
  readonly detail: string
  constructor(code: ErrorCode, detail = '') {
    super(errorText(code, detail))
    this.code = code
    this.detail = detail
  }
  get sqlstate(): string {
    return ERRORS[this.code].sqlstate
  }
  /** A detail says that something else than the setting is the cause. */
  get hint(): string {
    return this.code === 'query_wait_timeout' && this.detail !== '' ? '' : ERRORS[this.code].hint
  }
  get class(): ErrorClass {
    return ERRORS[this.code].class
  }
}

/** Why a connection was closed: log field `reason` and metric label of `connections_closed_total`. */
export const CLOSE_REASONS = [
  // clients
  'client_terminated',
  'client_lost',
  'client_login_failed',
  'client_login_timeout',
  'client_protocol_violation',
  'client_limit',
  'query_wait_timeout',
  'query_timeout',
  'transaction_timeout',
  'idle_transaction_timeout',
  'client_idle_timeout',
  'probe',
  'cancel_request',
  'server_lost_in_transaction',
  'server_lost_in_session',
  'session_recycled',
  'server_lost_in_replication',
  'replication_recycled',
  'transaction_block',
  'pin_refused',
  'listen_failed',
  'listening_lost',
  'notifications_unread',
  'idle_at_shutdown',
  'shutdown_now',
  // links
  'server_closed',
  'server_fatal',
  'server_protocol_violation',
  'login_failed',
  'connect_timeout',
  'check_failed',
  'client_gone_with_query',
  'server_lifetime',
  'server_idle_timeout',
  'rotated',
  'role_gone',
  'host_unfit',
  'parameters_failed',
  'pool_closed',
  'cancel_unfinished',
  'reset_failed',
  'own_query_timeout',
  'evicted',
] as const

export type CloseReason = (typeof CLOSE_REASONS)[number]
