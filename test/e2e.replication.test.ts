// Replication connections before a real PostgreSQL: commands, parameters, limits, cancel requests, and how they end.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { poll } from './kit/child.ts'
import { type FixedDatabase, type FixedOptions, fixedDatabase, residentBytes, value } from './kit/fixed-database.ts'
import { fatal, lastError } from './kit/limits.ts'
import { type PostgresServer, sharedPostgres } from './kit/postgres.ts'
import { type RawClient, rawCancel, rawConnect } from './kit/raw-client.ts'
import { query, startup } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noStandby, REPLICATING_VERSION, standbyOf } from './kit/standby.ts'

const LOGICAL = { replication: 'database' }
const PHYSICAL = { replication: 'true' }

/** A database whose role may replicate. */
async function replicating(run: Scenario, options?: FixedOptions): Promise<FixedDatabase> {
  const app = await fixedDatabase(run, options)
  await app.postgres.sql(`ALTER ROLE "${app.user}" REPLICATION`)
  return app
}

const walsenders = (app: FixedDatabase, count: number) => app.waitForBackends(count, "backend_type = 'walsender'")

/** The first column of the only row. */
async function cell(client: RawClient, sql: string): Promise<string> {
  client.send(query(sql))
  const row = (await client.until('Z')).find(({ type }) => type === 'D')
  assert.ok(row, sql)
  return row.body.toString('utf8', 6, 6 + row.body.readInt32BE(2))
}

/** What a client with `parameters` is refused with. */
async function refusal(app: FixedDatabase, parameters: Record<string, string>): Promise<string> {
  const client = await rawConnect({ port: app.pglease.port })
  client.send(startup({ user: 'anyone', database: 'app', ...parameters }))
  const error = await lastError(client)
  client.socket.destroy()
  return error
}

scenario('physical and logical connections take the commands of replication, and SQL where PostgreSQL does', async (run) => {
  const app = await replicating(run, { http: true })
  const direct = await app.direct({ parameters: LOGICAL })
  const system = await cell(direct, 'IDENTIFY_SYSTEM')
  for (const replication of ['true', 'on', 'yes', '1', 'database']) {
    const client = await app.raw({ parameters: { replication } })
    assert.equal(await cell(client, 'IDENTIFY_SYSTEM'), system)
    const sql = await client.ask(query('SELECT 1'))
    if (replication === 'database') assert.equal(sql.at(-2), "CommandComplete 'SELECT 1'")
    else assert.match(String(sql), /cannot execute SQL commands in WAL sender for physical replication/)
    assert.equal(sql.at(-1), 'ReadyForQuery I')
    client.terminate()
    await client.rest()
    await walsenders(app, 0)
  }
  // what tools of before version 17 say, which name no database
  const old = await app.raw({ database: 'replication', parameters: PHYSICAL })
  assert.equal(await cell(old, 'IDENTIFY_SYSTEM'), system)
  await assert.rejects(app.raw({ database: 'replication', parameters: LOGICAL }), /no such database: replication/)
  const metrics = await app.pglease.metrics()
  assert.equal(metrics.sum('pglease_client_connections', { database: 'app', state: 'replication' }), 1)
  assert.equal(metrics.sum('pglease_server_connections', { database: 'app', state: 'replication' }), 1)
  assert.match(String(app.pglease.logged('client_login')[0]?.msg), /for physical replication/)
})

scenario('psql speaks to both', async (run) => {
  const app = await replicating(run)
  for (const replication of ['database', 'true']) {
    const connection = `host=127.0.0.1 port=${app.pglease.port} user=any password=any dbname=app replication=${replication}`
    const { stdout } = await promisify(execFile)('psql', ['-XAtc', 'IDENTIFY_SYSTEM', connection])
    assert.match(stdout, replication === 'database' ? new RegExp(`^\\d+\\|1\\|[0-9A-F/]+\\|${app.name}\n$`) : /^\d+\|1\|[0-9A-F/]+\|\n$/)
  }
})

