// What a client asks for in its first packets: parameters that follow it, those that cannot, protocol versions, encryption.
import assert from 'node:assert/strict'
import { backendOf, fixedDatabase, value } from './kit/fixed-database.ts'
import { type RawClient, rawCancel, rawConnect } from './kit/raw-client.ts'
import { gssRequest, int32, message, PROTOCOL_3_2, query, sslRequest, startup } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'

const TRACKED: Record<string, [string, string]> = {
  client_encoding: ['LATIN1', 'SQL_ASCII'],
  DateStyle: ['SQL, DMY', 'German, DMY'],
  TimeZone: ['Asia/Tokyo', 'America/Lima'],
  standard_conforming_strings: ['off', 'on'],
  application_name: ['left', "right's \\ one"],
  IntervalStyle: ['iso_8601', 'sql_standard'],
  default_transaction_read_only: ['on', 'off'],
}

async function show(client: RawClient, name: string): Promise<string> {
  const row = (await client.ask(query(`SHOW ${name}`))).find((line) => line.startsWith('DataRow '))
  return row?.slice("DataRow '".length, -1) ?? ''
}

const side = (index: 0 | 1): Record<string, string> =>
  Object.fromEntries(Object.entries(TRACKED).map(([name, values]) => [name, values[index]]))

scenario('tracked parameters belong to a client: given at startup or SET, on whatever link', async (run) => {
  const settings = { track_extra_parameters: ['IntervalStyle', 'default_transaction_read_only'] }
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings })
  const [left, right, plain] = [await app.raw({ parameters: side(0) }), await app.raw({ parameters: side(1) }), await app.raw()]
  const defaults = await app.direct()
  for (const [name, values] of Object.entries(TRACKED)) {
    assert.equal(left.parameters[name], values[0], `${name} is told at login`)
    for (let round = 0; round < 2; round++) {
      assert.equal(await show(left, name), values[0])
      assert.equal(await show(right, name), values[1])
      assert.equal(await show(plain, name), await show(defaults, name), `${name} of a client that asked for nothing`)
    }
    await right.ask(query(`SET ${name} TO '${values[0]}'`))
    assert.equal(await show(left, name), values[0])
    assert.equal(await show(plain, name), await show(defaults, name))
    assert.equal(await show(right, name), values[0])
    assert.equal(right.parameters[name], values[0], 'the server’s report is forwarded')
  }
  assert.equal((await app.backends()).length, 1)
})

scenario(
  'a tracked list of names is set as the list that it is, and what only one client asked for is not left to the next',
  async (run) => {
    const settings = { track_extra_parameters: ['search_path', 'work_mem'] }
    const sql =
      'CREATE SCHEMA "it\'s ü"; CREATE TABLE "it\'s ü".here AS SELECT 1; GRANT ALL ON SCHEMA "it\'s ü" TO app; GRANT ALL ON "it\'s ü".here TO app'
    const app = await fixedDatabase(run, { facts: { pool_size: 1 }, settings, sql })
    const [path, memory] = [`"it's ü", public`, '1MB']
    const [owner, plain] = [await app.raw({ parameters: { search_path: path, options: `-c work_mem=${memory}` } }), await app.raw()]
    const defaults = await app.direct()
    for (let round = 0; round < 2; round++) {
      assert.ok((await owner.ask(query('SELECT * FROM here'))).includes("DataRow '1'"))
      assert.deepEqual([await show(owner, 'search_path'), await show(owner, 'work_mem')], [path, memory])
      for (const name of ['search_path', 'work_mem']) assert.equal(await show(plain, name), await show(defaults, name))
    }
    assert.equal((await app.backends()).length, 1)
  },
)

for (const pool_mode of ['transaction', 'session']) {
  scenario(`RESET and DISCARD ALL give back what the startup packet asked for, in ${pool_mode} mode`, async (run) => {
    const settings = { track_extra_parameters: ['work_mem'] }
    const app = await fixedDatabase(run, { facts: { pool_size: 1, pool_mode }, settings })
    const wanted = { TimeZone: 'Asia/Tokyo', application_name: 'mine', options: '-c work_mem=1MB' }
    const shown = async (client: RawClient) => [
      await show(client, 'TimeZone'),
      await show(client, 'application_name'),
      await show(client, 'work_mem'),
    ]
    const client = await app.raw({ parameters: wanted })
    const texts = [
      'DISCARD ALL',
      // asyncpg's pool, whenever a connection is given back
      'SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;',
      'BEGIN; RESET TimeZone; RESET application_name; COMMIT',
      'BEGIN; RESET ALL; ROLLBACK',
    ]
    for (const text of texts) {
      await client.ask(query("SET application_name TO 'other'"))
      await client.ask(query(text))
      const kept = text.endsWith('ROLLBACK') ? 'other' : 'mine'
      assert.deepEqual(await shown(client), ['Asia/Tokyo', kept, '1MB'], text)
      assert.deepEqual([client.parameters.TimeZone, client.parameters.application_name], ['Asia/Tokyo', kept], text)
    }
    // sent along: the answers keep their order, and what is set afterwards stays
    client.send(query('RESET ALL'), query("SET application_name TO 'later'"), query('SELECT 7'))
    for (const tag of ['RESET', 'SET', 'SELECT 1']) assert.ok((await client.ready()).includes(`CommandComplete '${tag}'`), tag)
    assert.deepEqual(await shown(client), ['Asia/Tokyo', 'later', '1MB'])
    await client.ask(query("SET TimeZone TO 'UTC'"))
    await client.ask(query('RESET application_name'))
    assert.deepEqual(await shown(client), ['UTC', 'mine', '1MB'])
  })
}

