// A login that must not succeed: refused methods, a server that cheats or errs, floods and any other bytes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, PgleaseError } from '../../src/errors.ts'
import type { AuthMethod } from '../../src/server/login.ts'
import { ServerRefusal } from '../../src/server/refusal.ts'
import { errorResponse, parameterStatus, readyForQuery } from '../../src/wire/reply.ts'
import { ALL, attempt, both, PASSWORD, refused, scramSteps, turn } from '../kit/login-attempt.ts'
import { authenticationMessage, OK, READY, SASL, ScramServer, type Step, wireMessage } from '../kit/scripted-server.ts'

test('a method that server_require_auth does not list is refused before the password is used', async () => {
  const rows: [Step, AuthMethod, RegExp][] = [
    [both(OK, READY), 'trust', /none \(trust\)/],
    [authenticationMessage(3), 'password', /: password$/],
    [authenticationMessage(5, 'salt'), 'md5', /: md5$/],
    [SASL, 'scram-sha-256', /: scram-sha-256$/],
  ]
  for (const [step, method, detail] of rows) {
    await refused([step], 'auth_method_refused', detail, { requireAuth: ALL.filter((one) => one !== method) })
  }
  await refused([authenticationMessage(3)], 'auth_method_refused', /clear password over a connection that is not verified/, {
    secure: false,
  })
  for (const subtype of [2, 7, 9, 99])
    await refused([authenticationMessage(subtype)], 'auth_method_refused', new RegExp(`type ${subtype}$`))
  await refused([authenticationMessage(10, 'SCRAM-SHA-256-PLUS\0\0')], 'auth_method_refused', /without SCRAM-SHA-256/)
})

test('a refused method writes nothing but the StartupMessage', async () => {
  const { promise, near } = attempt([authenticationMessage(3)], { requireAuth: ['scram-sha-256'] })
  await assert.rejects(promise)
  assert.equal(near.written.length, 1)
})

test('a server that skips its part of SCRAM is refused', async () => {
  const server = () => new ScramServer(PASSWORD)
  await refused([SASL, both(OK, READY)], 'server_misbehaved', /without proving that it knows the password/)
  await refused([SASL, server().continue, both(OK, READY)], 'server_misbehaved', /out of order|without proving/)
  const one = server()
  await refused([SASL, one.continue, both(OK, READY)], 'server_misbehaved', /without proving that it knows the password/)
  await refused(
    [SASL, server().continue, authenticationMessage(12, `v=${Buffer.alloc(32).toString('base64')}`)],
    'server_misbehaved',
    /signature is wrong/,
  )
  await refused([SASL, authenticationMessage(12, 'v=AAAA')], 'server_misbehaved', /out of order/)
  await refused([SASL, (message) => both(server().continue(message), OK)], 'server_misbehaved', /out of turn/)
  const stopping = errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'stopping' })
  await refused([SASL, (message) => both(server().continue(message), stopping)], 'connect_refused', /stopping \(SQLSTATE 57P01\)/)
  await refused([SASL, authenticationMessage(11, 'r=x,s=AAAA,i=1')], 'server_misbehaved', /does not begin with ours/)
  const two = server()
  await refused([SASL, two.continue, (message) => both(two.final(message), SASL)], 'server_misbehaved', /instead of AuthenticationOk/)
  await refused(
    scramSteps('another password')
      .slice(0, 2)
      .concat([errorResponse({ severity: 'FATAL', sqlstate: '28P01', message: 'no' })]),
    'login_refused',
    /no/,
  )
})