scenario("the server takes or refuses the client's own parameters, and its words are passed on", async (run) => {
  const app = await replicating(run)
  const parameters = {
    ...LOGICAL,
    client_encoding: 'LATIN1',
    application_name: 'wal of mine',
    lock_timeout: '7s',
    options: '-c statement_timeout=5s -cwork_mem=7MB',
  }
  const client = await app.raw({ parameters })
  assert.deepEqual([client.parameters.client_encoding, client.parameters.application_name], ['LATIN1', 'wal of mine'])
  for (const [name, expected] of Object.entries({
    lock_timeout: '7s',
    statement_timeout: '5s',
    work_mem: '7MB',
    client_encoding: 'LATIN1',
  }))
    assert.equal(await cell(client, `SHOW ${name}`), expected)
  assert.match(await refusal(app, { ...LOGICAL, nonsense: '1' }), /C='42704' M='unrecognized configuration parameter "nonsense"'/)
  await app.postgres.sql(`ALTER ROLE "${app.user}" NOREPLICATION`)
  assert.match(
    await refusal(app, PHYSICAL),
    /C='42501' M='(permission denied to start WAL sender|must be superuser or replication role.*)'/,
  )
  // which is nobody else's trouble
  assert.equal(await value(await app.client(), 'SELECT 1'), 1)
  assert.equal(app.pglease.logged('login_failed').length, 0)
})

scenario('server_role is not taken, which would not have REPLICATION', async (run) => {
  const app = await replicating(run, { facts: { server_role: 'app' } })
  const client = await app.raw({ parameters: LOGICAL })
  assert.equal(await cell(client, 'SELECT current_user'), app.user)
  assert.equal(await value(await app.client(), 'SELECT current_user::text'), 'app')
})

scenario('a cancel request to its key reaches the server', async (run) => {
  const app = await replicating(run)
  const client = await app.raw({ parameters: LOGICAL })
  client.send(query('SELECT pg_sleep(60)'))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  await rawCancel({ port: app.pglease.port }, client.pid, Buffer.alloc(4, 1))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  await rawCancel({ port: app.pglease.port }, client.pid, client.key)
  assert.match(String(await client.ready()), /ERROR.*57014/)
  assert.equal(await cell(client, 'SELECT 1'), '1')
})

scenario("the server's end is the client's, in the server's words; the client's end is the server's", async (run) => {
  const app = await replicating(run)
  const client = await app.raw({ parameters: LOGICAL })
  const [pid] = await walsenders(app, 1)
  await app.postgres.sql(`SELECT pg_terminate_backend(${pid})`)
  assert.equal(await lastError(client), "ErrorResponse S='FATAL' C='57P01' M='terminating connection due to administrator command'")
  for (const leave of [(one: RawClient) => one.terminate(), (one: RawClient) => one.vanish(), (one: RawClient) => one.socket.end()]) {
    const other = await app.raw({ parameters: PHYSICAL })
    await walsenders(app, 1)
    leave(other)
    await walsenders(app, 0)
  }
})

scenario('it counts in the limits on connections and clients', async (run) => {
  const app = await replicating(run, { settings: { max_db_connections: 1, query_wait_timeout: 1, max_db_client_connections: 3 } })
  const first = await app.raw({ parameters: LOGICAL })
  await app.waitForBackends(1)
  assert.equal(await cell(first, 'SELECT 1'), '1', "the pool's unused connection has made room")
  assert.equal(await refusal(app, PHYSICAL), fatal('query_wait_timeout'))
  const ordinary = await app.raw()
  ordinary.send(query('SELECT 1'))
  assert.equal(await lastError(ordinary), fatal('query_wait_timeout'))
  const [third, fourth] = [await app.raw(), await app.raw()]
  assert.equal(await refusal(app, PHYSICAL), fatal('client connections exceeded (max_db_client_connections)'))
  fourth.terminate()
  await fourth.rest()
  first.terminate()
  assert.equal((await third.ask(query('SELECT 1'))).at(-1), 'ReadyForQuery I')
  const next = await poll('a place is free', () => app.raw({ parameters: PHYSICAL }).catch(() => undefined))
  assert.match(await cell(next, 'IDENTIFY_SYSTEM'), /^\d+$/)
})

