// Session and statement mode through the binary: what a session keeps, what the next one must not see, and what pgbouncer says.
import assert from 'node:assert/strict'
import type pg from 'pg'
import { poll } from './kit/child.ts'
import { backendOf, type FixedDatabase, fixedDatabase, sqlstateOf, value } from './kit/fixed-database.ts'
import { noPgbouncer, startPgbouncer } from './kit/pgbouncer.ts'
import { rawLogin } from './kit/raw-client.ts'
import { bind, execute, parse, query, sync } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'

const SESSION = { pool_mode: 'session' }

/** Everything of a session that another must not see, as the session itself sees it. */
async function stateOf(client: pg.Client): Promise<Record<string, unknown>> {
  const text = `SELECT current_setting('work_mem') AS work_mem, to_regclass('pg_temp.scratch') IS NOT NULL AS temp_table,
    (SELECT count(*)::int FROM pg_prepared_statements WHERE name = 'named') AS named,
    (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
    (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
    (SELECT count(*)::int FROM pg_cursors WHERE is_holdable) AS cursors`
  const { rows } = await client.query(text)
  return rows[0] as Record<string, unknown>
}

async function leaveTraces(client: pg.Client): Promise<void> {
  await client.query("SET work_mem = '7MB'")
  await client.query('CREATE TEMP TABLE scratch (a int)')
  await client.query({ name: 'named', text: 'SELECT $1::int', values: [1] })
  await client.query('LISTEN news')
  await client.query('SELECT pg_advisory_lock(7)')
  await client.query('DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 3)')
}

const TRACES = { work_mem: '7MB', temp_table: true, named: 1, channels: 1, locks: 1, cursors: 1 }
const NONE = { work_mem: '4MB', temp_table: false, named: 0, channels: 0, locks: 0, cursors: 0 }

scenario('session mode: a session keeps its state from query to query, whatever others do', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2, ...SESSION } })
  const [client, other] = [await app.client(), await app.client()]
  const own = await backendOf(client)
  await leaveTraces(client)
  assert.notEqual(await backendOf(other), own)
  assert.deepEqual(await stateOf(other), NONE)
  assert.deepEqual(await stateOf(client), TRACES)
  for (let number = 0; number < 3; number++) {
    const { rows } = await client.query({ name: 'named', text: 'SELECT $1::int', values: [number] })
    assert.deepEqual(rows, [{ int4: number }])
  }
  assert.equal((await client.query('FETCH ALL FROM held')).rowCount, 3)
  await client.query('BEGIN')
  await client.query('INSERT INTO scratch VALUES (1)')
  await client.query('COMMIT')
  assert.equal(await value(client, 'SELECT count(*)::int FROM scratch'), 1)
  assert.equal(await backendOf(client), own)
  assert.deepEqual([...client.errors, ...other.errors], [])
})

scenario('session mode: a session that listens is notified while it rests', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2, ...SESSION } })
  const [listener, sender] = [await app.client(), await app.client()]
  await listener.query('LISTEN news')
  const heard = new Promise<pg.Notification>((resolve) => listener.once('notification', resolve))
  await sender.query("NOTIFY news, 'today'")
  const { channel, payload, processId } = await heard
  assert.deepEqual([channel, payload, processId], ['news', 'today', await backendOf(sender)])
})

scenario('session mode: clients wait for a session to end, and find nothing of it', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1, ...SESSION } })
  const [first, second] = [await app.client(), await app.client()]
  const backend = await backendOf(first)
  await leaveTraces(first)
  const waiting = backendOf(second)
  await poll('the second waits', async () => (await app.backends("state = 'idle'")).length === 1 || undefined)
  await first.end()
  assert.equal(await waiting, backend)
  assert.deepEqual(await stateOf(second), NONE)
})

scenario('session mode: a connection whose client left in a transaction is closed, not reset', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1, ...SESSION } })
  const first = await app.client()
  const backend = await backendOf(first)
  await first.query('BEGIN; CREATE TABLE gone (a int)')
  await first.end()
  const second = await app.client()
  assert.notEqual(await backendOf(second), backend)
  assert.equal(await value(second, "SELECT to_regclass('gone') IS NULL"), true)
})

scenario('a server_reset_query that fails closes the connection; an empty one leaves the state; another does what it says', async (run) => {
  const start = (server_reset_query: string) =>
    fixedDatabase(run, { facts: { pool_size: 1, ...SESSION }, settings: { server_reset_query } })
  const after = async (app: FixedDatabase) => {
    const first = await app.client()
    const backend = await backendOf(first)
    await leaveTraces(first)
    await first.end()
    const second = await app.client()
    return { same: (await backendOf(second)) === backend, state: await stateOf(second) }
  }
  assert.deepEqual(await after(await start('SELECT 1/0')), { same: false, state: NONE })
  assert.deepEqual(await after(await start('')), { same: true, state: TRACES })
  assert.deepEqual(await after(await start('RESET ALL; UNLISTEN *')), { same: true, state: { ...TRACES, work_mem: '4MB', channels: 0 } })
})

