// Transaction pooling over a real PostgreSQL: many clients on few links, transactions, waiting, cancelling, vanishing.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { poll, staysPending } from './kit/child.ts'
import { backendOf, fixedDatabase, sqlstateOf, value } from './kit/fixed-database.ts'
import { rawCancel, rawLogin } from './kit/raw-client.ts'
import { bind, execute, functionCall, parse, query, sync, terminate } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'

scenario('20 clients share 2 links, and every query is answered to the one who asked', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2 } })
  const clients = await Promise.all(Array.from({ length: 20 }, () => app.client()))
  const backends = new Set<number>()
  await Promise.all(
    clients.map(async (client, index) => {
      for (let round = 0; round < 25; round++) {
        const { rows } = await client.query('SELECT pg_backend_pid() AS pid, $1::int AS echo', [index * 1000 + round])
        backends.add(rows[0].pid)
        assert.equal(rows[0].echo, index * 1000 + round)
      }
    }),
  )
  assert.equal(backends.size, 2)
  assert.deepEqual(new Set(await app.backends()), backends)
  assert.deepEqual(
    clients.flatMap((client) => client.errors),
    [],
  )
})

scenario('a transaction keeps its link until it ends, others wait for it', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 2 } })
  const [first, second, third] = [await app.client(), await app.client(), await app.client()]
  await first.query('BEGIN')
  await second.query('BEGIN')
  const pids = [await backendOf(first), await backendOf(second)]
  assert.notEqual(pids[0], pids[1])
  const waiting = backendOf(third)
  for (let round = 0; round < 5; round++) assert.deepEqual([await backendOf(first), await backendOf(second)], pids)
  assert.ok(await staysPending(waiting))
  await second.query('COMMIT')
  assert.equal(await waiting, pids[1])
  assert.equal(await backendOf(first), pids[0])
  await first.query('ROLLBACK')
})

scenario('nothing of a transaction reaches the next client of its link', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, sql: 'CREATE TABLE entries (a int); GRANT ALL ON entries TO app' })
  const [left, right] = [await app.client(), await app.client()]
  await left.query("BEGIN; SET LOCAL statement_timeout = '7s'; INSERT INTO entries VALUES (1)")
  await left.query('COMMIT')
  assert.equal(await value(right, 'SHOW statement_timeout'), '0')
  await left.query('BEGIN')
  assert.equal(await sqlstateOf(left.query('SELECT 1/0')), '22012')
  assert.equal(await sqlstateOf(left.query('SELECT 1')), '25P02')
  await left.query('ROLLBACK')
  assert.equal(await value(right, 'SELECT count(*)::int FROM entries'), 1)
  // a client that leaves in the middle: what it did is rolled back and its link is not handed on as it is
  await left.query('BEGIN; INSERT INTO entries VALUES (2)')
  await left.end()
  assert.equal(await value(right, 'SELECT count(*)::int FROM entries'), 1)
  assert.equal(await value(right, 'SELECT pg_current_xact_id_if_assigned() IS NULL'), true)
})

scenario('a client that waits is told so, then refused, and later ones are served', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings: { query_wait_notify: 1, query_wait_timeout: 3 } })
  const holder = await app.client()
  await holder.query('BEGIN')
  const waiting = await app.raw()
  waiting.send(query('SELECT 1'))
  assert.deepEqual((await waiting.rest()).slice(-2), [
    "NoticeResponse S='NOTICE' C='00000' M='No server connection available in postgres backend, client being queued'",
    "ErrorResponse S='FATAL' C='08P01' M='query_wait_timeout' H='All server connections were in use: raise default_pool_size, or query_wait_timeout.'",
  ])
  const patient = await app.client()
  const answer = value(patient, 'SELECT 42')
  assert.ok(await staysPending(answer))
  await holder.query('COMMIT')
  assert.equal(await answer, 42)
})

scenario('a cancel request ends the running query of its own session only', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 3 } })
  const target = { port: app.pglease.port }
  const [client, other] = [await app.raw(), await app.raw()]
  client.send(query('SELECT pg_sleep(30)'))
  other.send(query('SELECT pg_sleep(3), 7 AS answer'))
  await app.waitForBackends(2, "wait_event = 'PgSleep'")
  const wrong = Buffer.from(client.key)
  wrong.writeUInt8((wrong[0] ?? 0) ^ 1, 0)
  await rawCancel(target, client.pid, wrong)
  await rawCancel(target, client.pid ^ 1, client.key)
  await app.waitForBackends(2, "wait_event = 'PgSleep'")
  await rawCancel(target, client.pid, client.key)
  assert.deepEqual((await client.ready()).slice(-2), [
    "ErrorResponse S='ERROR' C='57014' M='canceling statement due to user request'",
    'ReadyForQuery I',
  ])
  assert.match((await other.ready()).join('\n'), /DataRow '' '7'/)
  // a cancel that comes when nothing runs hits nobody, also not the next query on the link
  await rawCancel(target, client.pid, client.key)
  assert.match((await client.ask(query('SELECT pg_sleep(0.2), 8'))).join('\n'), /DataRow '' '8'/)
})

