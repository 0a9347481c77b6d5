// pgbench with named prepared statements while credentials are replaced: no transaction fails, and it costs what unnamed statements cost.
import { readFileSync } from 'node:fs'
import { type AcceptContext, atLeast, atMost, exactly, type Figure, told } from '../../scripts/lib/accept_line.ts'
import type { LoadResult } from './load.ts'
import { preparePgbench, runPgbench } from './load_pgbench.ts'
import { DATABASE, loadFigures, sampleRoles, startWorld } from './rotation.ts'

/** Of the kernel's accounting (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100

interface PreparedOptions {
  /** Of each of the two loads. */
  seconds: number
  /** A credential is replaced after two thirds of it. */
  leaseSeconds: number
  pgbench: string
}

interface PreparedLoad extends LoadResult {
  /** Processor time of pglease per transaction. */
  microseconds: number
}

interface PreparedResult {
  prepared: PreparedLoad
  extended: PreparedLoad
  rotations: number
}

/** Processor time of a process so far. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Both loads one after the other through the same pglease. */
export async function runPrepared(context: AcceptContext, options: PreparedOptions): Promise<PreparedResult> {
  const { seconds, leaseSeconds, pgbench } = options
  const world = await startWorld(context, { defaultTtl: leaseSeconds, maxTtl: leaseSeconds })
  await preparePgbench(pgbench, context.postgres, world.dbname)
  const address = { host: '127.0.0.1', port: world.pglease.port, user: 'anyone', database: DATABASE, password: 'any' }
  const sampler = sampleRoles(world.mount)
  const load = async (protocol: 'prepared' | 'extended'): Promise<PreparedLoad> => {
    const before = processorSeconds(world.pglease.pid)
    const result = await runPgbench({ ...address, program: pgbench, seconds, seed: context.seed, protocol })
    const spent = processorSeconds(world.pglease.pid) - before
    return { ...result, microseconds: (spent / Math.max(1, result.queries)) * 1e6 }
  }
  const prepared = await load('prepared')
  const extended = await load('extended')
  const { seen } = await sampler.stop()
  return { prepared, extended, rotations: seen.length - 1 }
}

export function preparedFigures({ prepared, extended, rotations }: PreparedResult, leastRotations: number, mostRatio?: number): Figure[] {
  const ratio = prepared.microseconds / extended.microseconds
  const name = 'processor time per transaction, prepared to extended'
  return [
    ...loadFigures('pgbench -M prepared', prepared),
    exactly('pgbench -M extended: failed queries', extended.failed, 0),
    atLeast('rotations', rotations, leastRotations),
    told('pgbench -M prepared', prepared.microseconds, 'us per transaction'),
    told('pgbench -M extended', extended.microseconds, 'us per transaction'),
    mostRatio === undefined ? told(name, ratio) : atMost(name, ratio, mostRatio),
  ]
}
