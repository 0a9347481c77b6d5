// Dial, log in, ask and cancel on a real PostgreSQL, with each method, TLS mode and refusal that it knows.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { pickNetwork } from '../../src/net/pick.ts'
import type { Address, Network, Transport } from '../../src/net/transport.ts'
import { Secret } from '../../src/secret.ts'
import { cancelQuery } from '../../src/server/cancel.ts'
import { type DialTarget, dial, isVerified, type SslMode } from '../../src/server/dial.ts'
import { type AuthMethod, type LoggedIn, type LoginOptions, login } from '../../src/server/login.ts'
import { type QueryAnswer, simpleQuery } from '../../src/server/query.ts'
import { ServerRefusal } from '../../src/server/refusal.ts'
import { ScramCache } from '../../src/wire/scram.ts'
import { type Certificates, makeCertificates } from '../kit/certificates.ts'
import { poll } from '../kit/child.ts'
import { type OwnPostgres, startPostgres } from '../kit/postgres.ts'

const network: Network = pickNetwork()
const METHODS: readonly AuthMethod[] = ['trust', 'md5', 'password', 'scram-sha-256']
const HBA = [
  'local all md5_user md5',
  'local all all scram-sha-256',
  'host all trust_user 127.0.0.1/32 trust',
  'host all md5_user 127.0.0.1/32 md5',
  'host all password_user 127.0.0.1/32 password',
  'host all barred_user 127.0.0.1/32 reject',
  'hostnossl all tls_user 127.0.0.1/32 reject',
]
const ROLES = `
  set password_encryption = 'md5'; create role md5_user login password 'pw-md5';
  set password_encryption = 'scram-sha-256';
  create role trust_user login; create role password_user login password 'pw-password'; create role scram_user login password 'pw-scram';
  create role barred_user login password 'x'; create role tls_user login password 'pw-tls'; create role full_user login password 'pw-full' connection limit 0;
  create role owner nologin; grant owner to scram_user;`

let server: Promise<{ postgres: OwnPostgres; certificates: Certificates }> | undefined

/** One server for this file, with TLS. */
function start(): Promise<{ postgres: OwnPostgres; certificates: Certificates }> {
  server ??= (async () => {
    const postgres = await startPostgres({ hba: HBA })
    await postgres.sql(ROLES)
    const certificates = makeCertificates()
    await postgres.useTls(certificates.server)
    return { postgres, certificates }
  })()
  return server
}
after(async () => (await server)?.postgres.stop())

const tcp = (postgres: OwnPostgres): Address => ({ kind: 'tcp', host: '127.0.0.1', port: postgres.port })
const plain = (postgres: OwnPostgres): DialTarget => ({ address: tcp(postgres), sslmode: 'disable', serverName: 'localhost' })

interface Session extends LoggedIn {
  transport: Transport
  query(sql: string): Promise<QueryAnswer>
}

async function open(target: DialTarget, user: string, password: string, more: Partial<LoginOptions> = {}): Promise<Session> {
  const transport = await dial(network, target, 10_000, systemClock)
  const loggedIn = await login(transport, {
    credential: { user, password: new Secret(password) },
    database: 'postgres',
    parameters: [['application_name', 'pglease']],
    requireAuth: METHODS,
    secure: isVerified(target),
    scramCache: new ScramCache(),
    timeoutMs: 10_000,
    clock: systemClock,
    ...more,
  })
  return { ...loggedIn, transport, query: (sql) => simpleQuery(transport, sql, { timeoutMs: 10_000, clock: systemClock }) }
}

async function single(session: Session, sql: string): Promise<unknown> {
  const answer = await session.query(sql)
  assert.equal(answer.error, undefined)
  return answer.rows[0]?.[0]
}

async function refused(attempt: Promise<unknown>, code: ErrorCode, sqlstate: string, message: RegExp): Promise<void> {
  await assert.rejects(attempt, (error: unknown) => {
    assert.ok(error instanceof ServerRefusal, String(error))
    assert.deepEqual([error.code, error.serverSqlstate], [code, sqlstate], error.message)
    assert.match(error.serverMessage, message)
    return true
  })
}