scenario('a name of letters that another client has no encoding for', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 } })
  const [name, spelled] = ["ā\\' é", "\\xc4\\x81\\' \\xc3\\xa9"]
  for (const client_encoding of ['SJIS', 'EUC_JP', 'BIG5', 'LATIN1', 'UTF8']) {
    assert.equal(await show(await app.raw({ parameters: { client_encoding } }), 'client_encoding'), client_encoding)
    assert.equal(await show(await app.raw({ parameters: { application_name: name } }), 'application_name'), spelled)
  }
})

scenario('a parameter set in a transaction that is rolled back, and SET LOCAL, end with it', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 } })
  const [client, other] = [await app.client(), await app.client()]
  await client.query("SET TimeZone TO 'Asia/Tokyo'")
  await client.query("BEGIN; SET TimeZone TO 'America/Lima'")
  await client.query('ROLLBACK')
  await client.query("BEGIN; SET LOCAL TimeZone TO 'Europe/Oslo'; COMMIT")
  assert.notEqual(await value(other, 'SHOW TimeZone'), 'Asia/Tokyo')
  assert.equal(await value(client, 'SHOW TimeZone'), 'Asia/Tokyo')
})

scenario(
  'a value that the server refuses ends the client at its first query with the server’s reason, and the link serves on',
  async (run) => {
    const app = await fixedDatabase(run, { facts: { pool_size: 1 } })
    const client = await rawConnect({ port: app.pglease.port })
    await client.login({ user: 'me', database: 'app', parameters: { TimeZone: 'Mars/Olympus' } })
    client.send(query('SELECT 1'))
    assert.match((await client.rest()).join('\n'), /S='FATAL' C='\w{5}' M='.*invalid value for parameter "TimeZone": "Mars\/Olympus"/)
    client.socket.destroy()
    assert.equal(await value(await app.client(), 'SELECT 1'), 1)
  },
)

async function refusal(port: number, parameters: Record<string, string>): Promise<Record<string, string>> {
  const client = await rawConnect({ port })
  client.send(startup({ user: 'me', database: 'app', ...parameters }))
  await client.rest()
  client.socket.destroy()
  return client.received.find(({ type }) => type === 'E')?.fields ?? {}
}

scenario('other startup parameters are refused with pgbouncer’s text and the fix', async (run) => {
  const app = await fixedDatabase(run)
  const { port } = app.pglease
  const refused = await refusal(port, { statement_timeout: '5s' })
  assert.deepEqual([refused.S, refused.C, refused.M], ['FATAL', '08P01', 'unsupported startup parameter: statement_timeout'])
  assert.match(`${refused.D ?? ''} ${refused.H ?? ''}`, /ignore_startup_parameters/)
  for (const options of [
    '-c statement_timeout=5s',
    '-cstatement_timeout=5s',
    '--statement-timeout=5s',
    '-c TimeZone=UTC -c statement_timeout=1',
  ]) {
    const inOptions = await refusal(port, { options })
    assert.deepEqual(
      [inOptions.S, inOptions.C, inOptions.M],
      ['FATAL', '08P01', 'unsupported startup parameter in options: statement_timeout'],
    )
    assert.match(`${inOptions.D ?? ''} ${inOptions.H ?? ''}`, /ignore_startup_parameters/)
  }
  const replication = await refusal(port, { replication: 'maybe' })
  assert.equal(replication.M, 'bad startup packet: invalid value for parameter "replication": "maybe"')
  const missing = await refusal(port, { database: 'nowhere' })
  assert.deepEqual([missing.C, missing.M], ['08P01', 'no such database: nowhere'])
  assert.equal((await app.raw({ parameters: { extra_float_digits: '3' } })).parameters.client_encoding, 'UTF8')
})

scenario('parameters in options are taken, and ignore_startup_parameters drops those it names', async (run) => {
  const app = await fixedDatabase(run, { settings: { ignore_startup_parameters: ['statement_timeout', 'search_path'] } })
  const client = await app.raw({
    parameters: { options: '-c TimeZone=Asia/Tokyo --DateStyle=SQL,\\ DMY -cstatement_timeout=1', search_path: 'nowhere' },
  })
  assert.equal(await show(client, 'TimeZone'), 'Asia/Tokyo')
  assert.equal(await show(client, 'DateStyle'), 'SQL, DMY')
  assert.equal(await show(client, 'statement_timeout'), '0')
  assert.notEqual(await show(client, 'search_path'), 'nowhere')
  const all = await fixedDatabase(run, { settings: { ignore_startup_parameters: ['options'] } })
  assert.equal(await show(await all.raw({ parameters: { options: '-c statement_timeout=1 --what' } }), 'statement_timeout'), '0')
})

scenario('protocol 3.2 has long cancel keys; newer versions and options are negotiated as PostgreSQL does', async (run) => {
  const app = await fixedDatabase(run)
  const target = { port: app.pglease.port }
  const short = await app.raw()
  assert.equal(short.key.length, 4)
  const client = await app.raw({ version: PROTOCOL_3_2 })
  assert.equal(client.key.length, 32)
  client.send(query('SELECT pg_sleep(30)'))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  await rawCancel(target, client.pid, client.key.subarray(0, 4))
  await rawCancel(target, client.pid, Buffer.concat([client.key.subarray(0, 31), Buffer.from([(client.key[31] ?? 0) ^ 1])]))
  await app.waitForBackends(1, "wait_event = 'PgSleep'")
  await rawCancel(target, client.pid, client.key)
  assert.match((await client.ready()).join('\n'), /C='57014'/)
  for (const [version, parameters] of [
    [PROTOCOL_3_2 + 7, {}],
    [PROTOCOL_3_2 + 7, { '_pq_.colour': 'blue', '_pq_.size': '7' }],
    [PROTOCOL_3_2, { '_pq_.colour': 'blue' }],
    [PROTOCOL_3_2, {}],
  ] as [number, Record<string, string>][]) {
    const negotiated = async (lines: RawClient) => lines.received.map(String).filter((line) => line.startsWith('Negotiate'))
    const [pooled, direct] = [await app.raw({ version, parameters }), await app.direct({ version, parameters })]
    assert.deepEqual(await negotiated(pooled), await negotiated(direct))
  }
})

scenario('a login is told all that PostgreSQL tells', async (run) => {
  const app = await fixedDatabase(run)
  const [pooled, direct] = [await app.raw(), await app.direct()]
  const { is_superuser: ours, session_authorization: user, ...told } = pooled.parameters
  const { is_superuser: theirs, session_authorization: _, ...expected } = direct.parameters
  assert.deepEqual({ ...told, application_name: '' }, { ...expected, application_name: '' })
  assert.deepEqual([ours, theirs, user], ['off', 'on', app.user])
})

scenario('requests for encryption are answered N, and the login goes on in plain text', async (run) => {
  const app = await fixedDatabase(run)
  for (const requests of [[sslRequest()], [gssRequest()], [gssRequest(), sslRequest()]]) {
    const client = await rawConnect({ port: app.pglease.port })
    for (const request of requests) {
      const answer = client.rawBytes(1)
      client.send(request)
      assert.equal(String(await answer), 'N')
    }
    assert.equal((await client.login({ user: 'me', database: 'app' })).at(-1), 'ReadyForQuery I')
    client.terminate()
    await client.rest()
  }
  const greedy = await rawConnect({ port: app.pglease.port })
  for (let round = 0; round < 2; round++) {
    const answer = greedy.rawBytes(1)
    greedy.send(gssRequest())
    assert.equal(String(await answer), 'N')
  }
  greedy.send(gssRequest())
  assert.match((await greedy.rest()).join('\n'), /FATAL.*too many requests for encryption/)
  greedy.socket.destroy()
})

scenario('queries may be sent along with the startup packet, and a password that nobody asked for is a violation', async (run) => {
  const app = await fixedDatabase(run)
  const eager = await rawConnect({ port: app.pglease.port })
  run.defer(() => eager.socket.destroy())
  eager.send(startup({ user: 'me', database: 'app' }), query('SELECT 1'), query('SELECT 2'))
  await eager.ready()
  assert.deepEqual([(await eager.ready())[1], (await eager.ready())[1]], ["DataRow '1'", "DataRow '2'"])
  const pushy = await app.raw()
  pushy.send(message('p', 'secret', int32(0)))
  assert.match((await pushy.rest()).join('\n'), /FATAL' C='08P01' M='protocol violation: unexpected message type 0x70'/)
  assert.ok((await backendOf(await app.client())) > 0)
})
