// What a scrape says: every metric of the table, its start at 0, buckets, gauges of one snapshot, and names that need escapes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOSE_REASONS, ERRORS } from '../src/errors.ts'
import {
  BYTES_FROM_CLIENT,
  BYTES_TO_CLIENT,
  DatabaseMetrics,
  type DatabaseSnapshot,
  EMPTY_SNAPSHOT,
  Metrics,
  QUERIES,
  type SourceSnapshot,
  TRANSACTIONS,
} from '../src/metrics.ts'
import { BUCKETS_MS, cumulative, Durations } from '../src/metrics_database.ts'
import { METRICS } from '../src/metrics_table.ts'
import { Metrics as Scrape } from './kit/metrics-text.ts'

const BUILD = { version: '1.2.3', commit: 'abc', runtime: 'test 1' }

const make = () => new Metrics(BUILD)
const scrape = async (metrics: Metrics) => new Scrape(await metrics.render())

const database = (name: string, changes: Partial<DatabaseSnapshot> = {}): DatabaseSnapshot => ({
  name,
  clients: { active: 1, waiting: 2, idle: 3, replication: 11 },
  servers: { login: 4, active: 5, idle: 6, used: 7, tested: 8, closing: 9, listening: 1, replication: 10 },
  listening: { sessions: 2, channels: 3 },
  pinned: 4,
  ...changes,
})
const source = (name: string, changes: Partial<SourceSnapshot> = {}): SourceSnapshot => ({
  name,
  generation: 2,
  remainingSeconds: 600,
  linksDraining: 1,
  ...changes,
})

/** With a value for everything, so that every metric has a sample. */
function busy(): Metrics {
  const metrics = make()
  metrics.setSnapshot(() => ({ databases: [database('app')], sources: [source('app')], token: { remainingSeconds: 5 } }))
  metrics.database('app').observeWaitMs(1)
  metrics.connectionClosed('client', 'client_terminated')
  metrics.vaultRequest('read', 200, 10)
  metrics.rotation('app', 'ok', 100)
  return metrics
}

test('every row is rendered with its HELP, its TYPE and samples that have its labels', async () => {
  const { text, samples } = await scrape(busy())
  const lines = new Set(text.split('\n'))
  for (const [name, row] of Object.entries(METRICS)) {
    assert.ok(lines.has(`# HELP ${name} ${row.help}`), `HELP ${name}`)
    assert.ok(lines.has(`# TYPE ${name} ${row.type}`), `TYPE ${name}`)
    const parts = row.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    for (const part of parts) {
      const own = samples.filter((sample) => sample.name === `${name}${part}`)
      assert.ok(own.length > 0, `${name}${part} has no sample`)
      const expected = [...row.labels, ...(part === '_bucket' ? ['le'] : [])].sort()
      for (const { labels } of own) assert.deepEqual(Object.keys(labels).sort(), expected, name)
    }
  }
  const unknown = samples.filter(({ name }) => name.startsWith('pglease_') && !(name.replace(/_(?:bucket|sum|count)$/, '') in METRICS))
  assert.deepEqual(unknown, [])
})

test('the process has its usual metrics, and the content type is that of the text format', async () => {
  const metrics = make()
  assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/)
  assert.ok((await scrape(metrics)).sum('process_resident_memory_bytes') > 1_000_000)
})

test('build_info tells what runs', async () => {
  assert.deepEqual((await scrape(make())).find('pglease_build_info'), [{ name: 'pglease_build_info', labels: BUILD, value: 1 }])
})

test('counters whose labels are known start at 0', async () => {
  const metrics = make()
  metrics.database('app')
  metrics.source('vault')
  metrics.setSnapshot(() => ({ ...EMPTY_SNAPSHOT, sources: [source('later')] }))
  const told = await scrape(metrics)
  const expected: [string, Record<string, string>[]][] = [
    ['pglease_client_errors_total', Object.keys(ERRORS).map((code) => ({ code }))],
    ['pglease_vault_logins_total', ['ok', 'denied', 'failed'].map((result) => ({ result }))],
    ['pglease_revocations_total', ['ok', 'denied', 'failed'].map((result) => ({ result }))],
    ['pglease_queries_total', [{ database: 'app' }]],
    ['pglease_statement_pins_total', [{ database: 'app' }]],
    ['pglease_plan_changes_total', [{ database: 'app' }]],
    ['pglease_transactions_total', [{ database: 'app' }]],
    ['pglease_bytes_total', ['in', 'out'].map((direction) => ({ database: 'app', direction }))],
    ...['vault', 'later'].flatMap((name): [string, Record<string, string>[]][] => [
      ['pglease_lease_renewals_total', ['ok', 'short', 'failed'].map((result) => ({ source: name, result }))],
      ['pglease_rotations_total', ['ok', 'failed'].map((result) => ({ source: name, result }))],
      ['pglease_drain_overrun_total', [{ source: name }]],
      ['pglease_replayed_requests_total', [{ source: name }]],
      ['pglease_possibly_orphaned_leases_total', [{ source: name }]],
    ]),
  ]
  for (const [name, labels] of expected) {
    for (const wanted of labels) {
      assert.deepEqual(told.find(name, wanted), [{ name, labels: wanted, value: 0 }], `${name} ${JSON.stringify(wanted)}`)
    }
  }
})

