// Counts what happens and renders it for Prometheus; the only file that knows prom-client.
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, Registry } from 'prom-client'
import { type CloseReason, ERRORS, type ErrorCode } from './errors.ts'
import { BUCKETS_SECONDS, cumulative, DatabaseMetrics, type Durations } from './metrics_database.ts'
import { CLIENT_STATES, EMPTY_SNAPSHOT, SERVER_STATES, type Snapshot } from './metrics_snapshot.ts'
import { METRICS, type MetricName, type MetricRow } from './metrics_table.ts'

// one place to import from, wherever the parts live
export { BYTES_FROM_CLIENT, BYTES_TO_CLIENT, DatabaseMetrics, QUERIES, TRANSACTIONS } from './metrics_database.ts'
export {
  CLIENT_STATES,
  type ClientState,
  type DatabaseSnapshot,
  EMPTY_SNAPSHOT,
  SERVER_STATES,
  type ServerState,
  type Snapshot,
  type SourceSnapshot,
  type TokenSnapshot,
} from './metrics_snapshot.ts'
export { metricsManual } from './metrics_table.ts'

export interface BuildInfo {
  readonly version: string
  readonly commit: string
  /** For example `bun 1.4.5`. */
  readonly runtime: string
}

export type VaultLoginResult = 'ok' | 'denied' | 'failed'
export type RenewalResult = 'ok' | 'short' | 'failed'
export type RotationResult = 'ok' | 'failed'
export type RevocationResult = 'ok' | 'denied' | 'failed'
const VAULT_LOGIN_RESULTS: readonly VaultLoginResult[] = ['ok', 'denied', 'failed']
const RENEWAL_RESULTS: readonly RenewalResult[] = ['ok', 'short', 'failed']
const ROTATION_RESULTS: readonly RotationResult[] = ['ok', 'failed']
const REVOCATION_RESULTS: readonly RevocationResult[] = ['ok', 'denied', 'failed']

interface HistogramSample {
  metricName: string
  labels: Record<string, string | number>
  value: number
}

/** Stands in the registry like prom-client's Histogram, but reads the typed arrays. */
class DurationsCollector {
  readonly name: MetricName
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #all: ReadonlyMap<string, DatabaseMetrics>
  readonly #pick: (database: DatabaseMetrics) => Durations

  constructor(name: MetricName, all: ReadonlyMap<string, DatabaseMetrics>, pick: (database: DatabaseMetrics) => Durations) {
    this.name = name
    this.help = METRICS[name].help
    this.#all = all
    this.#pick = pick
  }

  async get(): Promise<object> {
    const values = [...this.#all.values()].flatMap((database) => this.#samples(database.name, this.#pick(database)))
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values }
  }

  #samples(database: string, durations: Durations): HistogramSample[] {
    const counts = cumulative(durations)
    const buckets = counts.map((value, place) => ({
      metricName: `${this.name}_bucket`,
      labels: { database, le: BUCKETS_SECONDS[place] ?? '+Inf' },
      value,
    }))
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels: { database }, value: durations.sumMs / 1000 },
      { metricName: `${this.name}_count`, labels: { database }, value: counts.at(-1) ?? 0 },
    ]
  }
}

