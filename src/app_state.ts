// What probes, gauges and the status page say, read from the running objects at the moment of asking.
import { databaseSnapshot, type Served } from './app_databases.ts'
import type { Registry } from './client/registry.ts'
import type { Clock } from './clock.ts'
import { errorText } from './errors.ts'
import type { AdminState, DatabaseState, SourceState, TokenState, VaultState } from './http/admin_state.ts'
import type { ProbeCheck } from './http/probes.ts'
import type { BuildInfo, ClientState, DatabaseSnapshot, Metrics, Snapshot } from './metrics.ts'
import type { Listener } from './net/transport.ts'
import type { Phase } from './shutdown.ts'
import type { Routes } from './tenant/route.ts'
import type { GenerationSnapshot, SourceSnapshot } from './vault/source_snapshot.ts'
import type { Vault, VaultSnapshot } from './vault/vault.ts'

export interface Observed {
  readonly build: BuildInfo
  readonly clock: Clock
  readonly routes: Routes<Served>
  readonly vault: Vault | undefined
  readonly metrics: Metrics
  readonly registry: Registry
  readonly phase: () => Phase
  readonly listeners: readonly Listener[]
}

const CLIENT_STATE_OF = {
  idle: 'idle',
  waiting: 'waiting',
  preparing: 'active',
  settling: 'active',
  active: 'active',
  ending: 'active',
  closed: 'idle',
} as const

const NO_CLIENTS: Readonly<Record<ClientState, number>> = { active: 0, waiting: 0, idle: 0, replication: 0 }

/** Undefined = for ever. */
const seconds = (ms: number): number | undefined => (Number.isFinite(ms) ? ms / 1000 : undefined)

const check = (name: string, ok: boolean, reason: string): ProbeCheck => (ok ? { name, ok } : { name, ok, reason })

const causeOf = ({ cause }: { readonly cause: string }): string => (cause === '' ? 'no login with a credential has succeeded yet' : cause)

const isCurrent = ({ state }: GenerationSnapshot): boolean => state === 'current' || state === 'overdue'

export class State {
  readonly #observed: Observed
  readonly #beganMs: number
  /** Databases whose credential has been proven at least once. */
  readonly #proven = new Set<string>()
  #started = false

  constructor(observed: Observed) {
    this.#observed = observed
    this.#beganMs = observed.clock.monotonicMs()
  }

  /** True once: when every exact database has been proven. */
  noteStarted(): boolean {
    if (this.#started || this.startup().some(({ ok }) => !ok)) return false
    this.#started = true
    return true
  }

  /** Listeners open, and every exact database has had a proven credential. */
  startup(): ProbeCheck[] {
    const { routes, listeners } = this.#observed
    const checks: ProbeCheck[] = [check('listeners', listeners.length > 0 || this.#started, 'they are not open yet')]
    for (const { database, pool } of routes.all()) {
      if (pool.ready) this.#proven.add(database)
      checks.push(check(`database ${database}`, this.#proven.has(database), causeOf(pool)))
    }
    return checks
  }

  /** Not on its way out, and at least one database can be served. */
  ready(): ProbeCheck[] {
    const { routes, phase } = this.#observed
    const served = routes.all()
    const causes = served.filter(({ pool }) => !pool.servable).map(({ database, pool }) => `${database}: ${causeOf(pool)}`)
    return [check('serving', phase() === 'serving', 'shutting down'), check('databases', causes.length < served.length, causes.join('; '))]
  }

  snapshot(): Snapshot {
    const { routes, vault } = this.#observed
    const databases = this.#databases()
    const state = vault?.state()
    const token = state?.token.present ? { remainingSeconds: seconds(state.token.remainingMs) } : undefined
    const fixed = routes.all().filter(({ settings }) => settings.vault_path === undefined)
    const sources = [...(state?.sources ?? []).map((source) => this.#source(source)), ...fixed.map((served) => this.#fixedSource(served))]
    return { databases, sources, token }
  }

  admin(): AdminState {
    const { build, clock, vault, metrics, phase } = this.#observed
    const counters = new Map(metrics.databases().map((database) => [database.name, database]))
    const databases: DatabaseState[] = this.#databases().map((database) => {
      const counted = counters.get(database.name)
      return {
        ...database,
        queries: counted?.queries ?? 0,
        transactions: counted?.transactions ?? 0,
        bytesIn: counted?.bytesFromClient ?? 0,
        bytesOut: counted?.bytesToClient ?? 0,
      }
    })
    const state = vault?.state()
    return {
      version: build.version,
      uptimeSeconds: Math.round((clock.monotonicMs() - this.#beganMs) / 1000),
      state: phase() === 'serving' ? (this.#started ? 'serving' : 'starting') : 'draining',
      databases,
      sources: (state?.sources ?? []).map((source) => this.#sourceState(source)),
      startup: this.startup(),
      ready: this.ready(),
      ...(state === undefined ? {} : { vault: vaultState(state) }),
      ...(state?.token.present ? { token: tokenState(state) } : {}),
    }
  }

  #databases(): DatabaseSnapshot[] {
    const { routes, registry } = this.#observed
    const counts = new Map<string, Record<ClientState, number>>()
    for (const { database } of routes.all()) counts.set(database, { ...NO_CLIENTS })
    for (const session of registry.sessions()) {
      const count = counts.get(session.parts.database)
      if (count !== undefined) count[CLIENT_STATE_OF[session.state]]++
    }
    for (const { state, parts } of registry.replications()) {
      const count = counts.get(parts.database)
      if (count !== undefined) count[state === 'waiting' ? 'waiting' : 'replication']++
    }
    return routes.all().map((served) => databaseSnapshot(served, counts.get(served.database) ?? NO_CLIENTS))
  }

  #linksDraining(source: string): number {
    const pools = this.#observed.routes.all().filter((served) => served.source.name === source)
    return pools.reduce((sum, { pool }) => sum + pool.draining, 0)
  }

  #source(source: SourceSnapshot) {
    const newest = source.generations.findLast(isCurrent) ?? source.generations.at(-1)
    return {
      name: source.name,
      generation: newest?.generation ?? 0,
      remainingSeconds: newest === undefined ? undefined : seconds(newest.remainingMs),
      linksDraining: this.#linksDraining(source.name),
      ...(newest === undefined ? {} : { user: newest.user }),
      ...(source.trouble === undefined ? {} : { trouble: errorText(source.trouble.code, source.trouble.detail) }),
    }
  }

  #fixedSource({ source, settings, pool }: Served) {
    return {
      name: source.name,
      generation: pool.currentGeneration,
      remainingSeconds: undefined,
      linksDraining: pool.draining,
      ...(settings.user === undefined ? {} : { user: settings.user }),
    }
  }

  #sourceState(source: SourceSnapshot): SourceState {
    const generations = source.generations.map(({ generation, state, user, leaseId, remainingMs }) => {
      const remaining = seconds(remainingMs)
      return { generation, state, user, leaseId, ...(remaining === undefined ? {} : { remainingSeconds: remaining }) }
    })
    return { ...this.#source(source), vaultPath: source.vaultPath, generations }
  }
}

function vaultState({ address, available, trouble }: VaultSnapshot): VaultState {
  return { address, available, ...(trouble === undefined ? {} : { trouble: errorText(trouble.code, trouble.detail) }) }
}

function tokenState({ token }: VaultSnapshot): TokenState {
  const remaining = seconds(token.remainingMs)
  return { kind: token.kind, method: token.method, ...(remaining === undefined ? {} : { remainingSeconds: remaining }) }
}
