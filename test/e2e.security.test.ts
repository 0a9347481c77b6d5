// Faults that others had (CVE by CVE), tried on the compiled program: what concerns its ports and the servers it logs in to.
import assert from 'node:assert/strict'
import { fixedDatabase, value } from './kit/fixed-database.ts'
import type { Pglease } from './kit/pglease.ts'
import { rawConnect, rawLogin } from './kit/raw-client.ts'
import { int32, message, PROTOCOL_3_0, password, query, sslRequest, startup } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { besieged, exchange } from './scenarios/hostile.ts'
import { afterLogin, hostileServer, LOGIN_ATTACKS, QUERY_ATTACKS } from './scenarios/hostile_server.ts'

const PASSWORD = 'the-password-of-links'

async function ask(pglease: Pglease, ...parts: Buffer[]): Promise<string> {
  return exchange(pglease.port, Buffer.concat(parts))
}

scenario('CVE-2012-4575: an overlong database name is refused before anything is done with it', async (run) => {
  const { pglease } = await fixedDatabase(run)
  const named = (length: number) => ask(pglease, startup({ user: 'me', database: 'x'.repeat(length) }))
  assert.match(await named(63), /no such database: x{63}/)
  assert.match(await named(64), /bad startup packet: database name is longer than 63 bytes/)
  assert.match(await named(9_900), /bad startup packet: database name is longer than 63 bytes/)
})

scenario('CVE-2015-4054: a password before the startup packet is refused', async (run) => {
  const { pglease } = await fixedDatabase(run)
  assert.match(await ask(pglease, password('secret')), /SFATAL.*bad startup packet: invalid length/)
})

scenario('CVE-2015-6817: a client’s name never becomes an identity on the server', async (run) => {
  const app = await fixedDatabase(run)
  for (const user of ['postgres', 'nobody-knows', app.user])
    assert.equal(await value(await app.client(user), 'SELECT session_user'), app.user)
})

scenario('CVE-2021-3935, CVE-2021-23214, CVE-2021-43766: what is sent along with a request for TLS is not used', async (run) => {
  const app = await fixedDatabase(run, { sql: 'CREATE SEQUENCE injected; GRANT ALL ON injected TO app' })
  const injected = [startup({ user: 'me', database: 'app' }), query("SELECT nextval('injected')")]
  assert.match(await ask(app.pglease, sslRequest(), ...injected), /SFATAL.*received unencrypted data/)
  assert.deepEqual(await app.sql('SELECT is_called FROM injected'), [{ is_called: false }])
})

scenario('CVE-2021-23222, CVE-2021-43767: a server’s bytes before the TLS handshake are not used', async (run) => {
  const script = (turn: number) =>
    turn === 0 ? Buffer.concat([Buffer.from('S'), message('R', int32(0)), message('Z', Buffer.from('I'))]) : undefined
  const pglease = await withServer(run, script, { server_tls_sslmode: 'require', server_require_auth: ['trust'] })
  await pglease.waitForLog('login_failed', (line) => line.code === 'tls_failed' || line.code === 'server_misbehaved')
})

scenario('CVE-2025-12819: parameters of a startup packet reach no server connection but the client’s own tracked ones', async (run) => {
  const facts = { pool_size: 1, connect_query: "INSERT INTO seen SELECT current_setting('search_path')" }
  const settings = { ignore_startup_parameters: ['search_path', 'session_preload_libraries'] }
  const sql = 'CREATE TABLE seen (path text); GRANT ALL ON seen TO app; CREATE SCHEMA evil'
  const app = await fixedDatabase(run, { facts, settings, sql })
  const client = await app.raw({ parameters: { search_path: 'evil', session_preload_libraries: 'evil', options: '-c search_path=evil' } })
  assert.match((await client.ask(query('SHOW search_path'))).join('\n'), /DataRow '"\$user", public'/)
  assert.deepEqual(await app.sql('SELECT DISTINCT path FROM seen'), [{ path: '"$user", public' }])
  const refused = await ask(app.pglease, startup({ user: 'me', database: 'app', role: 'postgres' }))
  assert.match(refused, /unsupported startup parameter: role/)
})

scenario(
  'CVE-2026-107348, CVE-2026-6664: lengths beyond 2^31 are refused from the header alone, before the login and after it',
  async (run) => {
    const { pglease } = await fixedDatabase(run)
    for (const length of [2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1]) {
      const bytes = Buffer.alloc(8)
      bytes.writeUInt32BE(length)
      bytes.writeInt32BE(PROTOCOL_3_0, 4)
      assert.match(await ask(pglease, bytes), /bad startup packet: invalid length/)
      for (const type of ['Q', 'P', 'd', 'B']) {
        const header = Buffer.from(`${type}....`)
        header.writeUInt32BE(length, 1)
        assert.match(await ask(pglease, startup({ user: 'me', database: 'app' }), header), /SFATAL.*message too large/, `${type} ${length}`)
      }
    }
  },
)

scenario('CVE-2026-107349: options with an empty name end, whatever is ignored', async (run) => {
  const { pglease } = await fixedDatabase(run, { settings: { ignore_startup_parameters: ['extra_float_digits', 'x'] } })
  for (const options of ['-c=', '-c =', '-c', '-c=1 -c=2', '--=', '-c x', '--', '-', '\\']) {
    const answer = await ask(pglease, startup({ user: 'me', database: 'app', options }))
    assert.match(answer, /SFATAL.*(bad startup packet|unsupported startup parameter)/, options)
  }
})