/** Counts events of the control plane, hands out what the data path counts in, and renders both. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #databases = new Map<string, DatabaseMetrics>()
  readonly #knownSources = new Set<string>()
  #takeSnapshot: () => Snapshot = () => EMPTY_SNAPSHOT
  /** One per scrape, so that its gauges agree with each other. */
  #snapshot = EMPTY_SNAPSHOT
  readonly #clientErrors = this.#counter('pglease_client_errors_total')
  readonly #closed = this.#counter('pglease_connections_closed_total')
  readonly #renewals = this.#counter('pglease_lease_renewals_total')
  readonly #rotations = this.#counter('pglease_rotations_total')
  readonly #rotationSeconds = this.#histogram('pglease_rotation_duration_seconds')
  readonly #revocations = this.#counter('pglease_revocations_total')
  readonly #overruns = this.#counter('pglease_drain_overrun_total')
  readonly #replayed = this.#counter('pglease_replayed_requests_total')
  readonly #orphaned = this.#counter('pglease_possibly_orphaned_leases_total')
  readonly #vaultSeconds = this.#histogram('pglease_vault_request_duration_seconds')
  readonly #vaultLogins = this.#counter('pglease_vault_logins_total')

  constructor(build: BuildInfo) {
    this.#prepareLabels()
    this.#gauges()
    this.#databaseCounter('pglease_statement_pins_total', (database) => [[{}, database.pins]])
    this.#databaseCounter('pglease_notifications_total', (database) => [[{}, database.notifications]])
    this.#databaseCounter('pglease_plan_changes_total', (database) => [[{}, database.planChanges]])
    this.#databaseCounter('pglease_queries_total', (database) => [[{}, database.queries]])
    this.#databaseCounter('pglease_transactions_total', (database) => [[{}, database.transactions]])
    this.#databaseCounter('pglease_bytes_total', (database) => [
      [{ direction: 'in' }, database.bytesFromClient],
      [{ direction: 'out' }, database.bytesToClient],
    ])
    this.#durations('pglease_client_wait_seconds', (database) => database.wait)
    this.#durations('pglease_transaction_duration_seconds', (database) => database.transaction)
    this.#durations('pglease_query_duration_seconds', (database) => database.query)
    this.#gauge('pglease_build_info').set({ ...build }, 1)
    collectDefaultMetrics({ register: this.#registry })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text of a scrape. */
  render(): Promise<string> {
    this.#snapshot = this.#takeSnapshot()
    for (const { name } of this.#snapshot.sources) this.source(name)
    return this.#registry.metrics()
  }

  /** What the gauges read at scrape; set once everything is built. */
  setSnapshot(snapshot: () => Snapshot): void {
    this.#takeSnapshot = snapshot
  }

  /** The same object at every call with this name: a key of the configuration, never a client's. */
  database(name: string): DatabaseMetrics {
    const known = this.#databases.get(name)
    if (known) return known
    const made = new DatabaseMetrics(name)
    this.#databases.set(name, made)
    return made
  }

  /** Those that have been asked for, in that order. */
  databases(): readonly DatabaseMetrics[] {
    return [...this.#databases.values()]
  }

  /** Starts the counters of a credential source at 0. Happens by itself for sources of the snapshot. */
  source(name: string): void {
    if (this.#knownSources.has(name)) return
    this.#knownSources.add(name)
    for (const result of RENEWAL_RESULTS) this.#renewals.inc({ source: name, result }, 0)
    for (const result of ROTATION_RESULTS) this.#rotations.inc({ source: name, result }, 0)
    for (const counter of [this.#overruns, this.#replayed, this.#orphaned]) counter.inc({ source: name }, 0)
  }

  clientError(code: ErrorCode): void {
    this.#clientErrors.inc({ code })
  }

  connectionClosed(side: 'client' | 'server', reason: CloseReason): void {
    this.#closed.inc({ side, reason })
  }

  /** `operation`: a word of a short list (login, read, renew, revoke, ...); `status`: the HTTP status, or `timeout` or `unreachable`. */
  vaultRequest(operation: string, status: number | string, ms: number): void {
    this.#vaultSeconds.observe({ operation, status }, Math.max(0, ms) / 1000)
  }

  vaultLogin(result: VaultLoginResult): void {
    this.#vaultLogins.inc({ result })
  }

  leaseRenewal(source: string, result: RenewalResult): void {
    this.source(source)
    this.#renewals.inc({ source, result })
  }

  /** `ms` from the decision to rotate until the successor serves (or was given up: not in the histogram then). */
  rotation(source: string, result: RotationResult, ms: number): void {
    this.source(source)
    this.#rotations.inc({ source, result })
    if (result === 'ok') this.#rotationSeconds.observe(Math.max(0, ms) / 1000)
  }

  revocation(result: RevocationResult): void {
    this.#revocations.inc({ result })
  }

  possiblyOrphaned(source: string): void {
    this.source(source)
    this.#orphaned.inc({ source })
  }

  drainOverrun(source: string): void {
    this.source(source)
    this.#overruns.inc({ source })
  }

  replayedRequest(source: string): void {
    this.source(source)
    this.#replayed.inc({ source })
  }

  /** Label values that are known from the start begin at 0, so that increase() sees the first event. */
  #prepareLabels(): void {
    for (const code of Object.keys(ERRORS)) this.#clientErrors.inc({ code }, 0)
    for (const result of VAULT_LOGIN_RESULTS) this.#vaultLogins.inc({ result }, 0)
    for (const result of REVOCATION_RESULTS) this.#revocations.inc({ result }, 0)
  }

  #gauges(): void {
    this.#gauge('pglease_client_connections', (gauge, { databases }) => {
      for (const { name: database, clients } of databases) {
        for (const state of CLIENT_STATES) gauge.set({ database, state }, clients[state])
      }
    })
    this.#gauge('pglease_server_connections', (gauge, { databases }) => {
      for (const { name: database, servers } of databases) {
        for (const state of SERVER_STATES) gauge.set({ database, state }, servers[state])
      }
    })
    this.#gauge('pglease_pinned_connections', (gauge, { databases }) => {
      for (const { name: database, pinned } of databases) gauge.set({ database }, pinned)
    })
    this.#gauge('pglease_listening_sessions', (gauge, { databases }) => {
      for (const { name: database, listening } of databases) gauge.set({ database }, listening.sessions)
    })
    this.#gauge('pglease_listening_channels', (gauge, { databases }) => {
      for (const { name: database, listening } of databases) gauge.set({ database }, listening.channels)
    })
    this.#gauge('pglease_lease_remaining_seconds', (gauge, { sources }) => {
      for (const { name: source, remainingSeconds } of sources) {
        if (remainingSeconds !== undefined) gauge.set({ source }, remainingSeconds)
      }
    })
    this.#gauge('pglease_lease_generation', (gauge, { sources }) => {
      for (const { name: source, generation } of sources) gauge.set({ source }, generation)
    })
    this.#gauge('pglease_links_draining', (gauge, { sources }) => {
      for (const { name: source, linksDraining } of sources) gauge.set({ source }, linksDraining)
    })
    this.#gauge('pglease_token_remaining_seconds', (gauge, { token }) => {
      // without labels a reset leaves a 0 behind, which would read as "ended"
      if (token?.remainingSeconds === undefined) gauge.remove()
      else gauge.set(token.remainingSeconds)
    })
  }

  #counter(name: MetricName): Counter {
    return new Counter(this.#configuration(name))
  }

  #histogram(name: MetricName): Histogram {
    return new Histogram({ ...this.#configuration(name), buckets: BUCKETS_SECONDS })
  }

  #gauge(name: MetricName, read?: (gauge: Gauge, snapshot: Snapshot) => void): Gauge {
    if (!read) return new Gauge(this.#configuration(name))
    const snapshot = () => this.#snapshot
    return new Gauge({
      ...this.#configuration(name),
      collect() {
        this.reset()
        read(this, snapshot())
      },
    })
  }

  #databaseCounter(name: MetricName, read: (database: DatabaseMetrics) => readonly [Record<string, string>, number][]): void {
    const databases = this.#databases
    new Counter({
      ...this.#configuration(name),
      collect() {
        this.reset()
        for (const database of databases.values()) {
          for (const [labels, value] of read(database)) this.inc({ database: database.name, ...labels }, value)
        }
      },
    })
  }

  #durations(name: MetricName, pick: (database: DatabaseMetrics) => Durations): void {
    // the registry asks a metric for its name, help, type and values only; the rest of the class is prom-client's own storage
    this.#registry.registerMetric(new DurationsCollector(name, this.#databases, pick) as unknown as Metric)
  }

  #configuration(name: MetricName): { name: string; help: string; labelNames: readonly string[]; registers: Registry[] } {
    const row: MetricRow = METRICS[name]
    return { name, help: row.help, labelNames: row.labels, registers: [this.#registry] }
  }
}
