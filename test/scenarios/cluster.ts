// A primary and its streaming standby, with a database, a table and a role, and how a pglease before them is told of both.
import type { OwnPostgres } from '../kit/postgres.ts'
import type { Scenario } from '../kit/scenario.ts'
import { caughtUp, startPrimary, startStandby } from '../kit/standby.ts'
import { DATABASE } from './fault_world.ts'

export interface Cluster {
  primary: OwnPostgres
  standby: OwnPostgres
}

export const USER = 'writer'
const PASSWORD = 'pw-of-writer'

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

/** The settings of a database that both servers have. */
export function clusterFacts({ primary, standby }: Cluster): Record<string, unknown> {
  return {
    host: `${primary.host},${standby.host}`,
    port: `${primary.port},${standby.port}`,
    dbname: DATABASE,
    user: USER,
    password: PASSWORD,
    server_tls_sslmode: 'disable',
  }
}