scenario('server_reset_query_always resets after each transaction in transaction mode, and without it nothing is reset', async (run) => {
  for (const always of [true, false]) {
    const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings: { server_reset_query_always: always } })
    const client = await app.client()
    const backend = await backendOf(client)
    await client.query("SET work_mem = '7MB'")
    assert.equal(await value(client, "SELECT current_setting('work_mem')"), always ? '4MB' : '7MB')
    assert.equal(await backendOf(client), backend)
  }
})

scenario('a tracked parameter that the server does not report is set again after a reset', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1, ...SESSION }, settings: { track_extra_parameters: 'work_mem' } })
  const workMem = async (options?: string) => {
    const client = await app.raw(options ? { parameters: { options } } : {})
    const lines = await client.ask(query('SHOW work_mem'))
    client.terminate()
    await client.rest()
    return lines.find((line) => line.startsWith('DataRow'))
  }
  assert.equal(await workMem('-c work_mem=9MB'), "DataRow '9MB'")
  assert.equal(await workMem(), "DataRow '4MB'")
  assert.equal(await workMem('-c work_mem=9MB'), "DataRow '9MB'")
})

scenario('session mode: a client whose server process ends is told by the server itself and closed', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2, ...SESSION } })
  const client = await app.raw()
  await client.ask(query('SET work_mem = 100'))
  await app.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${app.user}'`)
  assert.match(
    (await client.rest()).join('\n'),
    /^ErrorResponse S='FATAL' C='57P01' M='terminating connection due to administrator command'/,
  )
})

scenario('session mode: sessions at rest end with 57P01 when pglease stops, others when they rest', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2, ...SESSION } })
  const [resting, busy] = [await app.client(), await app.client()]
  await resting.query('LISTEN news')
  await busy.query('BEGIN')
  app.pglease.signal('SIGINT')
  await poll('the session at rest ends', async () => resting.errors.length > 0 || undefined)
  assert.equal((resting.errors[0] as pg.DatabaseError).code, '57P01')
  assert.equal(await value(busy, 'SELECT 1'), 1)
  await busy.query('COMMIT')
  assert.equal((await app.pglease.exit).code, 0)
})

scenario('pool_mode is a matter of each database', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1, pool_mode: 'transaction' }, settings: SESSION })
  const [first, second] = [await app.client(), await app.client()]
  assert.equal(await backendOf(first), await backendOf(second))
})

/** The trace of each step until a ReadyForQuery, or the end of the connection. */
async function traceOf(run: Scenario, port: number, steps: readonly Buffer[][]): Promise<string[]> {
  const client = await rawLogin({ port }, { user: 'anyone', database: 'app' })
  run.defer(() => client.socket.destroy())
  const lines: string[] = []
  for (const step of steps) {
    client.send(...step)
    for (;;) {
      const one = await client.next().catch(() => undefined)
      if (one === undefined) return [...lines, 'the end']
      lines.push(String(one))
      if (one.type === 'Z') break
    }
  }
  return lines
}

/** pglease adds hints. */
const withoutHint = (line: string) => line.replace(/ H='[^']*'/, '')

scenario('statement mode: what pgbouncer answers, transaction blocks refused included', async (run) => {
  const missing = noPgbouncer()
  if (missing && skip(missing)) return
  const app = await fixedDatabase(run, { facts: { pool_size: 1, pool_mode: 'statement' } })
  const pgbouncer = await startPgbouncer(run, app, { pool_mode: 'statement', default_pool_size: 1 })
  const one = [query('SELECT 1')]
  const conversations: Buffer[][][] = [
    [one, one],
    [[query('BEGIN; SELECT 1; COMMIT')], one],
    [[query('SELECT 1/0')], one],
    [[parse('', 'SELECT 2'), bind('', ''), execute(), sync()], one],
    [[query('BEGIN')], one],
    [[query('BEGIN; SELECT 1')], one],
    [[query('BEGIN; SELECT 1/0')], one],
    [[parse('', 'BEGIN'), bind('', ''), execute(), sync()], one],
  ]
  for (const steps of conversations) {
    const [ours, theirs] = [await traceOf(run, app.pglease.port, steps), await traceOf(run, pgbouncer, steps)]
    // pgbouncer drops what it has not sent yet when it refuses; pglease forwards what the server said before
    const last = ours.slice(-theirs.length).map(withoutHint)
    assert.deepEqual(last, theirs.map(withoutHint))
    if (last.at(-1) !== 'the end') assert.equal(ours.length, theirs.length)
  }
  const refused = await traceOf(run, app.pglease.port, [[query('BEGIN')]])
  assert.match(
    refused.join('\n'),
    /^CommandComplete 'BEGIN'\nErrorResponse S='FATAL' C='08P01' M='transaction blocks not allowed in statement pooling mode'/,
  )
})

scenario('statement mode: two clients share a connection statement by statement, and a refused block leaves nothing open', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1, pool_mode: 'statement' }, sql: 'CREATE TABLE t (a int)' })
  const [first, second] = [await app.client(), await app.client()]
  const backend = await backendOf(first)
  assert.equal(await backendOf(second), backend)
  const refused = await app.client()
  assert.equal(await sqlstateOf(refused.query('BEGIN; SELECT pg_advisory_xact_lock(7)')), '08P01')
  assert.notEqual(await backendOf(first), backend)
  await app.waitForBackends(0, "state LIKE 'idle in%'")
  assert.deepEqual([...first.errors, ...second.errors], [])
})
