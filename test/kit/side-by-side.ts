// The same conversation through pglease and directly: what two clients get over shared links must be what PostgreSQL gives them.
import assert from 'node:assert/strict'
import type { Pglease } from './pglease.ts'
import { type PostgresServer, sharedPostgres } from './postgres.ts'
import { type RawClient, rawLogin } from './raw-client.ts'
import { bind, execute, parse, sync } from './raw-messages.ts'
import type { Scenario } from './scenario.ts'

export const USER = 'side_by_side'
const PASSWORD = 'of-no-use-elsewhere'

interface World {
  readonly postgres: PostgresServer
  readonly pglease: Pglease
  readonly database: string
  /** A client through pglease. */
  pooled(): Promise<RawClient>
  /** The same, without pglease. */
  direct(): Promise<RawClient>
}

export async function world(run: Scenario, poolSize = 1, config: Record<string, unknown> = {}): Promise<World> {
  const postgres = await sharedPostgres()
  await postgres.sql(`DO $$ BEGIN CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
  const database = await postgres.createDatabase()
  run.defer(() => postgres.dropDatabase(database))
  await postgres.sql(
    `GRANT CREATE ON SCHEMA public TO ${USER}; SET ROLE ${USER};
     CREATE TABLE t (a int primary key, b text); CREATE VIEW v AS SELECT * FROM t;
     CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)`,
    database,
  )
  const { host, port } = postgres
  const settings = { host, port, dbname: database, user: USER, password: PASSWORD, pool_size: poolSize }
  const pglease = await run.pglease({ config: { ...config, databases: { app: settings } } })
  const kept = async (opening: Promise<RawClient>) => {
    const client = await opening
    run.defer(() => client.socket.destroy())
    return client
  }
  return {
    postgres,
    pglease,
    database,
    pooled: () => kept(rawLogin({ port: pglease.port }, { user: USER, database: 'app' })),
    direct: () => kept(rawLogin({ host, port }, { user: USER, database, password: PASSWORD })),
  }
}

export type Step = (client: RawClient) => Promise<string[]>

/** Sends in one write; the trace up to as many ReadyForQuery as the messages have Syncs, Queries and function calls. */
export const ask =
  (...messages: Buffer[]): Step =>
  (client) =>
    replies(client, messages, messages.filter((one) => 'SQF'.includes(String.fromCharCode(one[0] ?? 0))).length)

export async function replies(client: RawClient, messages: readonly Buffer[], ready: number): Promise<string[]> {
  client.send(...messages)
  const lines: string[] = []
  for (let count = 0; count < ready; count++) lines.push(...(await client.ready()))
  return lines
}

/** The server tells a duplicate by the name that pglease gave it. */
const nameless = (trace: readonly string[]): string[] => trace.map((line) => line.replace(/"\w+" already exists/, '~ already exists'))

/** Plays the steps, each by client number 0 or 1, over pglease and directly, and compares what each got. */
export async function same(
  run: Scenario,
  steps: readonly (readonly [0 | 1, Step])[],
  poolSize = 1,
  config: Record<string, unknown> = {},
): Promise<string[][]> {
  const it = await world(run, poolSize, config)
  const play = async (clients: readonly RawClient[]) => {
    const traces: string[][] = []
    for (const [index, step] of steps) traces.push(await step(clients[index] as RawClient))
    return traces
  }
  const wanted = await play([await it.direct(), await it.direct()])
  await it.postgres.sql('TRUNCATE t, late', it.database)
  const got = await play([await it.pooled(), await it.pooled()])
  for (const [index, trace] of wanted.entries()) assert.deepEqual(nameless(got[index] ?? []), nameless(trace), `step ${index + 1}`)
  return got
}

export const one = (text: string) => ask(parse('', text), bind('', ''), execute(), sync())
export const again = ask(bind('', ''), execute(), sync())
