// pg: the cases of the driver matrix. Usage: pg_cases.ts transaction|session; the connection is in PG* variables.
import pg from 'pg'
import driver from 'pg/package.json' with { type: 'json' }
import { check, connection, fails, LARGE, LARGE_BYTES, runCases, untilSleeping } from './cases.ts'

const TABLE = 'rows_pg'

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined) // shows in the query
  await client.connect()
  return client
}

async function one(client: pg.Client, text: string, values: unknown[] = [], name?: string): Promise<unknown> {
  const { rows } = await client.query({ text, values, rowMode: 'array', ...(name === undefined ? {} : { name }) })
  return (rows as unknown[][])[0]?.[0]
}

const client = await connect()
await client.query(`DROP TABLE IF EXISTS ${TABLE}; CREATE TABLE ${TABLE} (a int PRIMARY KEY, b text)`)

const cases = {
  async parameters() {
    check(await one(client, 'SELECT $1::text', ['ü €']), 'ü €')
    check(await one(client, 'SELECT $1::int[]', [[1, 2]]), [1, 2])
  },
  async prepared() {
    const others = await Promise.all([1, 2, 3, 4].map(connect))
    for (let number = 0; number < 20; number++)
      for (const [index, other] of others.entries()) {
        // the same name means another statement to each second client
        check(await one(other, `SELECT $1::int + ${1 + (index % 2)}`, [number], 'mine'), number + 1 + (index % 2))
      }
    await Promise.all(others.map((other) => other.end()))
  },
  async transaction() {
    await client.query('BEGIN')
    await client.query(`INSERT INTO ${TABLE} VALUES ($1, $2)`, [1, 'one'])
    await client.query('SAVEPOINT inside')
    await client.query(`INSERT INTO ${TABLE} VALUES (2, 'two')`)
    await client.query('ROLLBACK TO inside')
    await client.query('COMMIT')
    check(await one(client, `SELECT array_agg(a) FROM ${TABLE}`), [1])
  },
  async error_in_transaction() {
    await client.query('BEGIN')
    await fails(client.query({ name: 'divide', text: 'SELECT 1/$1::int', values: [0] }), '22012')
    await fails(client.query('SELECT 1'), '25P02')
    await client.query('ROLLBACK')
  },
  async error_after() {
    await fails(client.query({ name: 'none', text: 'SELECT * FROM no_such_table' }), '42P01')
    await fails(client.query(`INSERT INTO ${TABLE} VALUES ($1, 'again')`, [1]), '23505')
    check(await one(client, 'SELECT $1::int', [7]), 7)
  },
  async cancel() {
    const other = await connect()
    const running = fails(client.query('SELECT pg_sleep(20)'), '57014')
    await untilSleeping((text) => one(other, text))
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    const canceller = new pg.Client(connection) as unknown as {
      connection: {
        on(event: string, listener: () => void): void
        connect(port: number, host: string): void
        cancel(pid: number, key: number): void
      }
    }
    canceller.connection.on('connect', () => canceller.connection.cancel(processID, secretKey))
    canceller.connection.on('error', () => undefined)
    canceller.connection.connect(connection.port, connection.host)
    await running
    check(await one(client, 'SELECT 1'), 1)
    await other.end()
  },
  async large_result() {
    const { rows } = await client.query<{ b: string }>(LARGE)
    check(
      rows.reduce((sum, { b }) => sum + b.length, 0),
      LARGE_BYTES,
    )
  },
  async notify() {
    await client.query("NOTIFY driver_matrix, 'nobody listens'")
  },
  async listen() {
    const other = await connect()
    const heard = new Promise<pg.Notification>((resolve) => client.once('notification', resolve))
    await client.query('LISTEN driver_matrix')
    await other.query("SELECT pg_notify('driver_matrix', 'hello')")
    const { channel, payload } = await heard
    check([channel, payload], ['driver_matrix', 'hello'])
    await other.end()
  },
}

const sessionCases = {
  async set_parameter() {
    await client.query("SET work_mem = '7MB'")
    for (let round = 0; round < 5; round++) check(await one(client, 'SHOW work_mem'), '7MB')
    await client.query('RESET work_mem')
  },
  async temp_table() {
    await client.query('CREATE TEMP TABLE kept (a int)')
    await client.query('INSERT INTO kept VALUES (1)')
    check(await one(client, 'SELECT count(*)::int FROM kept'), 1)
  },
}

await runCases(driver.version, String(await one(client, 'SHOW server_version')), cases, sessionCases)
