// The loads of the benchmark: pgbench, COPY through psql, idle clients; each measured once is a sample.
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { RawClient } from '../../test/kit/raw-client.ts'
import { query } from '../../test/kit/raw-messages.ts'
import type { CopyCase, PgbenchCase } from './bench_cases.ts'
import { DATABASE, type Memory, type Pooler } from './bench_proxy.ts'
import { COPY_MEGABYTES, type World } from './bench_world.ts'
import { mustRun } from './run.ts'

/** What comes after a load, such as closing its connections, still belongs to it. */
const AFTERMATH_MS = 300
const LOGINS_AT_ONCE = 50

export interface Sample {
  /** Transactions, or MB of COPY. */
  units: number
  /** Units per second. */
  rate: number
  /** Seconds of the proxy's own processor time; 0 without a proxy. */
  cpuSeconds: number
  /** What the proxy had in memory afterwards; nothing without a proxy. */
  memory: Memory
}

/** Through a proxy, or straight to PostgreSQL. */
export type Way = Pooler | 'direct'

interface Address {
  args: string[]
  env: Record<string, string>
}

function address(world: World, way: Way, tls = false): Address {
  const { host, port, user, password, caFile } = world.upstream
  const env: Record<string, string> = { PGPASSWORD: password, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' }
  if (tls && way === 'direct') Object.assign(env, { PGSSLMODE: 'verify-full', PGSSLROOTCERT: caFile })
  return { args: ['-h', host, '-p', String(way === 'direct' ? port : way.port), '-U', user], env }
}

async function measured(way: Way, load: () => Promise<Pick<Sample, 'units' | 'rate'>>): Promise<Sample> {
  if (way === 'direct') return { ...(await load()), cpuSeconds: 0, memory: { resident: 0, own: 0 } }
  const before = way.cpuSeconds()
  const result = await load()
  await pause(AFTERMATH_MS)
  return { ...result, cpuSeconds: way.cpuSeconds() - before, memory: way.memory() }
}

function numberIn(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1]
  if (found === undefined) throw new Error(`pgbench printed no ${pattern.source}\n${output}`)
  return Number(found)
}

/** One run of `pgbench -S` for so many seconds. A failed transaction or connection is an error. */
export function runPgbench(world: World, way: Way, load: PgbenchCase, seconds: number): Promise<Sample> {
  const { args, env } = address(world, way, load.tls)
  const threads = Math.min(load.clients, 2)
  const command = [world.programs.pgbench, ...args, '-n', '-S', '-M', load.protocol, '-c', String(load.clients), '-j', String(threads)]
  if (load.reconnect) command.push('-C')
  return measured(way, async () => {
    const output = await mustRun([...command, '-T', String(seconds), DATABASE], { env, timeoutMs: (seconds + 60) * 1000 })
    if (/aborted/.test(output) || numberIn(output, /failed transactions: (\d+)/) > 0) throw new Error(output)
    return { units: numberIn(output, /actually processed: (\d+)/), rate: numberIn(output, /^tps = ([\d.]+)/m) }
  })
}

/** COPY of the whole table out, or of its text in (the server parses the rows and drops them), again and again for so many seconds. */
export function runCopy(world: World, way: Way, load: CopyCase, seconds: number): Promise<Sample> {
  const { args, env } = address(world, way)
  const command = [world.programs.psql, ...args, '-X', '-q', '-v', 'ON_ERROR_STOP=1']
  if (load.direction === 'out') command.push('-o', '/dev/null', '-c', 'COPY bench_copy TO STDOUT')
  else command.push('-c', `\\copy bench_copy FROM '${world.copyFile}' WHERE false`)
  return measured(way, async () => {
    const started = performance.now()
    let units = 0
    let elapsed = 0
    while (elapsed < seconds * 1000) {
      await mustRun([...command, DATABASE], { env, timeoutMs: 300_000 })
      units += COPY_MEGABYTES
      elapsed = performance.now() - started
    }
    return { units, rate: (units * 1000) / elapsed }
  })
}

/** So many clients that each ran one query and then stay idle. The sample's `memory` is while they are connected. */
export async function runIdle(proxy: Pooler, count: number): Promise<Sample> {
  const clients: RawClient[] = []
  const before = proxy.cpuSeconds()
  const started = performance.now()
  const login = async () => {
    const client = new RawClient(connect(proxy.port, '127.0.0.1'))
    clients.push(client)
    await client.login({ user: DATABASE, database: DATABASE })
    await client.ask(query('select 1'))
  }
  try {
    while (clients.length < count) await Promise.all(Array.from({ length: Math.min(LOGINS_AT_ONCE, count - clients.length) }, login))
    const seconds = (performance.now() - started) / 1000
    await pause(AFTERMATH_MS * 10)
    return { units: count, rate: count / seconds, cpuSeconds: proxy.cpuSeconds() - before, memory: proxy.memory() }
  } finally {
    for (const client of clients) client.terminate()
  }
}
