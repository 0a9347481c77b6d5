// Writes docs/errors.md: every error and every reason for a closed connection, with what to do. A new row without its text is a type error.
import { CLOSE_REASONS, type CloseReason, ERRORS, type ErrorClass, type ErrorCode } from '../../src/errors.ts'

const REMEDIES: Readonly<Record<ErrorCode, string>> = {
  no_such_database: 'The name is no key under `databases`: correct the client, or add the database.',
  too_many_clients: 'Raise `max_client_conn`, or find the application that leaks connections (`pglease_client_connections`).',
  too_many_database_clients: 'Raise `max_db_client_connections`, or find the application that leaks connections.',
  too_many_user_clients: 'Raise `max_user_client_connections`, or find the application that leaks connections.',
  unsupported_startup_parameter:
    'Add it to `track_extra_parameters` if the server reports it, to `ignore_startup_parameters` if it may be dropped.',
  unsupported_startup_option: 'As for startup parameters; or set it with SET inside the transaction.',
  bad_startup_packet: 'The client does not speak the protocol of PostgreSQL, or something else connected to this port.',
  old_protocol: 'The client speaks the protocol of before PostgreSQL 7.4: update its driver.',
  protocol_violation: 'The driver broke the protocol; the detail says where.',
  message_too_large: 'Raise `max_packet_size` if such messages are wanted.',
  client_login_timeout: 'The client did not finish its login within `client_login_timeout`.',
  client_login_timeout_server_down: 'As above, because no server connection could be opened; the detail has the cause.',
  query_wait_timeout:
    'No server connection was free within `query_wait_timeout`. The detail has the cause; without one the pool is too small: `default_pool_size`.',
  query_canceled: 'The client cancelled its request while it waited for a server connection. PostgreSQL says the same for one that runs.',
  query_timeout_waiting: 'No server connection was free within `query_timeout`: raise it, or `default_pool_size`.',
  query_timeout: 'The request ran for longer than `query_timeout`: make it faster, or raise the timeout.',
  transaction_timeout: 'The transaction lasted longer than `transaction_timeout`: make it shorter, or raise the timeout.',
  idle_transaction_timeout:
    'The application left a transaction open for longer than `idle_transaction_timeout`: end transactions before doing something else.',
  client_idle_timeout: 'The client asked nothing for `client_idle_timeout`: its connection pool should close earlier than that.',
  shutting_down: 'pglease was told to stop. Clients that reconnect reach the next instance.',
  server_shutting_down: 'pglease was told to stop while the request waited.',
  server_lost: 'The server ended the connection. Outside a transaction the client stays connected and may try again.',
  bad_parameter: 'A session parameter of the client is refused by this server; the detail is its answer.',
  transaction_block_refused:
    'BEGIN in statement mode: use `pool_mode` transaction or session for this database. Several statements in one simple query are one transaction in every mode.',
  session_recycled:
    'Session mode: the credential of the server connection was replaced while the client was idle, or a limit on connections left a new credential no other place (`sessions_recycled` in the log). Pools of applications connect again; with `pool_mode` transaction it does not happen.',
  listen_failed:
    'No server connection that listens could be had: the detail says why. It is one more than `pool_size`, so leave it room in `max_db_connections` and `max_server_connections`; a standby refuses LISTEN, so let `target_session_attrs` ask for a primary.',
  listening_lost:
    'Someone restarted PostgreSQL or ended that connection. The session is ended as it would be without a pooler: it has to connect and LISTEN again, and to look at what it may have missed.',
  notifications_unread:
    'The client stays in a transaction, or does not read, while notifications come. Shorten the transaction, or listen on a connection of its own.',
  session_host_unfit:
    'Session mode: the standby of the session was promoted, and `target_session_attrs` asks for another kind of server. Connect again.',
  replication_recycled:
    "The credential of a replication connection was replaced, or a limit on connections left a new credential no other place (`sessions_recycled` in the log). PostgreSQL's own clients (a standby, a subscription, `pg_receivewal`, `pg_recvlogical`) connect again by themselves and go on where they were; others have to.",
  named_statement_refused:
    '`max_prepared_statements` is 0, and a named prepared statement would be on another server connection next time. Raise it, or use unnamed statements (most drivers have a switch).',
  pin_refused:
    "SQL's PREPARE, or a text longer than 64 KiB, keeps the server connection with its client: prepare through the protocol (most drivers have a switch), say `DEALLOCATE ALL` when done, or raise `max_pinned_connections`.",
  login_cached_error: 'The server or Vault refuses for a reason that does not pass by itself; the detail has it. pglease goes on trying.',
  connect_refused: 'Is PostgreSQL up at `host` and `port`, and may this machine connect?',
  connect_timeout: 'A firewall, or a server that is too busy to accept: see `server_connect_timeout`.',
  no_host_fits: 'Check `host` and `target_session_attrs`; during a failover it passes when a standby has been promoted.',
  host_not_found: 'Check `host` and the DNS of this machine.',
  server_starting: 'PostgreSQL is starting or recovering: it passes.',
  server_full: "PostgreSQL's `max_connections` are used up: lower `default_pool_size`, or raise them.",
  login_refused: 'PostgreSQL does not take the credential (yet): it is tried again, with a new lease if it stays.',
  login_refused_for_good:
    'PostgreSQL does not take the credential. Vault: do the creation statements make LOGIN, PASSWORD and VALID UNTIL? Fixed: check `password`. Both: `pg_hba.conf`.',
  database_missing: 'Check `dbname`, or create the database.',
  login_not_permitted:
    'PostgreSQL took the password and refuses the login: CONNECT on the database, membership in `server_role`, a setting of the role.',
  tls_failed: 'Check `server_tls_sslmode`, `server_tls_ca_file` and the name in the certificate.',
  auth_method_refused:
    'The server wants the credential in a weaker way than allowed. Set `password_encryption = scram-sha-256` there, or widen `server_require_auth`.',
  server_misbehaved: 'What answers at `host` and `port` is no PostgreSQL, or is broken.',
  connect_query_failed: 'Correct `connect_query`; the detail is the answer of the server.',
  role_gone: "Someone dropped the leased role before its time: Vault's revocation, or a person.",
  vault_unreachable: 'Is Vault up at `vault_addr`, and may this machine connect? pglease waits, and serves as long as it has a credential.',
  vault_unavailable: 'Vault is sealed, on standby or overloaded: pglease waits, and serves as long as it has a credential.',
  vault_bad_request: 'Vault does not accept the request; the detail is its answer. Check `vault_path` and the role behind it.',
  vault_denied: 'The policy does not allow it: see [deploy/vault/policy.hcl](../deploy/vault/policy.hcl).',
  vault_path_missing: 'No such role or engine: check `vault_path` and the mount.',
  vault_login_failed: 'Check `vault_auth_method`, `vault_auth_mount`, `vault_auth_role` and what proves the identity.',
  vault_bad_answer: 'Something between pglease and Vault answers in its place, or the path is no database engine.',
  vault_lease_unusable:
    'Vault handed out a credential without an end or with one that is too near: give the role a default_ttl and max_ttl.',
}

