// postgres (npm): the cases of the driver matrix. Usage: postgres_cases.ts transaction|session; the connection is in PG* variables.
import { createRequire } from 'node:module'
import postgres from 'postgres'
import { check, connection, fails, LARGE, LARGE_BYTES, runCases, untilSleeping } from './cases.ts'

const TABLE = 'rows_postgres'
const driver = createRequire(import.meta.url)('postgres/package.json') as { version: string }
const connect = (max: number) => postgres({ ...connection, max, connect_timeout: 10, onnotice: () => undefined })

const sql = connect(1)
await sql.unsafe(`DROP TABLE IF EXISTS ${TABLE}; CREATE TABLE ${TABLE} (a int PRIMARY KEY, b text)`)

const cases = {
  async parameters() {
    check((await sql`SELECT ${'ü €'}::text AS v, ${[1, 2]}::int[] AS w`)[0], { v: 'ü €', w: [1, 2] })
  },
  /** Every statement is named, unless `prepare` is false. */
  async prepared() {
    const several = connect(4)
    const echoes = await Promise.all(Array.from({ length: 200 }, (_, index) => several`SELECT ${index}::int + 1 AS echo`))
    check(
      echoes.map(([row]) => row?.echo),
      Array.from({ length: 200 }, (_, index) => index + 1),
    )
    await several.end({ timeout: 1 })
  },
  async transaction() {
    await sql.begin(async (outer) => {
      await outer`INSERT INTO ${outer(TABLE)} VALUES (1, ${'one'})`
      await outer.savepoint((inner) => inner`SELECT 1/0`).catch(() => undefined)
    })
    check((await sql`SELECT array_agg(a) AS v FROM ${sql(TABLE)}`)[0]?.v, [1])
  },
  async error_in_transaction() {
    await fails(
      sql.begin((begun) => begun`SELECT 1/${0}::int`),
      '22012',
    )
    check((await sql`SELECT 1 AS v`)[0]?.v, 1)
  },
  async error_after() {
    await fails(sql`SELECT * FROM no_such_table`, '42P01')
    await fails(sql`INSERT INTO ${sql(TABLE)} VALUES (1, ${'again'})`, '23505')
    check((await sql`SELECT ${7}::int AS v`)[0]?.v, 7)
  },
  async cursor() {
    const seen: number[] = []
    await sql`SELECT generate_series(1, 25)`.cursor(10, (rows) => void seen.push(rows.length))
    check(seen, [10, 10, 5])
  },
  async copy_in() {
    const writable = await sql`COPY ${sql(TABLE)} FROM STDIN`.writable()
    await new Promise<void>((resolve, reject) => {
      writable.on('error', reject).on('finish', () => resolve())
      for (let number = 1000; number < 6000; number++) writable.write(`${number}\t${'x'.repeat(100)}\n`)
      writable.end()
    })
    check((await sql`SELECT count(*)::int AS v FROM ${sql(TABLE)} WHERE a >= 1000`)[0]?.v, 5000)
  },
  async copy_out() {
    // a connection of its own: on a direct connection too, later queries got no answer after a COPY was read like this
    const own = connect(1)
    let lines = 0
    for await (const chunk of await own`COPY (SELECT * FROM ${own(TABLE)} WHERE a >= 1000) TO STDOUT`.readable())
      lines += String(chunk).split('\n').length - 1
    check(lines, 5000)
    void own.end({ timeout: 0 })
  },
  async cancel() {
    const own = connect(1)
    await own`SELECT 1`
    const asked = own`SELECT pg_sleep(20)`
    const running = fails(asked.execute(), '57014')
    await untilSleeping(async (text) => (await sql.unsafe(text))[0]?.v)
    asked.cancel()
    await running
    check((await own`SELECT 1 AS v`)[0]?.v, 1)
    await own.end({ timeout: 1 })
  },
  async large_result() {
    const rows = await sql.unsafe<{ b: string }[]>(LARGE)
    check(
      rows.reduce((sum, { b }) => sum + b.length, 0),
      LARGE_BYTES,
    )
  },
  async notify() {
    await sql.notify('driver_matrix', 'nobody listens')
  },
  async listen() {
    const heard = Promise.withResolvers<string>()
    await sql.listen('driver_matrix', heard.resolve)
    await sql.notify('driver_matrix', 'hello')
    check(await heard.promise, 'hello')
  },
}

const sessionCases = {
  async set_parameter() {
    await sql`SET work_mem = '7MB'`
    for (let round = 0; round < 5; round++) check((await sql`SHOW work_mem`)[0]?.work_mem, '7MB')
    await sql`RESET work_mem`
  },
  async temp_table() {
    await sql`CREATE TEMP TABLE kept (a int)`
    await sql`INSERT INTO kept VALUES (1)`
    check((await sql`SELECT count(*)::int AS v FROM kept`)[0]?.v, 1)
  },
}

await runCases(driver.version, String((await sql`SHOW server_version`)[0]?.server_version), cases, sessionCases)
