// Queries at full speed while credentials of a short life are replaced again and again: none may fail, and roles don't pile up.
import { setTimeout as pause } from 'node:timers/promises'
import { type AcceptContext, atLeast, atMost, exactly, type Figure, told } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import { appRole, appRoleSettings, type DatabaseMount, databasePolicy, mountDatabase } from '../kit/vault-database.ts'
import type { LoadResult } from './load.ts'
import { startDrivers } from './load_drivers.ts'
import { preparePgbench, runPgbench } from './load_pgbench.ts'
import { startPipeline } from './load_pipeline.ts'
import { type Stall, watchStalls } from './stalls.ts'

export const DATABASE = 'app'
const USER = 'anyone'
const SAMPLE_MS = 1000
const AFTER_THE_END_MS = 10_000
/** A lease that does not end while a run without rotation lasts. */
const LONG_SECONDS = 24 * 3600

export interface World {
  mount: DatabaseMount
  pglease: Pglease
  /** The database in PostgreSQL. */
  dbname: string
}

interface WorldOptions {
  /** Seconds. */
  defaultTtl: number
  maxTtl: number
  /** Of the AppRole's tokens, in seconds; periodic tokens, which never end, unless given. */
  tokenTtl?: number
  tokenMaxTtl?: number
  /** CREATION_STATEMENTS unless given. */
  creationStatements?: readonly string[]
  /** More settings. */
  config?: Record<string, unknown>
  /** More of the database's settings. */
  database?: Record<string, unknown>
  /** More databases, without Vault. */
  others?: (server: { host: string; port: number; dbname: string }) => Record<string, unknown>
}

type Servers = Pick<AcceptContext, 'postgres' | 'vault' | 'scenario'>

/** pglease with a database, a mount and an AppRole login of its own, ready to serve. */
export async function startWorld({ postgres, vault, scenario }: Servers, options: WorldOptions): Promise<World & { authMount: string }> {
  const dbname = await postgres.createDatabase()
  scenario.defer(() => postgres.dropDatabase(dbname))
  const { defaultTtl, maxTtl, creationStatements } = options
  const statements = creationStatements === undefined ? {} : { creationStatements }
  const mount = await mountDatabase(vault, postgres, { defaultTtl, maxTtl, database: dbname, ...statements })
  scenario.defer(() => mount.dispose())
  const { tokenTtl, tokenMaxTtl } = options
  const token = tokenMaxTtl === undefined ? { tokenPeriod: 600 } : { tokenTtl: tokenTtl ?? tokenMaxTtl, tokenMaxTtl }
  const login = await appRole(vault, { policy: databasePolicy(mount), ...token })
  const server = { host: postgres.host, port: postgres.port, dbname }
  const database = { ...server, vault_path: mount.path, ...options.database }
  const config = { ...appRoleSettings(vault, login), ...options.config, databases: { [DATABASE]: database, ...options.others?.(server) } }
  const pglease = await scenario.pglease({ config })
  await pglease.waitReady()
  return { mount, pglease, dbname, authMount: login.mount }
}

/** What PostgreSQL's catalog showed, looked at each second. */
interface RoleSamples {
  /** Most roles alive at once. */
  most: number
  /** All that were seen, in the order of first appearance. */
  seen: string[]
}

