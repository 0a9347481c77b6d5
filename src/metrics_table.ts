// The closed table of metrics: name, type, labels, unit, help, and what a person does when a value moves.

export type MetricType = 'counter' | 'gauge' | 'histogram'
export type MetricUnit = 'seconds' | 'bytes' | 'count' | 'number'

export interface MetricRow {
  readonly type: MetricType
  readonly labels: readonly string[]
  /** What one step of the value is: a histogram's and a duration's is always seconds. */
  readonly unit: MetricUnit
  /** Prometheus' HELP line. */
  readonly help: string
  /** For the manual: when the value moves. */
  readonly moves: string
  /** For the manual: what a person does about it. */
  readonly remedy: string
}

const metric = (type: MetricType, unit: MetricUnit, labels: readonly string[], help: string, moves: string, remedy: string): MetricRow => ({
  type,
  labels,
  unit,
  help,
  moves,
  remedy,
})

export const METRICS = {
  pglease_client_connections: metric(
    'gauge',
    'count',
    ['database', 'state'],
    'Client connections by database and state.',
    'A client logs in, leaves, waits for a link or gets one: `active` holds a link, `waiting` wants one, `idle` needs none. A replication client with its own server connection is in `replication`.',
    '`waiting` above 0 for long: raise `default_pool_size`, or find what holds the links (`pglease_transaction_duration_seconds`). Close to `max_client_conn` in sum: raise it, or look for an application that leaks connections.',
  ),
  pglease_server_connections: metric(
    'gauge',
    'count',
    ['database', 'state'],
    'Links to PostgreSQL by database and state.',
    'A link is opened (`login`), given to a client (`active`), given back (`idle`, later `used`), checked (`tested`) or closed (`closing`). A replication connection is in `replication`, and is not in the pool.',
    '`active` at the pool size while clients wait: the pool is too small, or transactions are too long. `login` that stays: PostgreSQL answers logins slowly. `closing` that stays: PostgreSQL does not end what was cancelled.',
  ),
  pglease_client_wait_seconds: metric(
    'histogram',
    'seconds',
    ['database'],
    'Time that clients waited for a link.',
    'A client for which no link was idle got one, or gave up at `query_wait_timeout`.',
    'A high share above 0.1 s: raise `default_pool_size` within what PostgreSQL can bear, or shorten transactions.',
  ),
  pglease_transaction_duration_seconds: metric(
    'histogram',
    'seconds',
    ['database'],
    'Time from a link being taken to its release.',
    'A transaction, or a statement outside of one, ends.',
    'A transaction longer than the overlap of two generations fails when its role is dropped: shorten it, or raise `rotate_before` and the maximum TTL of the Vault role.',
  ),
  pglease_query_duration_seconds: metric(
    'histogram',
    'seconds',
    ['database'],
    'Time from a Query or Sync being forwarded to its ReadyForQuery.',
    'PostgreSQL has answered a request.',
    'Look in `pg_stat_statements`: pglease adds microseconds, the rest is PostgreSQL and the network.',
  ),
  pglease_transactions_total: metric(
    'counter',
    'count',
    ['database'],
    'Transactions that ended, single statements included.',
    'A link is given back.',
    'No growth while clients wait: see `pglease_server_connections` and the log.',
  ),
  pglease_statement_pins_total: metric(
    'counter',
    'count',
    ['database'],
    'Links that had to stay with one client because of a statement prepared there.',
    "A client used SQL's PREPARE, or prepared a text longer than 64 KB: its link serves nobody else until DEALLOCATE ALL, DISCARD ALL or its end.",
    'Rising: prepare through the protocol (as drivers do) in place of SQL, or the pool behaves as if it were in session mode.',
  ),
  pglease_pinned_connections: metric(
    'gauge',
    'count',
    ['database'],
    'Links that stay with one client now because of a statement prepared there.',
    'See `pglease_statement_pins_total`; the log line `link_pinned` names the client.',
    'Near the size of the pool: other clients wait. `max_pinned_connections` is the limit.',
  ),
  pglease_listening_sessions: metric(
    'gauge',
    'count',
    ['database'],
    'Sessions that LISTEN, in transaction mode. One more server connection of the database listens for all of them.',
    'A session says LISTEN for the first time, UNLISTEN for the last, or ends.',
    'Back to 0 at once: the log line `listening_lost` says that the connection that listens was lost, and its sessions with it.',
  ),
  pglease_listening_channels: metric(
    'gauge',
    'count',
    ['database'],
    'Channels to which any session of the database listens, in transaction mode.',
    'The first session listens to a channel, or the last one ceases to.',
    'Rising for ever: channels whose names have a number in them, and sessions that never UNLISTEN.',
  ),
  pglease_notifications_total: metric(
    'counter',
    'count',
    ['database'],
    'Notifications delivered in transaction mode; one for each session that gets it.',
    'A notification arrives on a channel to which a session listens.',
    'Nothing by itself. Each one costs PostgreSQL one delivery, whatever the number of sessions here.',
  ),
  pglease_plan_changes_total: metric(
    'counter',
    'count',
    ['database'],
    'Errors 0A000 (`cached plan must not change result type`) that clients got.',
    'A table changed, and a client used a statement that it had prepared before, and whose rows it would decode by the old description.',
    'A few after each migration. Growing without one: some clients use statements by an old description again and again; they have to prepare them anew behind the error.',
  ),
  pglease_queries_total: metric(
    'counter',
    'count',
    ['database'],
    'Requests answered: each Query, FunctionCall and Sync is one.',
    'PostgreSQL sends ReadyForQuery.',
    'Nothing by itself; the base of rates.',
  ),
  pglease_bytes_total: metric(
    'counter',
    'bytes',
    ['database', 'direction'],
    'Bytes between clients and pglease: in = from clients, out = to clients.',
    'Messages are relayed.',
    'Nothing by itself; a jump of `out` is a query that returns more than it should.',
  ),
  pglease_client_errors_total: metric(
    'counter',
    'count',
    ['code'],
    'Errors that pglease itself sent to clients, by its own error code.',
    'A client gets an error that did not come from PostgreSQL.',
    'The code names the cause; the log line `pooler_error` has the detail. `too_many_clients`: `max_client_conn`. `query_wait_timeout`: the pool is too small or PostgreSQL is away. `vault_*`: Vault, or its policy.',
  ),
  pglease_connections_closed_total: metric(
    'counter',
    'count',
    ['side', 'reason'],
    'Connections that ended, by side (client, server) and reason.',
    'A client connection or a link ends.',
    '`rotated`, `session_recycled`, `server_lifetime`, `server_idle_timeout` and `client_terminated` are daily life. `server_closed`, `server_fatal`, `role_gone` and `login_failed` are not: see the log lines `link_closed` and `login_failed`.',
  ),
  pglease_lease_remaining_seconds: metric(
    'gauge',
    'seconds',
    ['source'],
    'Seconds until the newest credential of a source ends; below 0 when it is overdue. Absent when it never ends or there is none.',
    'Falls with time; rises when the lease is renewed or replaced.',
    'Alert when it is below a tenth of the TTL: Vault is unreachable or refuses (`pglease_vault_request_duration_seconds`, log `vault_request_failed`). Below 0 links still work, but new ones cannot be opened.',
  ),
  pglease_lease_generation: metric(
    'gauge',
    'number',
    ['source'],
    'Number of the newest credential of a source, from 1.',
    'A new credential was leased.',
    'Faster growth than the maximum TTL explains: a token with a short life, or a role that someone drops.',
  ),
  pglease_token_remaining_seconds: metric(
    'gauge',
    'seconds',
    [],
    "Seconds until pglease's Vault token ends. Absent when it never ends or there is none.",
    'Falls with time; rises with a renewal or a new login.',
    'Alert when it is below a tenth of its life: the leases end with the token. See the log lines `vault_login_failed` and `token_warning`; a role with `token_period` has no maximum.',
  ),
  pglease_lease_renewals_total: metric(
    'counter',
    'count',
    ['source', 'result'],
    'Renewals of leases, by result: ok, short (Vault granted less than asked, a successor follows), failed.',
    'Vault has answered a renewal, or has not.',
    '`failed`: is Vault reachable, and does the policy allow `sys/leases/renew`? `short` once per maximum TTL is daily life.',
  ),
  pglease_rotations_total: metric(
    'counter',
    'count',
    ['source', 'result'],
    'Replacements of a credential, by result: ok (the successor serves), failed (it could not be leased or proven).',
    'A successor was proven by a login, or was given up.',
    '`failed`: the log line `credential_refused` or `vault_request_failed` says why. The old credential serves until its end.',
  ),
  pglease_rotation_duration_seconds: metric(
    'histogram',
    'seconds',
    [],
    'Time from the decision to replace a credential to its successor serving.',
    'A rotation ends well.',
    'It must stay far below a third of the TTL. Slow: Vault, or role creation in PostgreSQL (grants per table).',
  ),
  pglease_links_draining: metric(
    'gauge',
    'count',
    ['source'],
    'Links that still use an older credential of a source.',
    'Rises at a rotation, falls as transactions end.',
    'Stays above 0: a transaction outlives the rotation. Find it in `pg_stat_activity`; it fails when its role is dropped.',
  ),
  pglease_revocations_total: metric(
    'counter',
    'count',
    ['result'],
    'Revocations of leases and own tokens, by result: ok, denied (the policy), failed.',
    'A drained lease or token is given back to Vault.',
    '`denied`: allow `update` on `sys/leases/revoke` (the log prints the HCL once). `failed`: PostgreSQL could not drop the role; something belongs to it, see `server_role`.',
  ),
  pglease_drain_overrun_total: metric(
    'counter',
    'count',
    ['source'],
    'Transactions that were still running when the lease of their role ended.',
    'A link of an older credential is busy at the end of its lease.',
    'Shorten the transaction, raise `rotate_before`, or raise the maximum TTL of the Vault role. The log line is `transaction_outlived_lease`.',
  ),
  pglease_replayed_requests_total: metric(
    'counter',
    'count',
    ['source'],
    'Requests sent again on a newer credential because their role was gone.',
    'Not yet: it stays 0. A request whose role was dropped before its time gets the error of PostgreSQL.',
    'Nothing; `role_gone` in the log and in `pglease_connections_closed_total` shows roles that were dropped before their time.',
  ),
  pglease_possibly_orphaned_leases_total: metric(
    'counter',
    'count',
    ['source'],
    'Requests for a credential whose answer was lost: Vault may have made a role that nobody uses.',
    'A request for a credential times out or breaks after it was sent.',
    'The role ends with its TTL. If it grows: raise `vault_timeout`, look at the network and at slow role creation.',
  ),
  pglease_vault_request_duration_seconds: metric(
    'histogram',
    'seconds',
    ['operation', 'status'],
    'Time of requests to Vault, by operation and HTTP status (or timeout, unreachable).',
    'Vault has answered, or the deadline has passed.',
    '403: the policy. 400 and 404: `vault_path`. 429 and 5xx: Vault is overloaded, sealed or standby. pglease waits and tries again.',
  ),
  pglease_vault_logins_total: metric(
    'counter',
    'count',
    ['result'],
    'Logins to Vault, by result: ok, denied, failed.',
    'pglease has no token, or its token nears its maximum.',
    '`denied`: role, mount, and what proves the identity (`vault_auth_*`). More than one in each token life: someone revokes the tokens.',
  ),
  pglease_build_info: metric(
    'gauge',
    'number',
    ['version', 'commit', 'runtime'],
    'Always 1; the labels say what runs.',
    'Never.',
    'Join it with other metrics to see which version behaves how.',
  ),
} as const satisfies Record<string, MetricRow>

