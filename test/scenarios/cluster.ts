// A primary and its streaming standby, with a database, a table and a role, and how a pglease before them is told of both.
import type { OwnPostgres } from '../kit/postgres.ts'
import type { Scenario } from '../kit/scenario.ts'
import { caughtUp, startPrimary, startStandby } from '../kit/standby.ts'
import type { VaultServer } from '../kit/vault.ts'
import { appRole, appRoleSettings, databasePolicy, mountDatabase, writePolicy } from '../kit/vault-database.ts'
import { DATABASE } from './fault_world.ts'

export interface Cluster {
  primary: OwnPostgres
  standby: OwnPostgres
}

export const USER = 'writer'
const PASSWORD = 'pw-of-writer'
/** Replaced at half of its life: what is left is longer than the time without a primary, in which Vault can make no role. */
const LEASE_S = 24

/** The table `item (id, value)` has 100 rows. */
export async function startCluster(s: Scenario): Promise<Cluster> {
  const primary = await startPrimary(s)
  await primary.createDatabase(DATABASE)
  await primary.createUser(USER, PASSWORD)
  const table = 'CREATE TABLE item (id int PRIMARY KEY, value int NOT NULL); INSERT INTO item SELECT id, 0 FROM generate_series(1, 100) id'
  await primary.sql(`${table}; ALTER TABLE item OWNER TO app`, DATABASE)
  const standby = await startStandby(s, primary)
  await caughtUp(primary, standby)
  return { primary, standby }
}

/** The settings of a database that both servers have. `credential`: the role of the cluster unless given. */
export function clusterFacts(
  { primary, standby }: Cluster,
  credential: { vault_path: string } | { user: string; password: string } = { user: USER, password: PASSWORD },
): Record<string, unknown> {
  return {
    host: `${primary.host},${standby.host}`,
    port: `${primary.port},${standby.port}`,
    dbname: DATABASE,
    server_tls_sslmode: 'disable',
    ...credential,
  }
}

/** Settings of a pglease that leases its credentials from `vault`, which finds the primary of the two by itself. */
export async function leasedFrom(s: Scenario, vault: VaultServer, { primary, standby }: Cluster) {
  const hosts = `${primary.host}:${primary.port},${standby.host}:${standby.port}`
  const mount = await mountDatabase(vault, primary, { defaultTtl: LEASE_S, maxTtl: LEASE_S, hosts })
  s.defer(() => mount.dispose())
  const login = await appRole(vault, { policy: await writePolicy(vault, databasePolicy(mount)), tokenPeriod: 3600 })
  return { settings: { ...appRoleSettings(vault, login), rotate_before: LEASE_S - 1 }, vault_path: mount.path }
}
