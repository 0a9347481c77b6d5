// The kit itself, against real servers: a double that lies would make every other test lie.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { startBadWire } from './kit/bad-wire.ts'
import { poll, staysPending } from './kit/child.ts'
import { sharedPostgres, startPostgres } from './kit/postgres.ts'
import { rawCancel, rawConnect, rawLogin } from './kit/raw-client.ts'
import { bind, closeStatement, copyData, copyDone, execute, parse, query, sslRequest, sync } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault, startVault } from './kit/vault.ts'
import { appRole, createToken, databasePolicy, mountDatabase, tokenAccessors } from './kit/vault-database.ts'

test('a PostgreSQL of its own can be frozen, thawed, killed and restarted', async () => {
  const postgres = await startPostgres({ config: { work_mem: '1MB' }, hba: ['host all trusted 127.0.0.1/32 trust'], maxConnections: 20 })
  try {
    assert.deepEqual(await postgres.sql('SHOW max_connections'), [{ max_connections: '20' }])
    await postgres.freeze()
    const late = postgres.sql('SELECT 1 AS one')
    assert.ok(await staysPending(late))
    postgres.thaw()
    assert.deepEqual(await late, [{ one: 1 }])
    await postgres.restart()
    await postgres.kill()
    await assert.rejects(postgres.sql('SELECT 1'))
    await postgres.start()
    assert.deepEqual(await postgres.sql('SELECT 2 AS two'), [{ two: 2 }])
  } finally {
    await postgres.stop()
  }
})

test('PostgreSQL 15 from Debian', async () => {
  const { hasPostgres } = await import('./kit/postgres-binaries.ts')
  if (!hasPostgres('15') && skip('PostgreSQL 15 is not installed')) return
  const postgres = await startPostgres({ version: '15' })
  try {
    assert.match(String((await postgres.sql('SHOW server_version'))[0]?.server_version), /^15\./)
  } finally {
    await postgres.stop()
  }
})

test('Vault leases, renews and revokes roles under the policy that pglease needs', async () => {
  const missing = await noVault()
  if (missing && skip(missing)) return
  const [vault, postgres] = [await sharedVault(), await sharedPostgres()]
  const database = await postgres.createDatabase()
  const mounted = await mountDatabase(vault, postgres, { defaultTtl: 20, maxTtl: 60, database })
  const login = await appRole(vault, { policy: databasePolicy(mounted), tokenTtl: 10, tokenMaxTtl: 30, noDefaultPolicy: true })
  const before = await tokenAccessors(vault)
  const answer = await vault.request('POST', `auth/${login.mount}/login`, { role_id: login.roleId, secret_id: login.secretId }, '')
  const token = answer.auth?.client_token ?? ''
  assert.equal((await tokenAccessors(vault)).length, before.length + 1)
  const lease = await vault.request('GET', mounted.path, undefined, token)
  const { username, password } = lease.data as { username: string; password: string }
  assert.deepEqual(await mounted.leasedRoles(), [username])
  assert.deepEqual(await mounted.leases(), [lease.lease_id])
  const client = new pg.Client({ ...postgres.connection(database), user: username, password })
  await client.connect()
  await client.query('CREATE TABLE made (a int); DROP TABLE made')
  await client.end()
  assert.equal((await vault.request('PUT', 'sys/leases/renew', { lease_id: lease.lease_id, increment: 20 }, token)).lease_duration, 20)
  await vault.request('PUT', `sys/leases/revoke/${lease.lease_id}`, { sync: true }, token)
  assert.deepEqual(await mounted.leasedRoles(), [])
  const narrow = await createToken(vault, databasePolicy(mounted, ['creds']), 30)
  assert.equal((await vault.send('GET', mounted.path, undefined, narrow)).status, 403)
  await vault.request('PUT', 'auth/token/revoke-self', {}, token)
  await mounted.dispose()
  await postgres.dropDatabase(database)
})

test('a Vault of its own can be sealed and frozen', async () => {
  const missing = await noVault()
  if (missing && skip(missing)) return
  const vault = await startVault()
  try {
    await vault.seal()
    assert.equal((await vault.send('GET', 'sys/health')).status, 503)
    await vault.unseal()
    assert.equal((await vault.send('GET', 'sys/health')).status, 200)
    await vault.freeze()
    const late = vault.send('GET', 'sys/health')
    assert.ok(await staysPending(late))
    vault.thaw()
    assert.equal((await late).status, 200)
  } finally {
    await vault.stop()
  }
})