export type MetricName = keyof typeof METRICS

const UNITS: Record<MetricUnit, string> = { seconds: 'seconds', bytes: 'bytes', count: 'a count', number: 'a number' }

/** docs/metrics.md: one section per metric of the table. */
export function metricsManual(): string {
  const lines = [
    '# Metrics',
    '',
    '`GET /metrics` on `http_addr` answers in the text format of Prometheus. This page is generated from `src/metrics_table.ts`.',
    '',
    '- `database` is the key in the configuration, never a name that a client invents; `source` is where its credential comes from.',
    '- Histograms have buckets from half a millisecond to one minute, and `_sum` and `_count`.',
    '- Counters start at 0 with the process. Those whose labels are known at the start are there from the first scrape, so `increase()` sees the first event.',
    '- The usual metrics of the process (`process_*`, `nodejs_*`) follow at the end.',
    '',
    '| metric | type | labels | unit |',
    '|---|---|---|---|',
  ]
  const rows: [string, MetricRow][] = Object.entries(METRICS)
  for (const [name, row] of rows) lines.push(`| [${name}](#${name}) | ${row.type} | ${labelText(row)} | ${UNITS[row.unit]} |`)
  for (const [name, row] of rows) {
    lines.push('', `## ${name}`, '', row.help, '', `- When it moves: ${row.moves}`, `- What to do: ${row.remedy}`)
  }
  return `${lines.join('\n')}\n`
}

function labelText(row: MetricRow): string {
  return row.labels.length === 0 ? 'none' : row.labels.map((label) => `\`${label}\``).join(', ')
}
