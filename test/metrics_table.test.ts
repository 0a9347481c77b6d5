// The table of metrics: its names are promised to users, and each row is complete and in the manual.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { METRICS, metricsManual } from '../src/metrics_table.ts'

/** The names and labels that users rely on: dashboards and alerts are written with them. */
const PROMISED: Readonly<Record<string, readonly string[]>> = {
  pglease_client_connections: ['database', 'state'],
  pglease_server_connections: ['database', 'state'],
  pglease_client_wait_seconds: ['database'],
  pglease_transaction_duration_seconds: ['database'],
  pglease_query_duration_seconds: ['database'],
  pglease_transactions_total: ['database'],
  pglease_statement_pins_total: ['database'],
  pglease_pinned_connections: ['database'],
  pglease_listening_sessions: ['database'],
  pglease_listening_channels: ['database'],
  pglease_notifications_total: ['database'],
  pglease_plan_changes_total: ['database'],
  pglease_queries_total: ['database'],
  pglease_bytes_total: ['database', 'direction'],
  pglease_client_errors_total: ['code'],
  pglease_connections_closed_total: ['side', 'reason'],
  pglease_lease_remaining_seconds: ['source'],
  pglease_lease_generation: ['source'],
  pglease_token_remaining_seconds: [],
  pglease_lease_renewals_total: ['source', 'result'],
  pglease_rotations_total: ['source', 'result'],
  pglease_rotation_duration_seconds: [],
  pglease_links_draining: ['source'],
  pglease_revocations_total: ['result'],
  pglease_drain_overrun_total: ['source'],
  pglease_replayed_requests_total: ['source'],
  pglease_possibly_orphaned_leases_total: ['source'],
  pglease_vault_request_duration_seconds: ['operation', 'status'],
  pglease_vault_logins_total: ['result'],
  pglease_build_info: ['version', 'commit', 'runtime'],
}

test('the table has exactly the promised names and labels', () => {
  const table = Object.fromEntries(Object.entries(METRICS).map(([name, { labels }]) => [name, labels]))
  assert.deepEqual(table, PROMISED)
})

test('names end as their type and unit say, and every row says what to do', () => {
  for (const [name, row] of Object.entries(METRICS)) {
    assert.equal(name.endsWith('_total'), row.type === 'counter', name)
    assert.equal(name.endsWith('_seconds'), row.unit === 'seconds', name)
    for (const text of [row.help, row.moves, row.remedy]) assert.match(text, /^\S[^\n]*\.$/, name)
  }
})

test('the manual has a row and a section for every metric, in the order of the table', () => {
  const manual = metricsManual()
  const names = Object.keys(METRICS)
  assert.deepEqual(
    [...manual.matchAll(/^## (\S+)$/gm)].map(([, name]) => name),
    names,
  )
  assert.deepEqual(
    [...manual.matchAll(/^\| \[(\S+)\]\(#(\S+)\) \| (\S+) \|/gm)].map(([, name, anchor, type]) => [name, anchor, type]),
    Object.entries(METRICS).map(([name, { type }]) => [name, name, type]),
  )
  for (const { help, moves, remedy } of Object.values(METRICS)) {
    assert.ok(manual.includes(`${help}\n\n- When it moves: ${moves}\n- What to do: ${remedy}\n`), help)
  }
  assert.ok(manual.includes('| `database`, `state` | a count |') && manual.includes('| none | seconds |'))
})