test('trust, md5 and SCRAM over TCP and a unix socket', async () => {
  const { postgres } = await start()
  const unix: DialTarget = {
    ...plain(postgres),
    address: { kind: 'unix', path: join(postgres.socketDirectory, `.s.PGSQL.${postgres.port}`) },
  }
  const rows: [DialTarget, string, AuthMethod][] = [
    [plain(postgres), 'trust', 'trust'],
    [plain(postgres), 'md5', 'md5'],
    [plain(postgres), 'scram', 'scram-sha-256'],
    [unix, 'md5', 'md5'],
    [unix, 'scram', 'scram-sha-256'],
  ]
  for (const [target, name, method] of rows) {
    const session = await open(target, `${name}_user`, `pw-${name}`, { requireAuth: [method] })
    assert.equal(session.method, method)
    assert.equal(session.parameters.get('application_name'), 'pglease')
    assert.equal(session.parameters.get('client_encoding'), 'UTF8')
    assert.equal(session.secretKey.length, 4)
    assert.equal(await single(session, 'select session_user'), `${name}_user`)
    assert.equal(await single(session, 'select pg_backend_pid()'), String(session.processId))
    session.transport.destroy()
  }
})

test('a clear password only goes to a verified server', async () => {
  const { postgres, certificates } = await start()
  await assert.rejects(open(plain(postgres), 'password_user', 'pw-password'), { code: 'auth_method_refused' })
  const verified: DialTarget = { ...plain(postgres), sslmode: 'verify-full', ca: certificates.ca }
  const session = await open(verified, 'password_user', 'pw-password')
  assert.equal(session.method, 'password')
  session.transport.destroy()
})

test('a method that is not listed is refused', async () => {
  const { postgres } = await start()
  for (const name of ['trust', 'md5', 'scram']) {
    const others = METHODS.filter((method) => !method.startsWith(name))
    await assert.rejects(open(plain(postgres), `${name}_user`, `pw-${name}`, { requireAuth: others }), { code: 'auth_method_refused' })
  }
})

test('refusals of the server are told apart', async () => {
  const { postgres } = await start()
  const target = plain(postgres)
  await refused(open(target, 'scram_user', 'wrong'), 'login_refused', '28P01', /password authentication failed/)
  await refused(open(target, 'nobody', 'wrong'), 'login_refused', '28P01', /password authentication failed/)
  await refused(open(target, 'md5_user', 'wrong'), 'login_refused', '28P01', /password authentication failed/)
  await refused(open(target, 'barred_user', 'x'), 'login_refused', '28000', /pg_hba\.conf rejects connection/)
  await refused(open(target, 'tls_user', 'pw-tls'), 'login_refused', '28000', /no encryption/)
  const encrypted = await open({ ...target, sslmode: 'require' }, 'tls_user', 'pw-tls')
  encrypted.transport.destroy()
  await refused(open(target, 'scram_user', 'pw-scram', { database: 'missing' }), 'database_missing', '3D000', /"missing" does not exist/)
  await refused(open(target, 'full_user', 'pw-full'), 'server_full', '53300', /too many connections/)
  await refused(
    open(target, 'scram_user', 'pw-scram', { parameters: [['role', 'nobody']] }),
    'login_not_permitted',
    '22023',
    /role "nobody"/,
  )
  await refused(
    open(target, 'scram_user', 'pw-scram', { parameters: [['role', 'postgres']] }),
    'login_not_permitted',
    '42501',
    /permission denied/,
  )
  await refused(open(target, 'scram_user', 'pw-scram', { parameters: [['no_such', 'x']] }), 'login_not_permitted', '42704', /unrecognized/)
})

test('role is a startup parameter that DISCARD ALL returns to', async () => {
  const { postgres } = await start()
  const session = await open(plain(postgres), 'scram_user', 'pw-scram', { parameters: [['role', 'owner']] })
  assert.equal((await session.query('discard all')).tag, 'DISCARD ALL')
  assert.equal(await single(session, 'select current_user'), 'owner')
  const error = await session.query('select * from no_such_table')
  assert.deepEqual([error.error?.sqlstate, error.status], ['42P01', 'I'])
  assert.deepEqual([...(await session.query("set timezone to 'Asia/Tokyo'")).parameters], [['TimeZone', 'Asia/Tokyo']])
  assert.equal((await session.query('begin')).status, 'T')
  session.transport.destroy()
})

