// pgbench as a load: its own count of transactions and failures, and its worst transaction.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mustRun, run } from '../../scripts/lib/run.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { LoadResult } from './load.ts'

export interface PgbenchOptions {
  program: string
  host: string
  port: number
  user: string
  password: string
  database: string
  seconds: number
  seed: number
  clients?: number
  protocol?: 'simple' | 'extended' | 'prepared'
}

const PATIENCE_MS = 60_000

function environment(password: string): Record<string, string> {
  return { PGPASSWORD: password, PGSSLMODE: 'disable', PGGSSENCMODE: 'disable' }
}

/** Makes pgbench's tables as the superuser and lets the group role read them. */
export async function preparePgbench(program: string, postgres: PostgresServer, database: string): Promise<void> {
  const { host, port, superuser, password } = postgres
  const address = ['-h', host, '-p', String(port), '-U', superuser]
  await mustRun([program, ...address, '-i', '-q', '-s', '1', database], { env: environment(password) })
  await postgres.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO app', database)
}

interface Interval {
  /** Seconds since the run began. */
  second: number
  maxMs: number
}

/** The seconds of `--log --aggregate-interval=1`: start, transactions, sum, sum of squares, least and most microseconds. */
function intervals(folder: string): Interval[] {
  const lines = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
  const rows = lines.filter((line) => line !== '').map((line) => line.split(' ').map(Number))
  const first = Math.min(...rows.map(([start = 0]) => start))
  return rows.map(([start = 0, , , , , most = 0]) => ({ second: start - first, maxMs: most / 1000 }))
}

/** Runs `pgbench -S` at full speed to its end. A client that it gives up is a lost connection. */
export async function runPgbench(options: PgbenchOptions): Promise<LoadResult> {
  const { program, host, port, user, password, database, seconds, seed, clients = 16, protocol = 'simple' } = options
  const folder = mkdtempSync(join(tmpdir(), 'pgbench-'))
  const load = ['-n', '-S', '-M', protocol, '-c', String(clients), '-j', '2', '-T', String(seconds), '--random-seed', String(seed)]
  const log = ['--log', '--aggregate-interval=1', '--log-prefix', join(folder, 'log')]
  try {
    const command = [program, '-h', host, '-p', String(port), '-U', user, ...load, ...log, database]
    const limits = { env: environment(password), output: 'collect', timeoutMs: seconds * 1000 + PATIENCE_MS } as const
    const { code, output } = await run(command, limits)
    const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? 0)
    const queries = number(/actually processed: (\d+)/)
    const lost = output.split('\n').filter((line) => /aborted|fatal|error:/i.test(line))
    const failed = number(/failed transactions: (\d+)/) + lost.length + (code !== 0 && lost.length === 0 ? 1 : 0)
    const failures = failed === 0 ? [] : lost.length > 0 ? lost.slice(0, 20) : output.trim().split('\n').slice(-20)
    const worst = intervals(folder).reduce((most, one) => (one.maxMs > most.maxMs ? one : most), { second: 0, maxMs: 0 })
    const reconnects = lost.filter((line) => line.includes('aborted')).length
    return { queries, failed, failures, reconnects, worstMs: worst.maxMs, worstAtSeconds: worst.second, roles: [] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
