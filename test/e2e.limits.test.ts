// Limits and deadlines of clients and links, with the texts that users of pgbouncer know.
import assert from 'node:assert/strict'
import { startBadWire } from './kit/bad-wire.ts'
import { poll, staysPending } from './kit/child.ts'
import { backendOf, fixedDatabase, value } from './kit/fixed-database.ts'
import { lastError, pgbouncerBeside } from './kit/limits.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { type RawClient, rawCancel, rawConnect } from './kit/raw-client.ts'
import { int32, parse, query, startup, sync } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'

/** The first error of a connection, which must end after it. */
async function lastWords(client: RawClient): Promise<string> {
  const lines = await client.rest()
  return lines.find((line) => line.startsWith('ErrorResponse')) ?? ''
}

scenario('a link older than server_lifetime is replaced, but not in a transaction', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings: { server_lifetime: 2 } })
  const client = await app.client()
  const first = await backendOf(client)
  assert.equal(await backendOf(client), first)
  await app.waitForBackends(0, `pid = ${first}`, 10_000) // closed while idle
  await client.query('BEGIN')
  const second = await backendOf(client)
  await client.query('SELECT pg_sleep(3)')
  assert.equal(await backendOf(client), second)
  await client.query('COMMIT')
  assert.notEqual(await backendOf(client), second)
  assert.deepEqual(client.errors, [])
})

scenario('a link that is idle for server_idle_timeout is closed', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2 }, settings: { server_idle_timeout: 2 } })
  const [busy, idle] = [await app.client(), await app.client()]
  await busy.query('BEGIN')
  const kept = await backendOf(busy)
  const closed = await backendOf(idle)
  await app.waitForBackends(0, `pid = ${closed}`, 10_000)
  assert.equal(await backendOf(busy), kept, 'a transaction is not idle')
  await busy.query('COMMIT')
  assert.equal(await value(idle, 'SELECT 1'), 1)
  assert.deepEqual([...busy.errors, ...idle.errors], [])
})

scenario('a link that was idle for server_check_delay is tested first, and replaced when the test fails', async (run) => {
  const sql = 'CREATE SEQUENCE checks; GRANT ALL ON checks TO app'
  const checked = { server_check_query: "SELECT nextval('checks')", server_check_delay: 0 }
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings: checked, sql })
  const client = await app.client()
  const first = await backendOf(client)
  const tests = async () => Number((await app.sql('SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS n FROM checks'))[0]?.n)
  const before = await tests()
  for (let round = 0; round < 5; round++) assert.equal(await backendOf(client), first)
  assert.equal(await tests(), before + 5)
  await app.sql('DROP SEQUENCE checks')
  assert.notEqual(await backendOf(client), first)
  assert.deepEqual(client.errors, [])
})

scenario('a link that is fresh enough is not tested', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings: { server_check_query: 'SELECT 1/0', server_check_delay: 60 } })
  const client = await app.client()
  const first = await backendOf(client)
  for (let round = 0; round < 5; round++) assert.equal(await backendOf(client), first)
})

