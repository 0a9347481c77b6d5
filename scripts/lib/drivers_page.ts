// Writes docs/drivers.md from a run of the driver matrix.
import type { DriverMode, DriverRun } from '../../test/kit/drivers.ts'

/** One driver on one version of PostgreSQL in one mode. */
export interface MatrixCell {
  driver: string
  mode: DriverMode
  run: DriverRun
}

/** What a user of the driver has to know, as it was seen. */
const TO_SET: Record<string, string> = {
  'psycopg 3': 'nothing; `prepare=True` and pipelines work as they are.',
  asyncpg:
    'nothing; its statement cache stays on. `Connection.prepare` ends with Flush, not Sync: in transaction mode the connection keeps its link from there to the first use of the statement.',
  pgx: 'nothing; all five `QueryExecMode`s work.',
  pgJDBC: 'nothing; `prepareThreshold` and all four `preferQueryMode`s work.',
  'tokio-postgres': 'nothing.',
  pg: 'nothing; named queries work.',
  postgres: 'nothing; `prepare: false` is not needed.',
  psql: 'nothing; SQL `PREPARE` belongs to a session and was run in session mode only.',
  pgbench:
    '`-j` as many as `-c` with `-M prepared` and scripts with transactions in transaction mode, when the pool is smaller than `-c`: a thread of pgbench that waits for a prepared statement serves none of its other clients, so their transactions keep the links it waits for.',
}

const INTRODUCTION = `# Drivers

What was seen when \`scripts/accept B1\` ran the programs of test/drivers through pglease; the run writes this page.
Every program runs the same cases as far as its driver has them: parameters, named statements, transactions, errors in
transactions and after, COPY in and out, cancel of a running query, a result of 10 MB, LISTEN and NOTIFY; in session mode also SET
and temporary tables. A number is the count of cases that succeeded.
`

function cell({ run }: MatrixCell): string {
  const failed = run.cases.filter(({ ok }) => !ok).map(({ name }) => name)
  return failed.length === 0 ? `all ${run.cases.length}` : `**${failed.length} of ${run.cases.length} failed**: ${failed.join(', ')}`
}

export function driversPage(cells: readonly MatrixCell[]): string {
  const rows = cells.map((one) => `| ${one.driver} | ${one.run.version} | ${one.run.server} | ${one.mode} | ${cell(one)} |`)
  const names = [...new Set(cells.map(({ driver }) => driver))]
  const failing = (name: string) => cells.some(({ driver, run }) => driver === name && run.cases.some(({ ok }) => !ok))
  const hints = names.map((name) => `- ${name}: ${failing(name) ? 'not all cases succeed, see the table.' : TO_SET[name]}`)
  const table = ['| driver | version | PostgreSQL | pool mode | cases |', '|---|---|---|---|---|', ...rows.sort()]
  return `${INTRODUCTION}\n${table.join('\n')}\n\n## What to set\n\nOn the driver's side:\n\n${hints.join('\n')}\n`
}