test('each event counts once, with its labels, and beginning a source again keeps its counts', async () => {
  const metrics = make()
  metrics.clientError('query_wait_timeout')
  metrics.connectionClosed('server', 'rotated')
  metrics.connectionClosed('server', 'rotated')
  metrics.connectionClosed('client', 'client_lost')
  metrics.vaultLogin('denied')
  metrics.leaseRenewal('app', 'short')
  metrics.rotation('app', 'ok', 1_500)
  metrics.rotation('app', 'failed', 90_000)
  metrics.revocation('failed')
  metrics.possiblyOrphaned('app')
  metrics.drainOverrun('app')
  metrics.replayedRequest('app')
  metrics.source('app')
  const told = await scrape(metrics)
  const expected: [string, Record<string, string>, number][] = [
    ['pglease_client_errors_total', { code: 'query_wait_timeout' }, 1],
    ['pglease_connections_closed_total', { side: 'server', reason: 'rotated' }, 2],
    ['pglease_connections_closed_total', { side: 'client', reason: 'client_lost' }, 1],
    ['pglease_vault_logins_total', { result: 'denied' }, 1],
    ['pglease_lease_renewals_total', { source: 'app', result: 'short' }, 1],
    ['pglease_rotations_total', { source: 'app', result: 'ok' }, 1],
    ['pglease_rotations_total', { source: 'app', result: 'failed' }, 1],
    ['pglease_revocations_total', { result: 'failed' }, 1],
    ['pglease_possibly_orphaned_leases_total', { source: 'app' }, 1],
    ['pglease_drain_overrun_total', { source: 'app' }, 1],
    ['pglease_replayed_requests_total', { source: 'app' }, 1],
  ]
  for (const [name, labels, value] of expected) assert.deepEqual(told.find(name, labels), [{ name, labels, value }])
  assert.equal(told.sum('pglease_client_errors_total'), 1)
  assert.equal(told.sum('pglease_vault_logins_total'), 1)
  // a rotation that failed has no duration
  assert.equal(told.sum('pglease_rotation_duration_seconds_count'), 1)
  assert.equal(told.sum('pglease_rotation_duration_seconds_sum'), 1.5)
})

test('requests to Vault by operation and status, in seconds; a clock that ran backwards counts as 0', async () => {
  const metrics = make()
  metrics.vaultRequest('login', 200, 20)
  metrics.vaultRequest('login', 'timeout', 30_000)
  metrics.vaultRequest('login', 200, -5)
  const told = await scrape(metrics)
  const at = (part: string, labels: Record<string, string>) => told.sum(`pglease_vault_request_duration_seconds_${part}`, labels)
  assert.deepEqual([at('count', { status: '200' }), at('sum', { status: '200' })], [2, 0.02])
  assert.deepEqual([at('count', { operation: 'login', status: 'timeout' }), at('sum', { status: 'timeout' })], [1, 30])
  assert.deepEqual([at('bucket', { status: '200', le: '0.01' }), at('bucket', { status: '200', le: '0.025' })], [1, 2])
})

test('buckets are cumulative, and the last is the count', async () => {
  const metrics = make()
  const app = metrics.database('app')
  const observed = [-1, 0.5, 0.6, 5, 7, 60_000, 60_001]
  for (const ms of observed) app.observeWaitMs(ms)
  app.observeQueryMs(3)
  const told = await scrape(metrics)
  const buckets = told.find('pglease_client_wait_seconds_bucket', { database: 'app' })
  const bounds = buckets.map(({ labels }) => labels.le)
  assert.deepEqual(bounds, [...BUCKETS_MS.map((ms) => String(ms / 1000)), '+Inf'])
  assert.deepEqual(
    buckets.map(({ value }) => value),
    [2, 3, 3, 4, 5, 5, 5, 5, 5, 5, 5, 5, 6, 7],
  )
  assert.equal(told.sum('pglease_client_wait_seconds_count', { database: 'app' }), observed.length)
  const total = observed.reduce((sum, ms) => sum + Math.max(0, ms), 0) / 1000
  assert.ok(Math.abs(told.sum('pglease_client_wait_seconds_sum', { database: 'app' }) - total) < 1e-9)
  assert.equal(told.sum('pglease_query_duration_seconds_count', { database: 'app' }), 1)
  assert.equal(told.sum('pglease_transaction_duration_seconds_count', { database: 'app' }), 0)
})

test('durations without a library: places, sum and count agree', () => {
  const durations = new Durations()
  for (const ms of [1, 1, 2, 100_000]) durations.observe(ms)
  assert.deepEqual([durations.count, durations.sumMs, cumulative(durations).at(-1)], [4, 100_004, 4])
  assert.deepEqual(cumulative(durations).slice(0, 3), [0, 2, 3])
})