test('messages out of place are refused', async () => {
  const rows: [Step[], RegExp][] = [
    [[readyForQuery('I')], /ReadyForQuery instead of an authentication request/],
    [[parameterStatus('a', 'b')], /ParameterStatus instead of/],
    [[wireMessage('v', '\0\x03\0\0\0\0\0\0')], /NegotiateProtocolVersion instead of/],
    [[wireMessage('?', '')], /type 0x3f instead of/],
    [[wireMessage('R', '\0\0')], /Authentication instead of/],
    [[authenticationMessage(5, 'abc')], /wrong length/],
    [[authenticationMessage(3, 'x')], /wrong length/],
    [[authenticationMessage(0, 'x')], /wrong length/],
    [[authenticationMessage(10, '')], /malformed list/],
    [[authenticationMessage(10, 'SCRAM-SHA-256')], /malformed list/],
    [[authenticationMessage(3), authenticationMessage(3)], /Authentication instead of AuthenticationOk/],
    [[both(OK, OK)], /Authentication during the login/],
    [[both(OK, wireMessage('D', '\0\0'))], /DataRow during/],
    [[both(OK, readyForQuery('T'))], /not idle/],
    [[both(OK, wireMessage('Z', ''))], /not idle/],
    [[both(OK, wireMessage('S', 'a\0b'))], /ParameterStatus that is malformed/],
    [[both(OK, wireMessage('K', '\0\0\0\x01abc'))], /BackendKeyData that is malformed/],
    [[both(OK, wireMessage('K', Buffer.alloc(4 + 257)))], /BackendKeyData that is malformed/],
    [[both(OK, wireMessage('K', '\0\0\0\x01abcd'), wireMessage('K', '\0\0\0\x01abcd'))], /BackendKeyData that is malformed/],
    [[Buffer.from('HTTP/1.1 400 Bad Request\r\n')], /a message of \d+ bytes, more than 65535/],
    [[Buffer.from([0x52, 0, 0, 0, 3])], /length 3/],
    [[Buffer.from([0x52, 0x80, 0, 0, 0])], /more than 65535/],
  ]
  for (const [steps, detail] of rows) await refused(steps, 'server_misbehaved', detail)
})

test('floods end: by bytes and by messages', async () => {
  const big = parameterStatus('a', 'x'.repeat(60_000))
  await refused([both(OK, big, big, big, big, big)], 'server_misbehaved', /more than 262144 bytes/)
  await refused(
    [Buffer.concat(Array.from({ length: 1_100 }, () => wireMessage('N', 'Mx\0\0')))],
    'server_misbehaved',
    /more than 1000 messages/,
  )
})

test('what the server says is mapped to the table', async () => {
  const rows: [string, ErrorCode][] = [
    ['28P01', 'login_refused'],
    ['28000', 'login_refused'],
    ['3D000', 'database_missing'],
    ['53300', 'server_full'],
    ['57P03', 'server_starting'],
    ['42501', 'login_not_permitted'],
    ['22023', 'login_not_permitted'],
    ['42704', 'login_not_permitted'],
    ['0A000', 'login_not_permitted'],
    ['53200', 'connect_refused'],
    ['57P01', 'connect_refused'],
    ['08006', 'connect_refused'],
    ['58000', 'connect_refused'],
    ['XX000', 'login_not_permitted'],
  ]
  for (const [sqlstate, code] of rows) {
    const error = await refused([errorResponse({ severity: 'FATAL', sqlstate, message: 'so be it' })], code, /so be it/)
    assert.ok(error instanceof ServerRefusal)
    assert.deepEqual([error.serverSqlstate, error.serverMessage, error.serverSeverity], [sqlstate, 'so be it', 'FATAL'])
  }
  const bare = await refused([wireMessage('E', '\0')], 'login_not_permitted', /SQLSTATE XX000/)
  assert.ok(bare instanceof ServerRefusal)
})

test('a server that echoes the password or sends control characters gets neither into the error', async () => {
  const message = `bad\r\npassword "${PASSWORD}" \x1b[31m${'y'.repeat(2_000)}`
  const steps = [authenticationMessage(3), errorResponse({ severity: 'FATAL', sqlstate: '28P01', message })]
  const error = await refused(steps, 'login_refused', /^test:5432: bad password "\[redacted\]" {2}\[31my+\.\.\. \(SQLSTATE 28P01\)$/)
  assert.ok(error.message.length < 700)
})

test('no stream makes it hang or end with anything but an error of the table', async () => {
  const piece = fc.constantFrom(
    OK,
    SASL,
    READY,
    authenticationMessage(3),
    authenticationMessage(11, 'r='),
    wireMessage('E', 'Cx\0\0'),
    wireMessage('N', ''),
    Buffer.from('R\0\0'),
  )
  const stream = fc.array(
    fc.oneof(
      piece,
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 6 },
  )
  await fc.assert(
    fc.asyncProperty(stream, async (parts) => {
      const { promise, far } = attempt([Buffer.concat(parts), 'close'])
      for (let turns = 0; turns < 4; turns++) await turn()
      far.destroy()
      await promise.catch((error: unknown) => assert.ok(error instanceof PgleaseError, String(error)))
    }),
    { numRuns: 300 },
  )
})