const REASONS: Readonly<Record<CloseReason, string>> = {
  client_terminated: 'The client said goodbye.',
  client_lost: 'The client vanished without a goodbye.',
  client_login_failed: 'The login was refused; the log line has the error.',
  client_login_timeout: '`client_login_timeout`.',
  client_protocol_violation: 'The client broke the protocol, or sent what is refused.',
  client_limit: '`max_client_conn`, `max_db_client_connections` or `max_user_client_connections`.',
  query_wait_timeout: '`query_wait_timeout`.',
  query_timeout: '`query_timeout`, while the request ran or waited.',
  transaction_timeout: '`transaction_timeout`.',
  idle_transaction_timeout: '`idle_transaction_timeout`.',
  client_idle_timeout: '`client_idle_timeout`.',
  probe: 'Someone connected and left without a byte: a TCP probe.',
  cancel_request: 'A cancel request, which has a connection of its own.',
  server_lost_in_transaction: "The client's server connection died inside its transaction.",
  server_lost_in_replication: "The server of a replication connection ended it; PostgreSQL's own clients connect again.",
  replication_recycled:
    'The credential of a replication connection was replaced, or a limit on connections left a new credential no other place (`sessions_recycled` in the log).',
  server_lost_in_session: "Session mode: the client's server connection died, and the session's state with it.",
  session_recycled:
    'Session mode: the credential of its server connection was replaced, or a limit on connections left a new credential no other place (`sessions_recycled` in the log).',
  pin_refused: 'Its statements would have kept more server connections than `max_pinned_connections`.',
  transaction_block: 'Statement mode: a transaction block was begun.',
  listen_failed: 'LISTEN in transaction mode: no server connection that listens could be had.',
  listening_lost: 'The server connection that listens for the sessions of the database was lost.',
  notifications_unread: 'The client did not read its notifications.',
  idle_at_shutdown: 'pglease stops; the client was idle.',
  shutdown_now: 'pglease stopped at once.',
  server_closed: 'The server closed the connection.',
  server_fatal: 'The server sent FATAL: a restart, or pg_terminate_backend.',
  server_protocol_violation: 'The server broke the protocol.',
  login_failed: 'The login to the server failed, or a client was told so.',
  connect_timeout: '`server_connect_timeout`.',
  check_failed: 'The connection no longer answered after having been idle.',
  client_gone_with_query: 'Its client vanished with a query running; the query was cancelled.',
  server_lifetime: '`server_lifetime`.',
  server_idle_timeout: '`server_idle_timeout`.',
  rotated: 'Its credential has been replaced.',
  role_gone: 'Its role no longer exists.',
  host_unfit: 'Its server is no longer what `target_session_attrs` asks for, or the host name no longer means its address.',
  parameters_failed: "The client's session parameters were refused.",
  pool_closed: 'pglease stops.',
  cancel_unfinished: 'A cancel request did not end in time.',
  evicted:
    'It was not in use, and another pool needed its place under `max_db_connections`, `max_user_connections` or `max_server_connections`.',
  reset_failed: 'The connection could not be brought back to a clean state.',
  own_query_timeout:
    "A query of pglease's own (the reset, the check, RESET ROLE, the parameters of a client) had no answer within `server_connect_timeout`.",
}

