// The limits on links and clients, each beside a real pgbouncer where Debian's has it.
import assert from 'node:assert/strict'
import { startBadWire } from './kit/bad-wire.ts'
import { poll, staysPending } from './kit/child.ts'
import { backendOf, fixedDatabase, value } from './kit/fixed-database.ts'
import { fatal, lastError, type Pooler, sameAnswer, sameError } from './kit/limits.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { type RawClient, rawConnect } from './kit/raw-client.ts'
import { query, sslRequest, startup } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'

/** A client that waits for a link which another holds in a transaction. */
async function waits(pooler: Pooler): Promise<RawClient> {
  const holder = await pooler.raw()
  await holder.ask(query('BEGIN'))
  const client = await pooler.raw()
  client.send(query('SELECT 1'))
  return client
}

for (const limit of ['default_pool_size', 'max_db_connections', 'max_user_connections']) {
  scenario(`${limit} lets further clients wait, until query_wait_timeout`, async (run) => {
    const options = { settings: { default_pool_size: 5, query_wait_timeout: 1, [limit]: 1 } }
    const app = await sameError(run, options, fatal('query_wait_timeout'), waits)
    assert.ok((await app.backends()).length <= 2, 'one of each pooler')
  })
}

/** Two databases of one pglease before the same server, with one user. */
async function twoDatabases(run: Scenario, settings: Record<string, unknown>) {
  const app = await fixedDatabase(run)
  const { host, port } = app.postgres
  const facts = { host, port, dbname: app.name, user: app.user, password: app.password, server_tls_sslmode: 'disable', pool_size: 3 }
  const pglease = await run.pglease({ config: { ...settings, databases: { one: facts, other: facts } } })
  const client = async (database: string) => {
    const connected = await pglease.client(database)
    run.defer(() => connected.end().catch(() => undefined))
    return connected
  }
  return { app, pglease, client }
}

for (const limit of ['max_user_connections', 'max_server_connections']) {
  scenario(`${limit} holds over all databases, and an unused link of one gives its place to another`, async (run) => {
    const { app, pglease, client } = await twoDatabases(run, { [limit]: 2 })
    const [first, second, third] = [await client('one'), await client('one'), await client('other')]
    for (const busy of [first, second]) await busy.query('BEGIN')
    const waiting = value(third, 'SELECT 1')
    assert.ok(await staysPending(waiting))
    const freed = await backendOf(second)
    await second.query('COMMIT')
    assert.equal(await waiting, 1)
    assert.deepEqual(await app.backends(`pid = ${freed}`), [], 'its place was given away')
    await first.query('COMMIT')
    for (let count = 0; count < 5; count++) assert.equal(await value(third, 'SELECT 1'), 1)
    // one is of the pglease that made the database
    assert.ok((await app.backends()).length <= 3)
    const metrics = await pglease.metrics()
    assert.ok(metrics.sum('pglease_connections_closed_total', { side: 'server', reason: 'evicted' }) >= 1)
    assert.deepEqual([...first.errors, ...second.errors, ...third.errors], [])
  })
}

scenario('clients of one database that never let a link rest leave one to those of another', async (run) => {
  const { client } = await twoDatabases(run, { max_server_connections: 2 })
  const busy = await Promise.all(Array.from({ length: 6 }, () => client('one')))
  let running = true
  const work = busy.map(async (each) => {
    while (running) await each.query('SELECT pg_sleep(0.01)')
  })
  const other = await client('other')
  for (let count = 0; count < 5; count++) assert.equal(await value(other, 'SELECT 1'), 1)
  running = false
  await Promise.all(work)
  assert.deepEqual(
    [...busy, other].flatMap(({ errors }) => errors),
    [],
  )
})

// pgbouncer has both since 1.24: the texts are those of its list
for (const limit of ['max_db_client_connections', 'max_user_client_connections']) {
  scenario(`a client beyond ${limit} is refused, and let in when one leaves`, async (run) => {
    const app = await fixedDatabase(run, { settings: { [limit]: 2 } })
    const [first] = [await app.raw(), await app.raw()]
    const third = await rawConnect({ port: app.pglease.port })
    third.send(startup({ user: 'somebody', database: 'app' }))
    assert.equal(await lastError(third), fatal(`client connections exceeded (${limit})`))
    third.socket.destroy()
    first?.terminate()
    await first?.rest()
    const later = await poll('a place is free', () => app.raw().catch(() => undefined))
    assert.equal((await later.ask(query('SELECT 1'))).at(-1), 'ReadyForQuery I')
  })
}

scenario('a database may have client and link limits of its own', async (run) => {
  const facts = { max_db_client_connections: 1, max_db_connections: 2, pool_size: 5, min_pool_size: 4 }
  const app = await fixedDatabase(run, { settings: { max_db_client_connections: 50 }, facts })
  await app.waitForBackends(2)
  await app.raw()
  await assert.rejects(app.raw(), /client connections exceeded \(max_db_client_connections\)/)
})

