// Acceptance line B1: the matrix of drivers, PostgreSQL versions and pool modes; its table is docs/drivers.md.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DRIVERS, type DriverMode, missingFor, runDriver } from '../../test/kit/drivers.ts'
import { hasPostgres, type PostgresVersion } from '../../test/kit/postgres-binaries.ts'
import type { AcceptContext, AcceptLine, Figure } from './accept_line.ts'
import { holds } from './accept_line.ts'
import { driversPage, type MatrixCell } from './drivers_page.ts'
import { repository } from './run.ts'
import { needTool } from './tools.ts'

const VERSIONS: readonly PostgresVersion[] = ['18', '15']
const MODES: readonly DriverMode[] = ['transaction', 'session']
const PASSWORD = 'pw-of-links'
/** pgbench's 8 clients, and in session mode a link for each connection that a program opens. */
const POOL_SIZE = { transaction: 3, session: 12 } as const

/** All drivers through one pglease before `version`. */
async function runMode(context: AcceptContext, version: PostgresVersion, mode: DriverMode): Promise<MatrixCell[]> {
  const postgres = await context.scenario.postgres({ version })
  const dbname = await postgres.createDatabase()
  await postgres.createUser('links', PASSWORD)
  const { host, port } = postgres
  const app = { host, port, dbname, user: 'links', password: PASSWORD, server_tls_sslmode: 'disable', pool_mode: mode }
  const pglease = await context.scenario.pglease({
    config: { http_addr: '', admin_addr: '', databases: { app: { ...app, pool_size: POOL_SIZE[mode] } } },
  })
  const to = { host: '127.0.0.1', port: pglease.port, database: 'app', user: 'me', password: 'any' }
  const cells: MatrixCell[] = []
  for (const driver of DRIVERS) {
    const missing = missingFor(driver)
    if (missing) throw new Error(missing)
    const ran = await runDriver(driver, to, mode)
    const failed = ran.cases.filter(({ ok }) => !ok)
    context.say(`${driver.name} ${ran.version}, PostgreSQL ${ran.server}, ${mode}: ${ran.cases.length} cases, ${failed.length} failed`)
    cells.push({ driver: driver.name, mode, run: ran })
  }
  await pglease.stop('SIGTERM')
  return cells
}

function figureOf({ driver, mode, run }: MatrixCell): Figure {
  const failed = run.cases.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)
  const ok = run.code === 0 && failed.length === 0 && run.cases.length > 0
  return holds(`${driver} ${run.version}, PostgreSQL ${run.server}, ${mode} mode: all ${run.cases.length} cases`, ok, failed.join('; '))
}

async function run(context: AcceptContext): Promise<Figure[]> {
  await needTool('psql')
  await needTool('pgbench')
  const cells: MatrixCell[] = []
  for (const version of VERSIONS) {
    if (!hasPostgres(version)) throw new Error(`PostgreSQL ${version} is needed`)
    for (const mode of MODES) cells.push(...(await runMode(context, version, mode)))
  }
  writeFileSync(join(repository, 'docs/drivers.md'), driversPage(cells))
  return cells.map(figureOf)
}

export const line: AcceptLine = {
  name: 'B1',
  title:
    'Nine drivers and tools on PostgreSQL 18 and 15 in transaction and session mode: named statements, transactions, COPY, cancel, notifications, errors, large results, and session state in session mode.',
  run,
}