scenario('CVE-2026-107350: a second startup packet changes nobody’s name and ends the connection', async (run) => {
  const app = await fixedDatabase(run)
  const client = await rawLogin({ port: app.pglease.port }, { user: 'me', database: 'app' })
  client.send(startup({ user: 'postgres', database: 'app' }), query('SELECT 1'))
  assert.match((await client.rest()).join('\n'), /^ErrorResponse S='FATAL' C='08P01'/)
  client.socket.destroy()
  const greedy = await rawConnect({ port: app.pglease.port })
  greedy.send(startup({ user: 'me', database: 'app' }), startup({ user: 'postgres', database: 'app' }))
  assert.match((await greedy.rest()).at(-1) ?? '', /^ErrorResponse S='FATAL' C='08P01'/)
  greedy.socket.destroy()
})

scenario('CVE-2024-6468: a PROXY header is not believed', async (run) => {
  const { pglease } = await fixedDatabase(run)
  const answer = await ask(pglease, Buffer.from('PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n'), startup({ user: 'me', database: 'app' }))
  assert.match(answer, /SFATAL.*bad startup packet: invalid length/)
})

scenario('CVE-2026-92867, CVE-2026-6667: the data port has no management, and the public HTTP port none either', async (run) => {
  const { app } = await besieged(run)
  for (const database of ['pgbouncer', 'pglease', 'admin']) {
    assert.match(await ask(app.pglease, startup({ user: 'me', database })), /no such database/)
  }
  const paths = ['/quitquitquit', '/api/state', '/debug/pprof/', '/heap', '/json', '/agent/v1/quit', '/_bun/', '/config', '/']
  for (const path of paths) assert.equal((await app.pglease.http(path, { method: 'POST' })).status, 404, path)
  for (const path of paths.slice(2, -1)) assert.equal((await app.pglease.admin(path)).status, 404, path)
})

scenario('CVE-2026-115364: quit is off by default, and when on it takes a POST with the header and no browser', async (run) => {
  const header = { 'X-Pglease-Request': 'true' }
  const off = (await fixedDatabase(run, { http: true })).pglease
  assert.equal((await off.admin('/quitquitquit', { method: 'POST' })).status, 404)
  const { pglease } = await fixedDatabase(run, { http: true, settings: { quitquitquit: true } })
  const send = async (init: RequestInit) => (await fetch(`http://127.0.0.1:${pglease.adminPort}/quitquitquit`, init)).status
  assert.equal(await send({ method: 'POST' }), 403)
  assert.equal(await send({ method: 'POST', headers: { ...header, Origin: 'http://evil.example' } }), 403)
  assert.equal(await send({ method: 'POST', headers: { ...header, Origin: `http://127.0.0.1:${pglease.adminPort}` } }), 403)
  assert.ok([404, 405].includes(await send({ method: 'GET', headers: header })))
  assert.equal(pglease.child.ended, undefined)
  assert.equal(await send({ method: 'POST', headers: header }), 200)
  assert.deepEqual(await pglease.exit, { code: 0, signal: null })
})

async function withServer(
  run: Scenario,
  script: Parameters<typeof hostileServer>[1],
  facts: Record<string, unknown> = {},
): Promise<Pglease> {
  const port = await hostileServer(run, script)
  const database = { host: '127.0.0.1', port, dbname: 'x', user: 'links', password: PASSWORD, server_tls_sslmode: 'disable', pool_size: 1 }
  return run.pglease({
    config: {
      http_addr: '',
      admin_addr: '',
      server_connect_timeout: 2,
      client_login_timeout: 10,
      databases: { app: { ...database, ...facts } },
    },
  })
}

for (const [name, script] of Object.entries(LOGIN_ATTACKS(PASSWORD))) {
  scenario(`a hostile server at login: ${name}`, async (run) => {
    let reached = ''
    const watched: typeof script = (turn, bytes) => {
      reached += bytes.toString('latin1')
      return script(turn, bytes)
    }
    const pglease = await withServer(run, watched)
    const { code } = await pglease.waitForLog('login_failed', undefined, 10_000)
    assert.match(String(code), /^(server_misbehaved|auth_method_refused|login_not_permitted)$/)
    assert.ok(!reached.includes(PASSWORD), 'the password was not sent')
    assert.ok(!pglease.child.stderr.includes(PASSWORD))
    assert.equal(pglease.child.ended, undefined)
    assert.deepEqual(pglease.logged('bug'), [])
  })
}

scenario('hostile servers after the login: the client gets an answer or an end, and the next one is served', async (run) => {
  for (const [name, bytes] of Object.entries(QUERY_ATTACKS)) {
    // whole replies are the client's; what follows them ends the link
    const answered = name === 'a ReadyForQuery too many' ? /Z\.{4}I.*SELECT 0\.Z\.{4}I/ : /Z\.{4}I.*E\.{3}/
    const pglease = await withServer(run, afterLogin(PASSWORD, bytes))
    const asked = Buffer.concat([startup({ user: 'me', database: 'app' }), query('SELECT 1')])
    assert.match(await exchange(pglease.port, asked, { until: answered }), answered, name)
    assert.equal(pglease.child.ended, undefined, name)
    assert.deepEqual(pglease.logged('bug'), [], name)
    const next = await rawLogin({ port: pglease.port }, { user: 'me', database: 'app' })
    next.terminate()
    await next.rest()
  }
})