scenario('the raw client reads every kind of conversation, whole and byte by byte', async (run) => {
  const postgres = await sharedPostgres()
  const database = await postgres.createDatabase()
  run.defer(() => postgres.dropDatabase(database))
  for (const oneByte of [false, true]) {
    const wire = await startBadWire(postgres, { oneByte })
    run.defer(() => wire.stop())
    const client = await rawLogin(wire, { user: postgres.superuser, password: postgres.password, database })
    run.defer(() => client.socket.destroy())
    assert.equal(client.parameters.client_encoding, 'UTF8')
    assert.deepEqual(await client.ask(query("SELECT 1 AS a, NULL AS b, 'x' AS c")), [
      "RowDescription 'a':23 'b':25 'c':25",
      "DataRow '1' NULL 'x'",
      "CommandComplete 'SELECT 1'",
      'ReadyForQuery I',
    ])
    assert.deepEqual(await client.ask(parse('', 'SELECT $1::int', [23]), bind('', '', ['5']), execute(), closeStatement(''), sync()), [
      'ParseComplete',
      'BindComplete',
      "DataRow '5'",
      "CommandComplete 'SELECT 1'",
      'CloseComplete',
      'ReadyForQuery I',
    ])
    assert.deepEqual(await client.ask(query('SELEC')), [
      `ErrorResponse S='ERROR' C='42601' M='syntax error at or near "SELEC"' P='1'`,
      'ReadyForQuery I',
    ])
    client.send(query('CREATE TEMP TABLE t (a text); COPY t FROM STDIN'))
    await client.until('G')
    assert.deepEqual(await client.ask(copyData('one\n'), copyDone()), ["CommandComplete 'COPY 1'", 'ReadyForQuery I'])
    client.send(query('SELECT pg_sleep(20)'))
    await poll('the query runs', async () => {
      const rows = await postgres.sql(`SELECT 1 FROM pg_stat_activity WHERE datname = '${database}' AND wait_event = 'PgSleep'`)
      return rows.length > 0 ? true : undefined
    })
    await rawCancel(wire, client.pid, client.key)
    assert.match((await client.ready()).join('\n'), /ErrorResponse .*C='57014'/)
    client.terminate()
    assert.deepEqual(await client.rest(), [])
  }
})

test('the relay holds, resets and half-closes, and counts', async () => {
  const postgres = await sharedPostgres()
  const wire = await startBadWire(postgres)
  const open = () => rawLogin(wire, { user: postgres.superuser, password: postgres.password, database: 'postgres' })
  const client = await open()
  wire.hold('to-client')
  client.send(query('SELECT 1'))
  await assert.rejects(client.next(200), /no a message within 200 ms/)
  wire.release()
  assert.equal((await client.ready()).at(-1), 'ReadyForQuery I')
  const [connection] = wire.connections
  assert.ok(connection)
  connection.halfCloseClient()
  assert.deepEqual(await client.rest(), [])
  wire.resetAll()
  const second = await open()
  wire.resetAll()
  await second.rest()
  assert.equal(second.errorCode, 'ECONNRESET')
  assert.equal(wire.connectionCount, 2)
  wire.refuse = true
  await assert.rejects(open())
  wire.refuse = false
  const plain = await rawConnect(wire)
  plain.send(sslRequest())
  assert.equal(String(await plain.rawBytes(1)), 'N')
  plain.socket.destroy()
  wire.stopListening()
  await assert.rejects(open(), /ECONNREFUSED/)
  await wire.listen()
  ;(await open()).terminate()
  await wire.stop()
})

test('the relay counts HTTP requests and loses an answer', async () => {
  const missing = await noVault()
  if (missing && skip(missing)) return
  const vault = await sharedVault()
  const wire = await startBadWire(vault, { http: true })
  const send = (method: string, path: string, body?: string) =>
    fetch(`http://127.0.0.1:${wire.port}/v1/${path}`, { method, headers: { 'X-Vault-Token': vault.rootToken }, ...(body ? { body } : {}) })
  const mount = `kv-${wire.port}`
  assert.equal((await send('POST', `sys/mounts/${mount}`, '{"type":"kv"}')).status, 204)
  wire.loseNext(/^POST .*\/lost/)
  await assert.rejects(send('POST', `${mount}/lost`, '{"a":1}'))
  assert.equal((await send('GET', `${mount}/lost`)).status, 200, 'the request arrived')
  assert.deepEqual(wire.requestLines, [`POST /v1/sys/mounts/${mount}`, `POST /v1/${mount}/lost`, `GET /v1/${mount}/lost`])
  await vault.request('DELETE', `sys/mounts/${mount}`)
  await wire.stop()
})
