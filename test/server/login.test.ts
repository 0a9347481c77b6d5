// A login at a server that plays by the rules: every method, what comes with it, and how it is given up.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../src/secret.ts'
import { type AuthMethod, login } from '../../src/server/login.ts'
import { errorResponse, noticeResponse, parameterStatus, readyForQuery } from '../../src/wire/reply.ts'
import { attempt, baseOptions, both, isClosed, refused, scramSteps, turn } from '../kit/login-attempt.ts'
import { memoryPair } from '../kit/memory-transport.ts'
import { authenticationMessage, OK, playServer, READY, type Step, wireMessage } from '../kit/scripted-server.ts'

test('SCRAM, MD5, a clear password and trust log in, whole and byte by byte', async () => {
  const md5 = authenticationMessage(5, Buffer.from([1, 2, 3, 4]))
  const rows: [AuthMethod, Step[]][] = [
    ['scram-sha-256', scramSteps()],
    ['md5', [md5, both(OK, READY)]],
    ['password', [authenticationMessage(3), both(OK, READY)]],
    ['trust', [both(noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'hi' }), OK, READY)]],
  ]
  for (const [method, steps] of rows) {
    for (const pieceSize of [Number.POSITIVE_INFINITY, 1, 3]) {
      const { promise, near, clock } = attempt(method === 'scram-sha-256' ? scramSteps() : steps, { requireAuth: [method] }, pieceSize)
      const loggedIn = await promise
      assert.deepEqual(
        [...loggedIn.parameters],
        [
          ['server_version', '18.0'],
          ['TimeZone', 'UTC'],
        ],
      )
      assert.deepEqual([loggedIn.method, loggedIn.processId, loggedIn.secretKey.toString()], [method, 4242, '1234'])
      assert.equal(clock.pending, 0)
      assert.equal(near.closed, undefined)
    }
  }
})

test('the MD5 answer is the one of PostgreSQL', async () => {
  const { promise, near } = attempt([authenticationMessage(5, Buffer.from([1, 2, 3, 4])), both(OK, READY)], {
    credential: { user: 'md5user', password: new Secret('secret') },
  })
  await promise
  assert.equal(near.written[1]?.subarray(5, -1).toString(), EXPECTED_MD5)
})
// 'md5' || md5(md5('secretmd5user') || '\x01020304'), computed with md5sum
const EXPECTED_MD5 = 'md56b614f1bd5dc8478f5705c783c9bbdc0'

test('what the server sends right after ReadyForQuery is dealt with, also in part', async () => {
  const after = both(
    parameterStatus('TimeZone', 'Asia/Tokyo'),
    noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'x' }),
    wireMessage('A', '\0\0\0\x01c\0\0'),
  )
  const [near, far] = memoryPair()
  playServer(far, [both(OK, READY, after.subarray(0, 7))])
  const promise = login(near, { ...baseOptions(), requireAuth: ['trust'] })
  while (near.written.length === 0) await turn()
  for (let turns = 0; turns < 5; turns++) await turn()
  far.write(after.subarray(7))
  assert.equal((await promise).parameters.get('TimeZone'), 'Asia/Tokyo')
  await refused([both(OK, READY, wireMessage('D', '\0\0'))], 'server_misbehaved', /DataRow after the login/)
  const shutdown = errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'terminating connection' })
  await refused([both(OK, READY, shutdown)], 'connect_refused', /terminating connection \(SQLSTATE 57P01\)/)
})

test('a server without BackendKeyData can be logged in to', async () => {
  const loggedIn = await attempt([both(OK, readyForQuery('I'))]).promise
  assert.deepEqual([loggedIn.processId, loggedIn.secretKey.length], [0, 0])
})

test('a lost connection, a deadline and a signal end the login', async () => {
  await refused(['close'], 'connect_refused', /the connection ended during the login/)
  await refused([authenticationMessage(3), 'close'], 'connect_refused', /ended during the login/)
  for (const [code, secure, expected] of [
    ['ECONNRESET', true, 'connect_refused'],
    ['EPROTO', false, 'connect_refused'],
    ['EPROTO', true, 'tls_failed'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', true, 'tls_failed'],
  ] as const) {
    const broken = attempt(['silence'])
    broken.near.secure = secure
    broken.near.breakWith(code)
    await assert.rejects(broken.promise, { code: expected, detail: `test:5432: the connection ended during the login (${code})` })
  }
  const late = attempt(['silence'])
  await late.clock.run(4_999)
  assert.equal(late.near.closed, undefined)
  await late.clock.run(1)
  await assert.rejects(late.promise, { code: 'connect_timeout' })
  assert.ok(await isClosed(late.near))
  const controller = new AbortController()
  const given = attempt(['silence'], { signal: controller.signal })
  controller.abort()
  await assert.rejects(given.promise, { code: 'connect_refused', detail: 'test:5432: the login was given up' })
  await refused([OK], 'connect_refused', /given up/, { signal: controller.signal })
  assert.equal(attempt(['silence'], { timeoutMs: 0 }).clock.pending, 0)
})

test('a credential that cannot be said is an error and not another message', async () => {
  await refused([], 'login_not_permitted', /user name contains a NUL/, { credential: { user: 'a\0b', password: new Secret('x') } })
  await refused([authenticationMessage(3)], 'login_not_permitted', /password contains a NUL/, {
    credential: { user: 'a', password: new Secret('x\0y') },
  })
})