scenario('a user may have a mode and limits of its own, which hold in all its databases', async (run) => {
  const app = await fixedDatabase(run)
  const { host, port } = app.postgres
  const facts = { host, port, dbname: app.name, user: app.user, password: app.password, server_tls_sslmode: 'disable' }
  const users = { [app.user]: { pool_mode: 'session', max_user_connections: 1, max_user_client_connections: 2 } }
  const pglease = await run.pglease({ config: { databases: { one: facts, other: { ...facts, pool_mode: 'transaction' } }, users } })
  const to = (database: string) => pglease.client(database)
  const [first, second] = [await to('one'), await to('other')]
  await first.query('CREATE TEMPORARY TABLE mine AS SELECT 7 AS number')
  assert.equal(await value(first, 'SELECT number FROM mine'), 7)
  const waiting = value(second, 'SELECT 1')
  assert.ok(await staysPending(waiting), 'the one connection of the user is taken')
  await assert.rejects(to('other'), { code: '08P01', message: /max_user_client_connections/ })
  await first.end()
  assert.equal(await waiting, 1)
  await second.end()
})

scenario('min_pool_size keeps links open that nobody needs', async (run) => {
  const options = { settings: { min_pool_size: 3, default_pool_size: 5, server_idle_timeout: 1 } }
  await sameAnswer(run, options, 3, async (pooler, app) => {
    const client = await pooler.raw()
    await client.ask(query('SELECT 1'))
    return (await app.waitForBackends(3)).length
  })
})

scenario('the reserve serves a client that has waited for reserve_pool_timeout, and no more than its size', async (run) => {
  const options = { settings: { default_pool_size: 1, reserve_pool_size: 1, reserve_pool_timeout: 1, query_wait_timeout: 4 } }
  const app = await sameError(run, options, fatal('query_wait_timeout'), async (pooler) => {
    const [first, second, third] = [await pooler.raw(), await pooler.raw(), await pooler.raw()]
    await first.ask(query('BEGIN'))
    assert.equal((await second.ask(query('BEGIN'))).at(-1), 'ReadyForQuery T', 'served by the reserve')
    third.send(query('SELECT 1'))
    return third
  })
  assert.equal((await app.pglease.waitForLog('reserve_pool')).msg, 'taking connection from reserve_pool')
})

/** How many links serve nine requests of one client, one after another. */
async function linksOfNine(pooler: Pooler): Promise<number> {
  const client = await pooler.raw()
  const seen = new Set<string>()
  for (let count = 0; count < 9; count++) {
    const answer = await client.ask(query('SELECT pg_backend_pid()'))
    seen.add(answer.find((line) => line.startsWith('DataRow')) ?? '')
  }
  return seen.size
}

for (const [server_round_robin, wanted] of [
  [1, 3],
  [0, 1],
] as const) {
  scenario(`server_round_robin ${server_round_robin}: nine requests use ${wanted} of three links`, async (run) => {
    const options = { settings: { server_round_robin, default_pool_size: 3, min_pool_size: 3 } }
    await sameAnswer(run, options, wanted, async (pooler, app) => {
      await (await pooler.raw()).ask(query('SELECT 1'))
      await app.waitForBackends(3, "state = 'idle'")
      return linksOfNine(pooler)
    })
  })
}

scenario('a server_lifetime of 0 uses a link once', async (run) => {
  await sameAnswer(run, { settings: { server_lifetime: 0, default_pool_size: 3 } }, 9, (pooler) => linksOfNine(pooler))
})

scenario('a client beyond max_client_conn is told what pgbouncer tells it', async (run) => {
  const text = 'no more connections allowed (max_client_conn)'
  await sameError(run, { settings: { max_client_conn: 2 } }, fatal(text), async (pooler) => {
    for (let count = 0; count < 2; count++) await pooler.raw()
    const client = await rawConnect({ port: pooler.port })
    run.defer(() => client.socket.destroy())
    client.send(startup({ user: 'anyone', database: 'app' }))
    return client
  })
})

scenario('a client that does not finish its login is told what pgbouncer tells it', async (run) => {
  await sameError(run, { settings: { client_login_timeout: 1 } }, fatal('client_login_timeout'), async (pooler) => {
    const client = await rawConnect({ port: pooler.port })
    run.defer(() => client.socket.destroy())
    client.send(sslRequest())
    assert.equal(String(await client.rawBytes(1)), 'N')
    return client
  })
})

scenario('new links are opened side by side', async (run) => {
  const wire = await startBadWire(await sharedPostgres())
  run.defer(() => wire.stop())
  const app = await fixedDatabase(run, { facts: { host: wire.host, port: wire.port, pool_size: 5 } })
  const clients = [await app.client(), await app.client(), await app.client(), await app.client()]
  wire.hold('to-client')
  const answers = clients.map((client) => value(client, 'SELECT 1'))
  await poll('three logins are under way beside the link that is there', () => (wire.connections.size === 4 ? true : undefined))
  wire.release()
  assert.deepEqual(await Promise.all(answers), [1, 1, 1, 1])
})
