// Real drivers and tools through pglease: pg, postgres.js, psql and pgbench; large results, slow readers, and TLS to the server.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import { makeCertificates } from './kit/certificates.ts'
import { poll } from './kit/child.ts'
import { type FixedDatabase, fixedDatabase, residentBytes, sqlstateOf, value } from './kit/fixed-database.ts'
import { query } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'

const MEGABYTE = 1 << 20
/** What pglease may grow by while 100 MB pass: its buffers, and garbage that was not collected yet. */
const GROWTH_LIMIT = 48 * MEGABYTE

const run = promisify(execFile)

function postgresJs(scenario: Scenario, app: FixedDatabase, more: Record<string, unknown> = {}): postgres.Sql {
  const sql = postgres({ host: '127.0.0.1', port: app.pglease.port, database: 'app', user: 'me', password: 'any', prepare: false, ...more })
  scenario.defer(() => sql.end({ timeout: 1 }))
  return sql
}

scenario('pg: parameters, types, transactions, errors, a pool of its own, rows that are buffered and streamed', async (scenario) => {
  const app = await fixedDatabase(scenario, { facts: { pool_size: 3 }, sql: 'CREATE TABLE t (a int, b text); GRANT ALL ON t TO app' })
  const pool = new pg.Pool({ ...app.pglease.connection('app'), max: 10 })
  scenario.defer(() => pool.end())
  await Promise.all(Array.from({ length: 100 }, (_, index) => pool.query('INSERT INTO t VALUES ($1, $2)', [index, `row ${index}`])))
  const { rows } = await pool.query("SELECT count(*)::int AS count, sum(a)::int AS sum, now() AS now, '{1,2}'::int[] AS list FROM t")
  assert.deepEqual([rows[0].count, rows[0].sum, rows[0].list], [100, 4950, [1, 2]])
  assert.ok(rows[0].now instanceof Date)
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    assert.equal(await sqlstateOf(client.query('INSERT INTO t VALUES ($1)', ['x'])), '22P02')
    await client.query('ROLLBACK')
    assert.equal((await client.query('SELECT $1::text AS echo', ['ü €'])).rows[0].echo, 'ü €')
  } finally {
    client.release()
  }
})

scenario('postgres.js with prepare: false: pipelines, transactions, savepoints, cursors, COPY both ways', async (scenario) => {
  const app = await fixedDatabase(scenario, { facts: { pool_size: 3 }, sql: 'CREATE TABLE t (a int, b text); GRANT ALL ON t TO app' })
  const sql = postgresJs(scenario, app, { max: 8 })
  const echoes = await Promise.all(Array.from({ length: 200 }, (_, index) => sql`SELECT ${index}::int AS echo`))
  assert.deepEqual(
    echoes.map(([row]) => row?.echo),
    Array.from({ length: 200 }, (_, index) => index),
  )
  await sql.begin(async (transaction) => {
    await transaction`INSERT INTO t VALUES (1, 'one')`
    await transaction.savepoint((inner) => inner`SELECT 1/0`).catch(() => undefined)
    await transaction`INSERT INTO t VALUES (2, 'two')`
  })
  assert.equal((await sql`SELECT count(*)::int AS count FROM t`)[0]?.count, 2)
  const seen: number[] = []
  await sql`SELECT generate_series(1, 25) AS n`.cursor(10, (rows) => {
    seen.push(rows.length)
  })
  assert.deepEqual(seen, [10, 10, 5])
  const writable = await sql`COPY t FROM STDIN`.writable()
  await new Promise<void>((resolve, reject) => {
    writable.on('error', reject).on('finish', () => resolve())
    writable.write('3\tthree\n')
    writable.end('4\tfour\n')
  })
  const readable = await sql`COPY (SELECT a FROM t ORDER BY a) TO STDOUT`.readable()
  const chunks: Buffer[] = []
  for await (const chunk of readable) chunks.push(Buffer.from(chunk))
  assert.equal(String(Buffer.concat(chunks)), '1\n2\n3\n4\n')
})

scenario('psql: several statements, \\copy both ways, parameters of its environment', async (scenario) => {
  const folder = mkdtempSync(join(tmpdir(), 'psql-'))
  scenario.defer(() => rmSync(folder, { recursive: true, force: true }))
  const app = await fixedDatabase(scenario, { facts: { pool_size: 2 }, sql: 'CREATE TABLE t (a int, b text); GRANT ALL ON t TO app' })
  const psql = async (...commands: string[]) => {
    const where = ['-h', '127.0.0.1', '-p', String(app.pglease.port), '-U', 'me', '-d', 'app']
    const env = { ...process.env, PGOPTIONS: '-c TimeZone=Asia/Tokyo', PGCLIENTENCODING: 'LATIN1', PGPASSWORD: 'any' }
    return (await run('psql', ['-XAt', '-v', 'ON_ERROR_STOP=1', ...where, ...commands.flatMap((one) => ['-c', one])], { env })).stdout
  }
  const file = join(folder, 'rows')
  writeFileSync(file, '1\tone\n2\ttwo\n')
  assert.equal(await psql(`\\copy t from '${file}'`, '\\copy (select b from t order by a) to stdout'), 'COPY 2\none\ntwo\n')
  assert.equal(await psql('SHOW TimeZone', 'SHOW client_encoding', 'BEGIN; SELECT 1; COMMIT'), 'Asia/Tokyo\nLATIN1\nBEGIN\n1\nCOMMIT\n')
  assert.match(await psql('\\d t'), /a\|integer/)
  await assert.rejects(psql('SELECT 1/0'), /division by zero/)
})