const CLASSES: readonly { kind: ErrorClass; title: string; meaning: string }[] = [
  { kind: 'final', title: 'One connection', meaning: 'The client is told at once; nobody else is concerned.' },
  {
    kind: 'transient',
    title: 'Waiting helps',
    meaning: 'Clients wait up to `query_wait_timeout` while pglease tries again; the error that they get then has the cause as its DETAIL.',
  },
  {
    kind: 'permanent',
    title: 'Someone must act',
    meaning:
      'Clients are told at once, with the text of `login_cached_error` around the cause. pglease tries again every 1 to 60 seconds; any success clears it. As long as an older credential works, clients notice neither.',
  },
]

const cell = (text: string) => text.replaceAll('|', '\\|')

function errorTable({ kind, title, meaning }: (typeof CLASSES)[number]): string {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].class === kind)
  const lines = codes.map((code) => {
    const { sqlstate, text } = ERRORS[code]
    return `| \`${code}\` | ${sqlstate} | ${cell(text.replace('%s', '...'))} | ${cell(REMEDIES[code])} |`
  })
  return `## ${title}\n\n${meaning}\n\n| code | SQLSTATE | text | what to do |\n|---|---|---|---|\n${lines.join('\n')}\n`
}

function reasonTable(): string {
  const lines = CLOSE_REASONS.map((reason) => `| \`${reason}\` | ${REASONS[reason]} |`)
  const lead = 'The log field and the label `reason` of `pglease_connections_closed_total`.'
  return `## Why a connection was closed\n\n${lead}\n\n| reason | meaning |\n|---|---|\n${lines.join('\n')}\n`
}

const INTRODUCTION = `# Errors

Every error that pglease itself sends; whatever else a client gets comes from PostgreSQL. The code is the log field \`code\` and the label of
\`pglease_client_errors_total\`. The texts are those of pgbouncer where it has them, so that alerts on them go on working. This page is generated from
\`src/errors.ts\`.
`

/** The whole page in Markdown, ending in a line end. */
export function errorsManual(): string {
  return [INTRODUCTION, ...CLASSES.map(errorTable), reasonTable()].join('\n')
}
