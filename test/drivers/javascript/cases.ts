// Runs the cases of a driver one by one and prints `ok NAME` or `FAIL NAME why` for each.

export const LARGE = 'SELECT n, repeat(chr(97 + n % 26), 10000) AS b FROM generate_series(1, 1000) AS n'
export const LARGE_BYTES = 10_000_000
const SLEEPING = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep') AS v"
const CASE_MS = 30_000

type Cases = Record<string, () => Promise<void>>

/** Where the PG* variables lead. */
export const connection = {
  host: process.env.PGHOST ?? '127.0.0.1',
  port: Number(process.env.PGPORT),
  database: process.env.PGDATABASE ?? '',
  user: process.env.PGUSER ?? '',
  password: process.env.PGPASSWORD ?? '',
}

/** Fails unless both have the same JSON. */
export function check(seen: unknown, wanted: unknown): void {
  const [left, right] = [JSON.stringify(seen), JSON.stringify(wanted)]
  if (left !== right) throw new Error(`${left}, not ${right}`)
}

/** Fails unless `attempt` fails with this SQLSTATE. */
export async function fails(attempt: Promise<unknown>, wanted: string): Promise<void> {
  const error = await attempt.then(
    () => new Error('no error'),
    (reason: unknown) => reason as Error & { code?: string },
  )
  if (!('code' in error) || error.code !== wanted) throw new Error(`${error}, not ${wanted}`)
}

/** Resolves once a query in this database sleeps: before that there is none to cancel. `ask` gives a query's one value. */
export async function untilSleeping(ask: (text: string) => Promise<unknown>): Promise<void> {
  let sleeping: unknown = false
  while (!sleeping) sleeping = await ask(SLEEPING)
}

function inTime(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('no answer in time')), CASE_MS)
    work.then(resolve, reject).finally(() => clearTimeout(late))
  })
}

/** Prints the versions, runs the cases, and ends the program with 1 when one fails. */
export async function runCases(driver: string, server: string, cases: Cases, sessionCases: Cases): Promise<never> {
  console.log(`version ${driver} server ${server}`)
  let code = 0
  for (const [name, run] of Object.entries(process.argv[2] === 'session' ? { ...cases, ...sessionCases } : cases)) {
    try {
      await inTime(run())
      console.log(`ok ${name}`)
    } catch (error) {
      code = 1
      console.log(`FAIL ${name} ${String(error).replaceAll(/\s+/g, ' ')}`)
    }
  }
  process.exit(code)
}