scenario('a client that waits is let in as soon as there is room', async (run) => {
  const app = await replicating(run, { settings: { max_server_connections: 1 } })
  const holder = await app.raw()
  await holder.ask(query('BEGIN'))
  const waiting = app.raw({ parameters: LOGICAL })
  await holder.ask(query('COMMIT'))
  assert.equal(await cell(await waiting, 'SELECT 1'), '1')
})

scenario('a client that does not read makes the server wait', async (run) => {
  const app = await replicating(run)
  const client = await app.raw({ parameters: LOGICAL })
  const before = residentBytes(app.pglease.child.pid)
  client.socket.pause()
  client.send(query("COPY (SELECT repeat('x', 10000) FROM generate_series(1, 20000)) TO STDOUT"))
  await app.waitForBackends(1, "wait_event = 'ClientWrite'")
  const grown = (residentBytes(app.pglease.child.pid) - before) / 2 ** 20
  assert.ok(grown < 40, `${grown} MB more of 200`)
  client.socket.resume()
  const rows = (await client.until('Z')).filter(({ type }) => type === 'd')
  assert.equal(rows.length, 20_000)
})

scenario('at shutdown it ends with 57P01 when drain_timeout is over, and nothing is left', async (run) => {
  const app = await replicating(run, { settings: { drain_timeout: 1 } })
  const client = await app.raw({ parameters: LOGICAL })
  const ended = app.pglease.stop()
  await app.pglease.waitForLog('signal')
  assert.equal(await cell(client, 'SELECT 1'), '1', 'served while it drains')
  assert.match(String(await client.rest()), /FATAL.*C='57P01' M='pooler is shutting down'/)
  assert.equal((await ended).code, 0)
  await app.waitForBackends(0)
})

scenario('a standby made by pg_basebackup, and a subscription of another server, replicate through it', async (run) => {
  const missing = noStandby()
  if (missing && skip(missing)) return
  const primary = await run.postgres({ version: REPLICATING_VERSION, config: { wal_level: 'logical', max_wal_senders: 10 } })
  const name = await primary.createDatabase()
  await primary.sql(
    'CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1); CREATE PUBLICATION all_of_it FOR ALL TABLES',
    name,
  )
  const { host, port, superuser: user, password } = primary
  const facts = { host, port, dbname: name, user, password, server_tls_sslmode: 'disable' }
  const pglease = await run.pglease({ config: { http_addr: '', admin_addr: '', databases: { app: facts } } })
  const through = `host=127.0.0.1 port=${pglease.port} user=any password=any`
  const standby = await standbyOf(run, through)
  const subscriber = await sharedPostgres()
  const copy = await subscriber.createDatabase()
  run.defer(() => subscriber.dropDatabase(copy))
  await subscriber.sql('CREATE TABLE numbers (n int PRIMARY KEY)', copy)
  await subscriber.sql(`CREATE SUBSCRIPTION from_app CONNECTION '${through} dbname=app' PUBLICATION all_of_it`, copy)
  run.defer(() =>
    subscriber.sql(
      'ALTER SUBSCRIPTION from_app DISABLE; ALTER SUBSCRIPTION from_app SET (slot_name = NONE); DROP SUBSCRIPTION from_app',
      copy,
    ),
  )
  const has = (server: PostgresServer, database: string, count: number) =>
    poll(`${count} rows`, async () => ((await server.sql('SELECT * FROM numbers', database)).length === count ? true : undefined))
  await Promise.all([has(standby, name, 1), has(subscriber, copy, 1)])
  // both connect again after their connections ended
  await primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'")
  await primary.sql('INSERT INTO numbers VALUES (2)', name)
  await Promise.all([has(standby, name, 2), has(subscriber, copy, 2)])
})
