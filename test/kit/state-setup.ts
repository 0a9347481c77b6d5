// The state that probes, gauges and the status page read, over pools and sessions without sockets and a Vault in numbers.
import type { Served } from '../../src/app_databases.ts'
import { State } from '../../src/app_state.ts'
import { Admission } from '../../src/client/admission.ts'
import { Registry } from '../../src/client/registry.ts'
import { FixedSource } from '../../src/credential.ts'
import { Metrics } from '../../src/metrics.ts'
import type { Listener } from '../../src/net/transport.ts'
import { Secret } from '../../src/secret.ts'
import type { DatabaseSettings } from '../../src/settings/settings.ts'
import type { Phase } from '../../src/shutdown.ts'
import { Routes } from '../../src/tenant/route.ts'
import type { Vault, VaultSnapshot } from '../../src/vault/vault.ts'
import { FakeClock } from './fake-clock.ts'
import { quietMeter, SessionWorld } from './session-world.ts'

const BUILD = { version: '1.2.3', commit: 'abc', runtime: 'test 1' }
const ADDRESS = { kind: 'tcp', host: '127.0.0.1', port: 6432 } as const

export type Source = VaultSnapshot['sources'][number]

export const vaultSource = (changes: Partial<Source> = {}): Source => ({
  name: 'leased',
  vaultPath: 'database/creds/leased',
  trouble: undefined,
  reading: false,
  generations: [
    { generation: 1, state: 'draining', user: 'v-one', leaseId: 'database/creds/leased/one', remainingMs: 30_000 },
    { generation: 2, state: 'current', user: 'v-two', leaseId: 'database/creds/leased/two', remainingMs: 600_000 },
    { generation: 3, state: 'offered', user: 'v-three', leaseId: 'database/creds/leased/three', remainingMs: 900_000 },
  ],
  ...changes,
})

export const vaultSnapshot = (changes: Partial<VaultSnapshot> = {}): VaultSnapshot => ({
  address: 'https://vault.example:8200',
  available: true,
  trouble: undefined,
  token: { kind: 'own', method: 'approle', present: true, remainingMs: 1_800_000 },
  sources: [vaultSource()],
  ...changes,
})

/** State over databases `leased` (Vault) and `fixed` (a configured password), neither with a credential yet. */
export class StateSetup {
  readonly clock = new FakeClock()
  readonly leased = new SessionWorld({ pool_size: 2 })
  readonly fixed = new SessionWorld()
  readonly metrics = new Metrics(BUILD)
  readonly registry = new Registry()
  readonly listeners: Listener[] = []
  readonly routes = new Routes<Served>()
  vault = vaultSnapshot()
  phase: Phase = 'serving'
  readonly state: State

  constructor({ withVault = true } = {}) {
    this.#add('leased', this.leased, { vault_path: 'database/creds/leased', pool_size: 2 })
    this.#add('fixed', this.fixed, { user: 'report', pool_size: 1 })
    const { clock, routes, metrics, registry, listeners } = this
    const vault = withVault ? ({ state: () => this.vault } as Vault) : undefined
    this.state = new State({ build: BUILD, clock, routes, vault, metrics, registry, phase: () => this.phase, listeners })
  }

  #add(database: string, { pool, replications }: SessionWorld, settings: Partial<DatabaseSettings>): void {
    // of a source only its name is asked here; the pools have theirs
    const source = new FixedSource(database, '', new Secret(''))
    this.routes.add(database, {
      database,
      settings: settings as DatabaseSettings,
      pool,
      replications,
      source,
      meter: quietMeter,
      admission: new Admission([]),
    })
  }

  open(): void {
    this.listeners.push({ address: ADDRESS, close() {} })
  }

  async prove(...worlds: SessionWorld[]): Promise<void> {
    for (const world of worlds) {
      world.source.offer(1)
      await world.settle()
    }
  }

  /** A client of `world` that is registered as one of `database`. */
  client(world: SessionWorld, database: string) {
    const client = world.client()
    Object.assign(client.session.parts, { database })
    this.registry.add(client.session, this.registry.newKey(false))
    return client
  }
}