scenario('the cancel of psql ends its query', async (run) => {
  const app = await fixedDatabase(run)
  const args = ['-X', '-h', '127.0.0.1', '-p', String(app.pglease.port), '-U', 'me', 'app', '-c', 'SELECT pg_sleep(30)']
  const psql = spawn('psql', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  run.defer(() => psql.kill('SIGKILL'))
  let stderr = ''
  psql.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise((resolve) => psql.once('close', resolve))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  psql.kill('SIGINT')
  assert.equal(await ended, 1)
  assert.match(stderr, /canceling statement due to user request/)
})

scenario('the query of a client that vanished ends on the server, and the link with it', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 } })
  for (const leave of ['vanish', 'terminate'] as const) {
    const client = await app.raw()
    client.send(query('SELECT pg_sleep(60)'))
    const [pid] = await app.waitForBackends(1, "wait_event = 'PgSleep'")
    if (leave === 'vanish') client.vanish()
    else client.socket.end() // FIN without Terminate
    await app.waitForBackends(0, `pid = ${pid}`, 10_000)
    assert.notEqual(await backendOf(await app.client()), pid)
  }
})

scenario('the query of a client that left while it waited does not run', async (run) => {
  const sql = 'CREATE SEQUENCE ran; GRANT ALL ON ran TO app'
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, sql })
  const holder = await app.client()
  await holder.query('BEGIN')
  const leaving = await app.raw()
  leaving.send(query("SELECT nextval('ran')"))
  const staying = await app.raw()
  staying.send(query('SELECT 1'))
  leaving.vanish()
  await app.pglease.waitForLog('client_closed', (line) => line.client === leaving.pid)
  await holder.query('COMMIT')
  assert.equal((await staying.ready()).at(-1), 'ReadyForQuery I')
  assert.deepEqual(await app.sql('SELECT is_called FROM ran'), [{ is_called: false }])
})

scenario('what was asked before Terminate is answered, as PostgreSQL does', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, sql: 'CREATE TABLE t (a int); GRANT ALL ON t TO app' })
  const asked = [query('INSERT INTO t VALUES (1) RETURNING a'), parse('', 'SELECT 2'), bind('', ''), execute(), sync(), terminate()]
  const answers: string[][] = []
  for (const client of [await app.direct(), await app.raw()]) {
    client.send(...asked)
    answers.push(await client.rest())
  }
  assert.deepEqual(answers[1], answers[0])
  assert.deepEqual(await app.sql('SELECT count(*)::int AS count FROM t'), [{ count: 2 }])
})

scenario('a Query in a batch without Sync leaves no error for the session that comes next on the link', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 } })
  const [first, other] = [await app.raw(), await app.raw({ parameters: { TimeZone: 'Asia/Tokyo' } })]
  const opened = [parse('', 'SELECT 1'), bind('', ''), execute()]
  for (const inside of [query('SELECT 2'), query(''), functionCall(882, ['a '])]) {
    // PostgreSQL 18 says T, then I to the Sync, and fails the command after it
    first.send(...opened, inside, sync())
    await first.ready()
    assert.deepEqual(await first.ready(), ['ReadyForQuery I'])
    for (const next of [other, first]) {
      const lines = await next.ask(query('SHOW TimeZone'))
      assert.deepEqual(lines.slice(-2), ["CommandComplete 'SHOW'", 'ReadyForQuery I'])
    }
  }
  assert.equal((await app.backends()).length, 1, 'the link is kept')
  assert.deepEqual(app.pglease.logged('link_closed'), [])
})

scenario('a unix socket serves alone or beside TCP, with the permissions asked for', async (run) => {
  const folder = mkdtempSync(join(tmpdir(), 'socket-'))
  run.defer(() => rmSync(folder, { recursive: true, force: true }))
  const app = await fixedDatabase(run, {
    settings: { listen_addr: '127.0.0.1', unix_socket_dir: folder, unix_socket_mode: '0600' },
  })
  const path = await app.pglease.listening('unix')
  assert.equal(path, join(folder, `.s.PGSQL.${app.pglease.port}`))
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const client = new pg.Client({ host: folder, port: app.pglease.port, user: 'me', database: 'app' })
  await client.connect()
  assert.equal(await value(client, 'SELECT current_user'), app.user)
  await client.end()
  const raw = await rawLogin({ path }, { user: 'me', database: 'app' })
  assert.equal((await raw.ask(query('SELECT 5'))).at(-1), 'ReadyForQuery I')
  raw.terminate()
  await raw.rest()
  await app.pglease.stop()
  await poll('the socket is removed', () => (statSync(path, { throwIfNoEntry: false }) === undefined ? true : undefined), 5_000)
})