scenario('pgbench: 16 clients, simple and extended, without an error', async (scenario) => {
  const app = await fixedDatabase(scenario, { facts: { pool_size: 4 } })
  const env = { ...process.env, PGPASSWORD: 'any' }
  const where = ['-h', '127.0.0.1', '-p', String(app.pglease.port), '-U', 'me']
  await run('pgbench', ['-i', '-s', '1', '-q', ...where, 'app'], { env })
  for (const mode of ['simple', 'extended']) {
    for (const more of [['-S'], [], ['-C', '-S']]) {
      const clients = more.includes('-C') ? ['-c', '4', '-t', '20'] : ['-c', '16', '-t', '60']
      const { stdout } = await run('pgbench', ['-n', '-M', mode, ...clients, ...more, ...where, 'app'], { env })
      assert.match(stdout, /number of failed transactions: 0 /, `${mode} ${more.join(' ')}\n${stdout}`)
    }
  }
  const { stdout } = await run('psql', ['-XAt', ...where, '-d', 'app', '-c', 'SELECT count(*) FROM pgbench_history'], { env })
  assert.equal(stdout, `${2 * 16 * 60}\n`)
})

const LARGE = 'SELECT repeat(chr(97 + n % 26), 10000) AS text FROM generate_series(1, 10000) AS n'

/** The most that `pid` had resident while `work` ran, above what it had before. */
async function growth(pid: number, work: () => Promise<void>): Promise<number> {
  const before = residentBytes(pid)
  let most = before
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(pid))
  }, 20)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return Math.max(most, residentBytes(pid)) - before
}

scenario('100 MB to a reader that stops: memory stays bounded, and others are served meanwhile', async (scenario) => {
  const app = await fixedDatabase(scenario, { facts: { pool_size: 2 } })
  const { pid } = app.pglease
  const [slow, other] = [await app.raw(), await app.client()]
  let bytes = 0
  slow.socket.removeAllListeners('data')
  slow.socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const grown = await growth(pid, async () => {
    slow.socket.pause()
    slow.send(query(LARGE))
    await app.waitForBackends(1, "wait_event = 'ClientWrite'")
    for (let round = 0; round < 50; round++) assert.equal(await value(other, 'SELECT 1'), 1)
    const blocked = bytes
    slow.socket.resume()
    await poll('the whole result', () => (bytes > 100 * 1_000_000 ? true : undefined))
    assert.ok(blocked < 8 * MEGABYTE, `${blocked} bytes passed before the reader went on`)
  })
  assert.ok(grown < GROWTH_LIMIT, `resident memory grew by ${Math.round(grown / MEGABYTE)} MB`)
})

scenario('100 MB in one row, one query of 64 MB, and COPY of 100 MB in: memory stays bounded', async (scenario) => {
  const app = await fixedDatabase(scenario, { facts: { pool_size: 1 }, sql: 'CREATE TABLE t (b text); GRANT ALL ON t TO app' })
  const { pid } = app.pglease
  const client = await app.client()
  const row = await growth(pid, async () => assert.equal(String(await value(client, "SELECT repeat('x', 100000000)")).length, 100_000_000))
  const long = 'y'.repeat(64_000_000)
  const asked = await growth(pid, async () => assert.equal(await value(client, `SELECT length('${long}')`), 64_000_000))
  const parameter = await growth(pid, async () => {
    assert.equal((await client.query('SELECT length($1) AS n', [long])).rows[0].n, 64_000_000)
  })
  const sql = postgresJs(scenario, app, { max: 1 })
  const copied = await growth(pid, async () => {
    const writable = await sql`COPY t FROM STDIN`.writable()
    const lines = `${'z'.repeat(999)}\n`.repeat(1000)
    for (let round = 0; round < 100; round++) {
      if (!writable.write(lines)) await new Promise((resolve) => writable.once('drain', resolve))
    }
    await new Promise<void>((resolve, reject) =>
      writable
        .on('error', reject)
        .on('finish', () => resolve())
        .end(),
    )
  })
  assert.equal(await value(client, 'SELECT count(*)::int FROM t'), 100_000)
  for (const [name, grown] of Object.entries({ row, asked, parameter, copied })) {
    assert.ok(grown < GROWTH_LIMIT, `${name}: resident memory grew by ${Math.round(grown / MEGABYTE)} MB`)
  }
})

scenario('TLS to the server, verified with a CA file: the right authority serves, another one is refused at once', async (scenario) => {
  const server = await scenario.postgres()
  const certificates = makeCertificates()
  await server.useTls(certificates.server)
  const folder = mkdtempSync(join(tmpdir(), 'authority-'))
  scenario.defer(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'ca.pem'), certificates.ca)
  writeFileSync(join(folder, 'other.pem'), certificates.otherCa)
  const start = (ca: string) => {
    const facts = { host: 'localhost', port: server.port, dbname: 'postgres', user: server.superuser, password: server.password }
    const tls = { server_tls_sslmode: 'verify-full', server_tls_ca_file: join(folder, ca) }
    return scenario.pglease({ config: { http_addr: '', admin_addr: '', databases: { app: { ...facts, ...tls } } } })
  }
  const trusted = await (await start('ca.pem')).client('app')
  assert.equal(await value(trusted, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'), true)
  await trusted.end()
  const strange = await start('other.pem')
  await strange.waitForLog('login_failed', (line) => line.code === 'tls_failed')
  await assert.rejects(strange.client('app'), /server login has been failing, cached error: TLS to the server failed/)
})