test('what the data path wrote into its arrays is in the next scrape, also when it wrote them itself', async () => {
  const metrics = make()
  const app = metrics.database('app')
  assert.equal(metrics.database('app'), app)
  app.addQuery()
  app.addTransaction()
  app.addBytesFromClient(10)
  app.addBytesToClient(20)
  const other = metrics.database('other')
  other.counters[QUERIES] = 1
  other.counters[TRANSACTIONS] = 2
  other.counters[BYTES_FROM_CLIENT] = 3
  other.counters[BYTES_TO_CLIENT] = 4
  assert.deepEqual(metrics.databases(), [app, other])
  assert.deepEqual([other.queries, other.transactions, other.bytesFromClient, other.bytesToClient], [1, 2, 3, 4])
  // a second scrape counts nothing twice
  await metrics.render()
  const told = await scrape(metrics)
  const values = (name: string) =>
    ['app', 'other'].map((label) => {
      return [told.sum(`pglease_queries_total`, { database: label }), told.sum('pglease_transactions_total', { database: label })].concat(
        ['in', 'out'].map((direction) => told.sum(name, { database: label, direction })),
      )
    })
  assert.deepEqual(values('pglease_bytes_total'), [
    [1, 1, 10, 20],
    [1, 2, 3, 4],
  ])
})

test('gauges say what the snapshot says, and forget what is no longer in it', async () => {
  const metrics = make()
  let taken = 0
  let snapshot = {
    databases: [database('app'), database('other', { clients: { active: 0, waiting: 0, idle: 0, replication: 0 } })],
    sources: [source('app', { remainingSeconds: -3 }), source('fixed', { remainingSeconds: undefined, generation: 1, linksDraining: 0 })],
    token: { remainingSeconds: 30 } as { remainingSeconds: number | undefined } | undefined,
  }
  metrics.setSnapshot(() => {
    taken++
    return snapshot
  })
  let told = await scrape(metrics)
  // one per scrape: gauges agree with each other
  assert.equal(taken, 1)
  const states = (name: string, label: string) =>
    Object.fromEntries(told.find(name, { database: label }).map(({ labels, value }) => [labels.state, value]))
  assert.deepEqual(states('pglease_client_connections', 'app'), { active: 1, waiting: 2, idle: 3, replication: 11 })
  assert.deepEqual(states('pglease_client_connections', 'other'), { active: 0, waiting: 0, idle: 0, replication: 0 })
  assert.deepEqual(states('pglease_server_connections', 'app'), {
    login: 4,
    active: 5,
    idle: 6,
    used: 7,
    tested: 8,
    closing: 9,
    listening: 1,
    replication: 10,
  })
  const bySource = (name: string) => told.find(name).map(({ labels, value }) => [labels.source, value])
  assert.deepEqual(bySource('pglease_lease_remaining_seconds'), [['app', -3]])
  assert.deepEqual(bySource('pglease_lease_generation').sort(), [
    ['app', 2],
    ['fixed', 1],
  ])
  assert.deepEqual(bySource('pglease_links_draining').sort(), [
    ['app', 1],
    ['fixed', 0],
  ])
  assert.deepEqual(told.find('pglease_token_remaining_seconds'), [{ name: 'pglease_token_remaining_seconds', labels: {}, value: 30 }])

  for (const token of [undefined, { remainingSeconds: undefined }]) {
    snapshot = { databases: [database('app')], sources: [], token }
    told = await scrape(metrics)
    assert.deepEqual(states('pglease_client_connections', 'other'), {})
    assert.deepEqual(bySource('pglease_links_draining'), [])
    assert.deepEqual(told.find('pglease_token_remaining_seconds'), [])
  }
})

test('a name with quotes, backslashes and newlines stays one label', async () => {
  const name = 'a "b" \\ c\nd\\n'
  const metrics = make()
  metrics.setSnapshot(() => ({ databases: [database(name)], sources: [source(name)], token: undefined }))
  metrics.database(name).observeWaitMs(1)
  const told = await scrape(metrics)
  for (const metric of ['pglease_client_connections', 'pglease_queries_total', 'pglease_client_wait_seconds_bucket']) {
    const found = told.find(metric)
    assert.ok(found.length > 0 && found.every(({ labels }) => labels.database === name), metric)
  }
  assert.ok(told.find('pglease_drain_overrun_total').every(({ labels }) => labels.source === name))
  for (const line of told.text.split('\n')) assert.match(line, /^$|^# (?:HELP|TYPE) |^[a-z_][a-z_\d]*(?:\{.*\})? \S+$/)
})

test('every reason for closing and every error code can be counted', async () => {
  const metrics = make()
  for (const reason of CLOSE_REASONS) metrics.connectionClosed('server', reason)
  const told = await scrape(metrics)
  for (const reason of CLOSE_REASONS) assert.equal(told.sum('pglease_connections_closed_total', { reason }), 1)
})

test('a database of its own counts from 0', () => {
  const own = new DatabaseMetrics('app')
  own.observeTransactionMs(5)
  assert.deepEqual([own.name, own.queries, own.transaction.count, own.wait.count], ['app', 0, 1, 0])
})
