// Several hosts: which one a server connection goes to, and what happens when a host is no longer what is asked for.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { poll } from './kit/child.ts'
import { backendOf, fixedDatabase, sqlstateOf, value } from './kit/fixed-database.ts'
import type { Pglease } from './kit/pglease.ts'
import { type OwnPostgres, sharedPostgres } from './kit/postgres.ts'
import { rawCancel, rawLogin } from './kit/raw-client.ts'
import { query } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noStandby, promote } from './kit/standby.ts'
import { clusterFacts, startCluster, USER } from './scenarios/cluster.ts'

const missing = noStandby()
/** Runs what follows with the file that is named first in place of /etc/hosts. */
const WITH_HOSTS = ['unshare', '--map-root-user', '--mount', '--', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"']
const WRITE = 'UPDATE item SET value = value + 1 WHERE id = 1'

const portOf = (client: pg.Client): Promise<unknown> => value(client, 'SELECT inet_server_port()')

async function clientOf(run: Scenario, pglease: Pglease, database: string): Promise<pg.Client & { errors: Error[] }> {
  const client = await pglease.client(database)
  run.defer(() => client.end().catch(() => undefined))
  return client
}

/** The servers of `count` links at the same time. */
async function portsOf(run: Scenario, pglease: Pglease, database: string, count: number): Promise<number[]> {
  const clients: pg.Client[] = []
  for (let number = 0; number < count; number++) clients.push(await clientOf(run, pglease, database))
  for (const client of clients) await client.query('BEGIN')
  const ports: number[] = []
  for (const client of clients) ports.push(Number(await portOf(client)))
  for (const client of clients) await client.query('COMMIT')
  return ports.sort()
}

/** One pglease with a database for each set of `facts` about the same two servers. */
const before = (run: Scenario, facts: Record<string, unknown>, databases: Record<string, Record<string, unknown>>): Promise<Pglease> =>
  run.pglease({
    config: {
      http_addr: '',
      admin_addr: '',
      databases: Object.fromEntries(Object.entries(databases).map(([name, more]) => [name, { ...facts, ...more }])),
    },
  })

async function setReadOnly(server: OwnPostgres, setting: 'on' | 'off'): Promise<void> {
  await server.sql(`ALTER SYSTEM SET default_transaction_read_only = ${setting}`)
  await server.sql('SELECT pg_reload_conf()')
}

const backendsOn = async (server: OwnPostgres): Promise<number[]> =>
  (await server.sql<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE usename = '${USER}'`)).map(({ pid }) => pid)

scenario('target_session_attrs and load_balance_hosts choose the server; a cancel goes to that of the link', async (run) => {
  if (missing && skip(missing)) return
  const cluster = await startCluster(run)
  const { primary, standby } = cluster
  const attributes = ['read-write', 'read-only', 'primary', 'standby', 'prefer-standby']
  const asked = Object.fromEntries(attributes.map((attribute) => [attribute, { target_session_attrs: attribute }]))
  const balanced = { round: {}, disable: { load_balance_hosts: 'disable' } }
  const pglease = await before(run, clusterFacts(cluster), { ...asked, ...balanced })
  const [one, other] = [primary.port, standby.port]
  const both = [one, one, other, other].sort()
  const rows: [string, number[]][] = [
    ['read-write', [one, one, one, one]],
    ['primary', [one, one, one, one]],
    ['read-only', [other, other, other, other]],
    ['standby', [other, other, other, other]],
    ['prefer-standby', [other, other, other, other]],
    ['round', both],
    ['disable', [one, one, one, one]],
  ]
  for (const [database, ports] of rows) assert.deepEqual(await portsOf(run, pglease, database, 4), ports, database)
  const client = await rawLogin({ port: pglease.port }, { user: 'anyone', database: 'standby' })
  run.defer(() => client.socket.destroy())
  client.send(query('SELECT pg_sleep(60)'))
  const sleeping = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60)'"
  await poll('the query runs', async () => ((await standby.sql(sleeping)).length > 0 ? true : undefined))
  await rawCancel({ port: pglease.port }, client.pid, client.key)
  assert.match(String(await client.until('E')), /57014/)
})

scenario(
  'a primary that becomes read-only: its server connections are replaced, and writers wait until a host takes writes',
  async (run) => {
    if (missing && skip(missing)) return
    const cluster = await startCluster(run)
    const { primary } = cluster
    const pglease = await before(run, clusterFacts(cluster), { app: { target_session_attrs: 'read-write' } })
    assert.deepEqual(await portsOf(run, pglease, 'app', 3), [primary.port, primary.port, primary.port])
    const old = await backendsOn(primary)
    assert.ok(old.length >= 3)
    const [first, second] = [await clientOf(run, pglease, 'app'), await clientOf(run, pglease, 'app')]
    await setReadOnly(primary, 'on')
    // the server answers as it is until it has read its configuration
    await poll('the first write is refused', async () => ((await sqlstateOf(first.query(WRITE))) === '25006' ? true : undefined))
    await poll('all its connections are closed', async () =>
      (await backendsOn(primary)).some((pid) => old.includes(pid)) ? undefined : true,
    )
    const writes = Promise.all([first.query(WRITE), second.query(WRITE)])
    await pglease.waitForLog('login_failed', ({ code }) => code === 'no_host_fits')
    await setReadOnly(primary, 'off')
    await writes
    assert.equal(await portOf(second), primary.port)
    assert.deepEqual([...first.errors, ...second.errors], [])
  },
)

scenario('prefer-standby takes the primary while there is no standby; a standby that lacks the role yet is passed over', async (run) => {
  if (missing && skip(missing)) return
  const cluster = await startCluster(run)
  const { primary, standby } = cluster
  await standby.sql('SELECT pg_wal_replay_pause()')
  await primary.createUser('latecomer', 'pw-of-latecomer')
  const late = { user: 'latecomer', password: 'pw-of-latecomer' }
  const pglease = await before(run, clusterFacts(cluster), { late, prefer: { target_session_attrs: 'prefer-standby' } })
  assert.deepEqual(await portsOf(run, pglease, 'late', 3), [primary.port, primary.port, primary.port])
  await standby.sql('SELECT pg_wal_replay_resume()')
  const preferring = await clientOf(run, pglease, 'prefer')
  assert.equal(await portOf(preferring), standby.port)
  const backend = await backendOf(preferring)
  await standby.stopServer()
  assert.equal(await portOf(preferring), primary.port)
  assert.notEqual(await backendOf(preferring), backend)
  assert.deepEqual(preferring.errors, [])
  assert.ok(!pglease.log.some(({ event }) => event === 'login_failed'))
})

scenario('a host name with another address: server connections to the old one are replaced, and nobody is disconnected', async (run) => {
  const folder = mkdtempSync(join(tmpdir(), 'pglease-hosts-'))
  run.defer(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'hosts')
  const point = (address: string) => writeFileSync(file, `${address} moving.test\n`)
  point('127.0.0.1')
  if (spawnSync('unshare', [...WITH_HOSTS.slice(1), file, 'true']).status !== 0 && skip('no mount namespace can be made here')) return
  const postgres = await run.postgres({
    config: { listen_addresses: '127.0.0.1,127.0.0.2' },
    hba: ['host all all 127.0.0.2/32 scram-sha-256'],
  })
  await postgres.createUser(USER, 'pw-of-writer')
  const login = { dbname: 'postgres', user: USER, password: 'pw-of-writer', server_tls_sslmode: 'disable' }
  const pglease = await run.pglease({
    wrapper: [...WITH_HOSTS, file],
    config: {
      http_addr: '',
      admin_addr: '',
      dns_max_ttl: '1s',
      databases: { app: { host: 'moving.test', port: postgres.port, ...login } },
    },
  })
  const client = await clientOf(run, pglease, 'app')
  const address = (of: pg.Client = client): Promise<unknown> => value(of, 'SELECT host(inet_server_addr())')
  assert.equal(await address(), '127.0.0.1')
  point('127.0.0.2')
  await client.query('BEGIN')
  const other = await clientOf(run, pglease, 'app')
  await poll('others go to the new address', async () => ((await address(other)) === '127.0.0.2' ? true : undefined))
  assert.equal(await address(), '127.0.0.1', 'a transaction keeps its server')
  await client.query('COMMIT')
  await poll('the new address is used', async () => ((await address()) === '127.0.0.2' ? true : undefined))
  assert.deepEqual([...client.errors, ...other.errors], [])
  point('127.0.0.3')
  await poll('nobody answers there', async () => ((await backendsOn(postgres)).length === 0 ? true : undefined))
  const waiting = address()
  await pglease.waitForLog('login_failed', ({ code }) => code === 'connect_refused')
  point('127.0.0.1')
  assert.equal(await waiting, '127.0.0.1')
})

scenario('a host that accepts and says nothing is waited for once, told once, and then comes last', async (run) => {
  let attempts = 0
  const hole = createServer((socket) => {
    attempts++
    socket.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => void hole.listen(0, '127.0.0.1', resolve))
  run.defer(() => hole.close())
  const postgres = await sharedPostgres()
  const hosts = { host: '127.0.0.1,127.0.0.1', port: `${(hole.address() as AddressInfo).port},${postgres.port}` }
  const app = await fixedDatabase(run, { settings: { server_connect_timeout: '3s' }, facts: hosts })
  const first = await app.client()
  const failed = await app.pglease.waitForLog('host_failed')
  assert.deepEqual([failed.code, failed.address], ['connect_timeout', `127.0.0.1:${(hole.address() as AddressInfo).port}`])
  assert.equal(attempts, 1)
  assert.deepEqual(await portsOf(run, app.pglease, 'app', 5), Array(5).fill(postgres.port))
  assert.equal(attempts, 1)
  assert.equal(app.pglease.log.filter(({ event }) => event === 'host_failed').length, 1)
  assert.ok(!app.pglease.log.some(({ event }) => event === 'login_failed'))
  assert.deepEqual(first.errors, [])
})

scenario(
  'session mode: sessions on a standby that was promoted are ended as they rest, unless they have set it themselves',
  async (run) => {
    if (missing && skip(missing)) return
    const cluster = await startCluster(run)
    const session = { pool_mode: 'session' }
    const pglease = await before(run, clusterFacts(cluster), {
      reader: { ...session, target_session_attrs: 'standby' },
      writer: { ...session, target_session_attrs: 'read-write' },
    })
    const writer = await clientOf(run, pglease, 'writer')
    await writer.query('SET default_transaction_read_only = on')
    assert.equal(await value(writer, 'SHOW default_transaction_read_only'), 'on')
    const [asking, resting, busy] = [
      await clientOf(run, pglease, 'reader'),
      await clientOf(run, pglease, 'reader'),
      await clientOf(run, pglease, 'reader'),
    ]
    for (const client of [asking, resting]) assert.equal(await portOf(client), cluster.standby.port)
    await busy.query('BEGIN')
    assert.equal(await portOf(busy), cluster.standby.port)
    await promote(cluster.standby)
    assert.equal(await portOf(asking), cluster.standby.port, 'its answer tells')
    await poll('both at rest are ended', () => (asking.errors.length > 0 && resting.errors.length > 0) || undefined)
    assert.equal(await portOf(busy), cluster.standby.port)
    await busy.query('COMMIT')
    await poll('the third rests', () => busy.errors.length > 0 || undefined)
    for (const { errors } of [asking, resting, busy]) {
      const { code, message } = errors[0] as pg.DatabaseError
      assert.deepEqual(
        [code, message],
        ['57P01', 'terminating connection because its server is no longer what target_session_attrs asks for'],
      )
    }
    assert.equal(await value(writer, 'SELECT 1'), 1)
    assert.deepEqual(writer.errors, [])
  },
)

scenario('max_server_connections has room for as many at each host', async (run) => {
  if (missing && skip(missing)) return
  const cluster = await startCluster(run)
  const facts = clusterFacts(cluster)
  const databases = { writing: { ...facts, target_session_attrs: 'primary' }, reading: { ...facts, target_session_attrs: 'standby' } }
  const config = { http_addr: '', admin_addr: '', max_server_connections: 3, query_wait_timeout: 5, databases }
  const pglease = await run.pglease({ config })
  const clients: pg.Client[] = []
  for (const database of ['writing', 'reading', 'writing', 'reading', 'writing']) {
    const client = await clientOf(run, pglease, database)
    await client.query('BEGIN')
    clients.push(client)
  }
  const { primary, standby } = cluster
  const ports = await Promise.all(clients.map(portOf))
  assert.deepEqual(ports, [primary.port, standby.port, primary.port, standby.port, primary.port])
  const late = await clientOf(run, pglease, 'writing')
  await assert.rejects(late.query('BEGIN'), /query_wait_timeout/)
  assert.equal((await backendsOn(primary)).length, 3)
})