export function sampleRoles(mount: DatabaseMount): { stop(): Promise<RoleSamples> } {
  const seen = new Set<string>()
  let most = 0
  const stopping = new AbortController()
  const sampling = (async () => {
    while (!stopping.signal.aborted) {
      const roles = await mount.leasedRoles()
      for (const role of roles) seen.add(role)
      most = Math.max(most, roles.length)
      await pause(SAMPLE_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await sampling
      return { most, seen: [...seen] }
    },
  }
}

export interface RotationOptions {
  seconds: number
  defaultTtl: number
  maxTtl: number
  clients?: number
  /** Pool size; pglease's default unless given. */
  poolSize?: number
  /** In place of the clients of the driver: the pgbench to run. */
  pgbench?: string
}

export interface RotationResult {
  /** By the name of the load. */
  loads: Map<string, LoadResult>
  roles: RoleSamples
  /** Replacements of the credential, as PostgreSQL saw them. */
  rotations: number
  /** From the end of the load until one role was left. */
  oneRoleAfterMs: number
  /** Of the process that makes the load. */
  stall: Stall
}

async function runLoads(context: AcceptContext, world: World, options: RotationOptions): Promise<Map<string, LoadResult>> {
  const { seconds, pgbench: program } = options
  const address = { host: '127.0.0.1', port: world.pglease.port, user: USER, database: DATABASE }
  if (program !== undefined) {
    const result = await runPgbench({ ...address, program, password: 'any', seconds, seed: context.seed })
    return new Map([['pgbench', result]])
  }
  const connection = world.pglease.connection(DATABASE, USER)
  const drivers = await startDrivers({ connection, clients: options.clients ?? 16, seed: context.seed })
  const pipeline = await startPipeline(address)
  await pause(seconds * 1000)
  const [driven, piped] = await Promise.all([drivers.stop(), pipeline.stop()])
  return new Map([
    ['pg driver', driven],
    ['pipeline', piped],
  ])
}

/** The log but for the clients that come and go. */
function lifeOf(pglease: Pglease): string {
  const lines = pglease.log.filter(({ event }) => !event.startsWith('client_'))
  return lines.map(({ time, level, event, msg }) => `    ${time} ${level} ${event}: ${msg}`).join('\n')
}

/** One run of a load over credentials of the given life. */
export async function runRotation(context: AcceptContext, options: RotationOptions): Promise<RotationResult> {
  const { defaultTtl, maxTtl, poolSize, pgbench } = options
  const database = poolSize === undefined ? {} : { pool_size: poolSize }
  const world = await startWorld(context, { defaultTtl, maxTtl, database })
  if (pgbench !== undefined) await preparePgbench(pgbench, context.postgres, world.dbname)
  const sampler = sampleRoles(world.mount)
  const stalls = watchStalls()
  const loads = await runLoads(context, world, options)
  const stall = stalls.stop()
  const failed = [...loads.values()].some((load) => load.failed > 0)
  if (failed) context.say(`what pglease logged:\n${lifeOf(world.pglease)}`)
  const ended = performance.now()
  const oneRole = async () => ((await world.mount.leasedRoles()).length === 1 ? performance.now() - ended : undefined)
  const oneRoleAfterMs = await poll('one role is left', oneRole, AFTER_THE_END_MS).catch(() => Number.POSITIVE_INFINITY)
  const roles = await sampler.stop()
  const { code } = await world.pglease.stop()
  if (code !== 0) throw new Error(`pglease ended with ${code}\n${world.pglease.child.tail()}`)
  await poll('no leased role is left', async () => (await world.mount.leasedRoles()).length === 0 || undefined)
  return { loads, roles, rotations: roles.seen.length - 1, oneRoleAfterMs, stall }
}

/** The same load over a credential that does not end. */
export function runWithoutRotation(context: AcceptContext, options: RotationOptions): Promise<RotationResult> {
  return runRotation(context, { ...options, defaultTtl: LONG_SECONDS, maxTtl: LONG_SECONDS })
}

export function loadFigures(name: string, { queries, failed, failures, reconnects }: LoadResult): Figure[] {
  return [
    atLeast(`${name}: queries`, queries, 1),
    exactly(`${name}: failed queries`, failed, 0),
    ...(failed > 0 ? [told(`${name}: first failures`, failures.slice(0, 5).join('; '))] : []),
    exactly(`${name}: reconnects`, reconnects, 0),
  ]
}

/** How much longer the worst query took than without rotation: `limit` times at most. */
export function worstFigures(run: RotationResult, without: RotationResult, limit: number): Figure[] {
  return [...run.loads].flatMap(([name, load]) => {
    const calm = without.loads.get(name)?.worstMs ?? 0
    return [
      told(`${name}: worst query without rotation`, calm, 'ms'),
      told(`${name}: when the worst query began`, load.worstAtSeconds, 's'),
      atMost(`${name}: worst query`, load.worstMs, calm * limit, 'ms'),
    ]
  })
}

export function rotationFigures(run: RotationResult, least: number, label = ''): Figure[] {
  const prefix = label === '' ? '' : `${label}: `
  return [
    ...[...run.loads].flatMap(([name, load]) => loadFigures(name, load)),
    atLeast(`${prefix}rotations`, run.rotations, least),
    atMost(`${prefix}most leased roles at once`, run.roles.most, 3),
    told(`${prefix}longest stall of the test itself, at ${Math.round(run.stall.atSeconds)} s`, run.stall.longestMs, 'ms'),
    atMost(`${prefix}one role is left after the end within`, run.oneRoleAfterMs / 1000, AFTER_THE_END_MS / 1000, 's'),
  ]
}