scenario('clients beyond max_client_conn are refused with pgbouncer’s text, and let in when one leaves', async (run) => {
  const app = await fixedDatabase(run, { settings: { max_client_conn: 2 } })
  const [first] = [await app.raw(), await app.raw()]
  const third = await rawConnect({ port: app.pglease.port })
  third.send(startup({ user: 'me', database: 'app' }))
  assert.match(await lastWords(third), /^ErrorResponse S='FATAL' C='08P01' M='no more connections allowed \(max_client_conn\)' H='Raise /)
  third.socket.destroy()
  first?.terminate()
  await first?.rest()
  const later = await poll('a place is free', () => app.raw().catch(() => undefined))
  assert.equal((await later.ask(query('SELECT 1'))).at(-1), 'ReadyForQuery I')
})

scenario(
  'a client that does not finish its login is told so after client_login_timeout; a silent one is closed without a word',
  async (run) => {
    const app = await fixedDatabase(run, { settings: { client_login_timeout: 1 } })
    const target = { port: app.pglease.port }
    const [silent, slow, done] = [await rawConnect(target), await rawConnect(target), await app.raw()]
    slow.send(startup({ user: 'me', database: 'app' }).subarray(0, 20))
    assert.deepEqual(await slow.rest(), ["ErrorResponse S='FATAL' C='08P01' M='client_login_timeout'"])
    assert.deepEqual(await silent.rest(), [])
    assert.equal((await done.ask(query('SELECT pg_sleep(1.2)'))).at(-1), 'ReadyForQuery I')
    for (const client of [silent, slow]) client.socket.destroy()
  },
)

scenario('a server that does not answer fails after server_connect_timeout; clients wait and are served when it does', async (run) => {
  const wire = await startBadWire(await sharedPostgres())
  run.defer(() => wire.stop())
  wire.hold('to-client')
  const settings = { server_connect_timeout: 1, client_login_timeout: 3 }
  const app = await fixedDatabase(run, { settings, facts: { host: wire.host, port: wire.port } })
  const failed = await app.pglease.waitForLog('login_failed')
  assert.equal(failed.code, 'connect_timeout')
  const impatient = await rawConnect({ port: app.pglease.port })
  impatient.send(startup({ user: 'me', database: 'app' }))
  assert.match(await lastWords(impatient), /S='FATAL' C='08P01' M='client_login_timeout \(server down\)' D='.*timed out/)
  impatient.socket.destroy()
  const patient = app.client()
  assert.ok(await staysPending(patient))
  wire.release()
  assert.equal(await value(await patient, 'SELECT current_user'), app.user)
})

scenario('with max_prepared_statements 0 a named statement is refused with the reason', async (run) => {
  const app = await fixedDatabase(run, { settings: { max_prepared_statements: 0 } })
  const client = await app.raw()
  client.send(parse('s1', 'SELECT 1'), sync())
  const words = await lastWords(client)
  assert.match(words, /C='0A000' M='named prepared statements are not supported in transaction pooling mode/)
  // the link it may have touched serves on
  assert.equal(await value(await app.client(), 'SELECT 1'), 1)
})

scenario('a message larger than max_packet_size is refused, one below it passes', async (run) => {
  const app = await fixedDatabase(run, { settings: { max_packet_size: 100_000 } })
  const client = await app.raw()
  const fits = `SELECT length('${'x'.repeat(99_000)}')`
  assert.match((await client.ask(query(fits))).join('\n'), /DataRow '99000'/)
  client.send(Buffer.concat([Buffer.from('Q'), int32(100_005)]), Buffer.alloc(1000, 0x20))
  assert.match(await lastWords(client), /S='FATAL' C='08P01' M='message too large: 100005 bytes, max_packet_size allows 100000'/)
})

scenario('a cancel request gets through when max_client_conn is reached', async (run) => {
  const app = await fixedDatabase(run, { settings: { max_client_conn: 1 } })
  const client = await app.raw()
  client.send(query('SELECT pg_sleep(30)'))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  await rawCancel({ port: app.pglease.port }, client.pid, client.key)
  assert.match((await client.ready()).join('\n'), /C='57014'/)
})

scenario('a cancel request that waits for another one is given up after cancel_wait_timeout, without a word', async (run) => {
  const wire = await startBadWire(await sharedPostgres())
  run.defer(() => wire.stop())
  const settings = { cancel_wait_timeout: 1, server_connect_timeout: 20 }
  const app = await fixedDatabase(run, { settings, facts: { host: wire.host, port: wire.port, pool_size: 1 } })
  const client = await app.raw()
  client.send(query('SELECT pg_sleep(30)'))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  const cancel = () => rawCancel({ port: app.pglease.port }, client.pid, client.key)
  wire.hold('to-server')
  const first = cancel()
  await poll('the first cancel request is on its way', () => (wire.connections.size === 2 ? true : undefined))
  const startedMs = performance.now()
  await cancel()
  const waitedMs = performance.now() - startedMs
  assert.ok(waitedMs >= 950 && waitedMs < 10_000, `given up after ${waitedMs} ms`)
  assert.ok(await staysPending(first))
  wire.release()
  await first
  assert.match((await client.ready()).join('\n'), /C='57014'/)
  assert.equal((await client.ask(query('SELECT 1'))).at(-1), 'ReadyForQuery I')
})

scenario('while the server refuses logins clients are told so; within server_login_retry of the end of it they are served', async (run) => {
  const settings = { server_login_retry: 1 }
  const app = await fixedDatabase(run, { settings, facts: { pool_size: 1 } })
  const pgbouncer = await pgbouncerBeside(run, app, settings)
  const setPassword = (password: string) => app.sql(`ALTER ROLE "${app.user}" PASSWORD '${password}'`)
  const [ours, first, theirs] = [await app.raw(), await pgbouncer?.raw(), await pgbouncer?.raw()]
  await theirs?.ask(query('SELECT 1'))
  await setPassword('another')
  await app.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${app.user}'`)
  ours.send(query('SELECT 1'))
  const told =
    /^ErrorResponse S='FATAL' C='08P01' M='server login has been failing, cached error: .* \(SQLSTATE 28P01\) \(server_login_retry\)'$/
  assert.match(await lastError(ours), told)
  // its first client waits on, the next one is told; 1.18 does not tell the reason yet
  first?.send(query('SELECT 1'))
  if (first !== undefined) assert.ok(await staysPending(first.rest(), 1_000))
  theirs?.send(query('SELECT 1'))
  if (theirs !== undefined)
    assert.match(await lastError(theirs), /S='FATAL' C='08P01' M='server login has been failing, .*\(server_login_retry\)'$/)
  await setPassword(app.password)
  const changedMs = performance.now()
  const served = async () => (await (await app.raw()).ask(query('SELECT 1'))).at(-1) === 'ReadyForQuery I' || undefined
  await poll('a client is served', () => served().catch(() => undefined))
  assert.ok(performance.now() - changedMs < 5_000)
})

scenario('a message larger than max_packet_size ends the client, with the severity and SQLSTATE of pgbouncer', async (run) => {
  const settings = { max_packet_size: 100_000 }
  const app = await fixedDatabase(run, { settings })
  const pgbouncer = await pgbouncerBeside(run, app, settings)
  for (const client of [await app.raw(), await pgbouncer?.raw()]) {
    client?.send(Buffer.concat([Buffer.from('Q'), int32(100_005)]), Buffer.alloc(1000, 0x20))
    // its text there is 'bad packet header', with the bytes
    if (client !== undefined) assert.match(await lastError(client), /^ErrorResponse S='FATAL' C='08P01' /)
  }
})