test('TLS modes against a certificate for localhost', async () => {
  const { postgres, certificates } = await start()
  const { ca, otherCa } = certificates
  const rows: [SslMode, string | undefined, string, boolean | ErrorCode][] = [
    ['disable', undefined, 'localhost', false],
    ['prefer', undefined, 'anything', true],
    ['require', undefined, 'anything', true],
    ['require', otherCa, 'localhost', 'tls_failed'],
    ['verify-ca', ca, 'other.example', true],
    ['verify-ca', otherCa, 'localhost', 'tls_failed'],
    ['verify-full', ca, 'localhost', true],
    ['verify-full', ca, 'other.example', 'tls_failed'],
    ['verify-full', undefined, 'localhost', 'tls_failed'],
  ]
  for (const [sslmode, authority, serverName, expected] of rows) {
    const target: DialTarget = { address: tcp(postgres), sslmode, serverName, ca: authority }
    if (typeof expected === 'string') {
      await assert.rejects(dial(network, target, 10_000, systemClock), { code: expected }, `${sslmode} ${serverName}`)
      continue
    }
    const session = await open(target, 'scram_user', 'pw-scram')
    const used = await single(session, 'select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    assert.deepEqual([session.transport.secure, used], [expected, expected ? 't' : 'f'], `${sslmode} ${serverName}`)
    session.transport.destroy()
  }
})

test('passwords beyond ASCII are prepared as the server prepares them', async () => {
  const { postgres } = await start()
  const passwords = [
    'ünï',
    '\u2168 IX',
    'a\u00a0b',
    'I\u00adX',
    '\u2168\u1d43',
    '\u0627\ufe8e\u0628',
    '\u0627\ufe8e\u2168',
    '\u{1f600}\u2168',
    'e\u0301',
    'a\u200bb',
    '\u00ad',
  ]
  for (const [index, password] of passwords.entries()) {
    const user = `unicode_${index}`
    await postgres.sql(`create role ${user} login password '${password}'`)
    const session = await open(plain(postgres), user, password, { requireAuth: ['scram-sha-256'] })
    assert.equal(await single(session, 'select session_user'), user)
    session.transport.destroy()
  }
})

test('a cancel request ends a query, with and without TLS', async () => {
  const { postgres } = await start()
  for (const sslmode of ['disable', 'require'] as const) {
    const target: DialTarget = { ...plain(postgres), sslmode }
    const session = await open(target, 'scram_user', 'pw-scram')
    const running = session.query('select pg_sleep(60)')
    await poll('the query runs', async () => {
      const rows = await postgres.sql(`select 1 from pg_stat_activity where pid = ${session.processId} and wait_event = 'PgSleep'`)
      return rows.length > 0 ? true : undefined
    })
    await cancelQuery(network, target, session.processId, session.secretKey, { timeoutMs: 10_000, clock: systemClock })
    assert.equal((await running).error?.sqlstate, '57014')
    session.transport.destroy()
  }
})

test('keys are derived once for many logins of one credential', async () => {
  const { postgres } = await start()
  const scramCache = new ScramCache()
  const credential = { user: 'scram_user', password: new Secret('pw-scram') }
  const sessions = await Promise.all(Array.from({ length: 8 }, () => open(plain(postgres), '', '', { scramCache, credential })))
  assert.equal(scramCache.size, 1)
  for (const session of sessions) session.transport.destroy()
})

test('a host or port where nobody answers', async () => {
  const { postgres } = await start()
  const to = (address: Address) => dial(network, { ...plain(postgres), address }, 10_000, systemClock)
  await assert.rejects(to({ kind: 'tcp', host: '127.0.0.1', port: 1 }), { code: 'connect_refused' })
  await assert.rejects(to({ kind: 'tcp', host: 'no-such-host.invalid', port: 5432 }), { code: 'host_not_found' })
  await assert.rejects(to({ kind: 'unix', path: '/nonexistent/.s.PGSQL.1' }), { code: 'connect_refused' })
})

test('a server that freezes or is shut down', async () => {
  const { postgres } = await start()
  const session = await open(plain(postgres), 'scram_user', 'pw-scram')
  await postgres.freeze()
  const slow = dial(network, { ...plain(postgres), sslmode: 'require' }, 300, systemClock)
  await assert.rejects(slow, { code: 'connect_timeout' }).finally(() => postgres.thaw())
  const running = session.query('select pg_sleep(60)')
  await Promise.all([refused(running, 'server_lost', '57P01', /terminating connection/), postgres.stopServer()])
  await assert.rejects(dial(network, plain(postgres), 10_000, systemClock), { code: 'connect_refused' })
})
