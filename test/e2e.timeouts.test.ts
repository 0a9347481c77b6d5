// The timeouts of sessions, each beside a real pgbouncer where Debian's has it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { staysPending } from './kit/child.ts'
import { fixedDatabase, value } from './kit/fixed-database.ts'
import { fatal, lastError, pgbouncerBeside, sameError } from './kit/limits.ts'
import { query } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'

scenario('query_timeout ends a query that runs, and cancels it', async (run) => {
  const app = await sameError(run, { settings: { query_timeout: 1 } }, fatal('query timeout'), async (pooler) => {
    const client = await pooler.raw()
    client.send(query('SELECT pg_sleep(20)'))
    return client
  })
  const client = await app.client()
  for (let count = 0; count < 3; count++) assert.equal(await value(client, 'SELECT 1'), 1)
  const late = await app.raw()
  late.send(query('SELECT pg_sleep(21)'))
  assert.equal(await lastError(late), fatal('query timeout'))
  // pgbouncer leaves it running to its end
  await app.waitForBackends(0, "query = 'SELECT pg_sleep(21)' AND state = 'active'", 5_000)
})

scenario('query_timeout does not end a transaction that rests; that of pgbouncer does', async (run) => {
  const settings = { query_timeout: 1 }
  const app = await fixedDatabase(run, { settings })
  const pgbouncer = await pgbouncerBeside(run, app, settings)
  const client = await app.raw()
  const theirs = await pgbouncer?.raw()
  for (const each of [client, theirs]) await each?.ask(query('BEGIN'))
  if (theirs !== undefined) assert.equal(await lastError(theirs), fatal('query timeout'))
  assert.ok(await staysPending(once(client.socket, 'close'), 1_500))
  assert.equal((await client.ask(query('COMMIT'))).at(-1), 'ReadyForQuery I')
})

scenario('query_timeout ends a query that waits', async (run) => {
  const options = { settings: { query_timeout: 2, default_pool_size: 1 } }
  await sameError(run, options, fatal('query_timeout'), async (pooler) => {
    const holder = await pooler.raw()
    await holder.ask(query('BEGIN'))
    const client = await pooler.raw()
    client.send(query('SELECT 1'))
    // pgbouncer counts the time since the last request, in a transaction that rests too: this one has to outlive the client that waits
    assert.ok(await staysPending(once(client.socket, 'close'), 1_000))
    await holder.ask(query('SELECT 1'))
    return client
  })
})

scenario('a client that is ended within a row has nothing but the begin of that row', async (run) => {
  const app = await fixedDatabase(run, { settings: { query_timeout: 1 } })
  const client = await app.raw()
  client.socket.pause()
  client.send(query("SELECT repeat('x', 64000000)"))
  assert.equal((await app.pglease.waitForLog('pooler_error')).code, 'query_timeout')
  const received = client.rawBytes(64_000_000)
  client.socket.resume()
  const row = (await received).toString('latin1')
  assert.match(row.slice(0, 200), /^T.*D.*x{50}/s)
  assert.equal(row.slice(row.indexOf('x'.repeat(50))).replaceAll('x', ''), '')
})

scenario('idle_transaction_timeout ends a transaction that is left open, also a failed one', async (run) => {
  const options = { settings: { idle_transaction_timeout: 1, default_pool_size: 1 } }
  const app = await sameError(run, options, fatal('idle transaction timeout'), async (pooler) => {
    const client = await pooler.raw()
    await client.ask(query('BEGIN'))
    return client
  })
  const failed = await app.raw()
  await failed.ask(query('BEGIN; SELECT 1/0'))
  assert.equal(await lastError(failed), fatal('idle transaction timeout'))
  const busy = await app.raw()
  await busy.ask(query('BEGIN'))
  assert.equal((await busy.ask(query('SELECT pg_sleep(1.7)'))).at(-1), 'ReadyForQuery T', 'what runs is not idle')
  assert.equal((await busy.ask(query('COMMIT'))).at(-1), 'ReadyForQuery I')
  assert.ok(await staysPending(busy.rest(), 1_500), 'outside a transaction it may rest')
})

scenario('client_idle_timeout ends a client that rests, and none that is in a transaction', async (run) => {
  const app = await sameError(run, { settings: { client_idle_timeout: 1 } }, fatal('client_idle_timeout'), async (pooler) => {
    const client = await pooler.raw()
    await client.ask(query('SELECT 1'))
    return client
  })
  const client = await app.raw()
  await client.ask(query('BEGIN'))
  assert.equal((await client.ask(query('SELECT pg_sleep(2)'))).at(-1), 'ReadyForQuery T')
  assert.ok(await staysPending(client.until('E'), 1_500))
})

// pgbouncer has it since 1.23: the text is the one of its list
scenario('transaction_timeout ends a transaction, whether it runs or rests, and no chain of short ones', async (run) => {
  const app = await fixedDatabase(run, { facts: { transaction_timeout: 1, pool_size: 2 } })
  const resting = await app.raw()
  await resting.ask(query('BEGIN'))
  assert.equal(await lastError(resting), fatal('transaction timeout'))
  const running = await app.raw()
  running.send(query('BEGIN'), query('SELECT pg_sleep(20)'))
  assert.equal(await lastError(running), fatal('transaction timeout'))
  const single = await app.raw()
  single.send(query('SELECT pg_sleep(20)'))
  assert.equal(await lastError(single), fatal('transaction timeout'))
  const chain = await app.raw()
  const links = Array.from({ length: 10 }, () => query('SELECT pg_sleep(0.3)'))
  chain.send(...links)
  for (let count = 0; count < links.length; count++) assert.equal((await chain.ready()).at(-1), 'ReadyForQuery I')
})

scenario('a database may have a timeout of its own, and the reason of each end is counted', async (run) => {
  const app = await fixedDatabase(run, { http: true, settings: { client_idle_timeout: 60 }, facts: { client_idle_timeout: '500ms' } })
  assert.equal(await lastError(await app.raw()), fatal('client_idle_timeout'))
  const metrics = await app.pglease.metrics()
  assert.equal(metrics.sum('pglease_connections_closed_total', { side: 'client', reason: 'client_idle_timeout' }), 1)
  assert.equal(metrics.sum('pglease_client_errors_total', { code: 'client_idle_timeout' }), 1)
})

scenario('a reset query that hangs costs its connection after server_connect_timeout, and the next client gets another', async (run) => {
  const settings = { pool_mode: 'session', default_pool_size: 1, server_reset_query: 'SELECT pg_sleep(60)', server_connect_timeout: 2 }
  const app = await fixedDatabase(run, { settings })
  const first = await app.raw()
  await first.ask(query('SELECT 1'))
  const [pid] = await app.backends()
  first.terminate()
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  const next = await app.raw()
  assert.equal((await next.ask(query('SELECT 1'))).at(-1), 'ReadyForQuery I')
  assert.notDeepEqual(await app.backends("query = 'SELECT 1'"), [pid])
  assert.equal((await app.pglease.waitForLog('link_closed')).reason, 'own_query_timeout')
})
