// A client's first bytes, however they are cut: encryption declined, startup, refusals, cancel requests, limits.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Admission, ClientCount } from '../../src/client/admission.ts'
import { Greeting } from '../../src/client/greet.ts'
import type { Destination, GreetParts, GreetSettings } from '../../src/client/greet_parts.ts'
import { type CancelKey, Registry } from '../../src/client/registry.ts'
import { StartupMemory } from '../../src/client/startup_memory.ts'
import { type CloseReason, ERRORS, PgleaseError } from '../../src/errors.ts'
import { authenticateAny } from '../../src/identity.ts'
import { GLOBALS } from '../../src/settings/declarations.ts'
import { cancelRequest, gssRequest, PROTOCOL_3_0, PROTOCOL_3_2, packet, query, sslRequest, startup } from '../kit/raw-messages.ts'
import { quietLog, quietMeter, SessionWorld } from '../kit/session-world.ts'
import { arrivals } from '../kit/splits.ts'
import { StillTransport } from '../kit/still-transport.ts'

const SETTINGS: GreetSettings = {
  max_client_conn: 3,
  client_login_timeout: 60_000,
  ignore_startup_parameters: ['extra_float_digits'],
  max_packet_size: 2 ** 31 - 1,
  log_connections: false,
  log_pooler_errors: true,
}

class Door {
  readonly registry = new Registry()
  readonly ends: [string, CloseReason][] = []
  readonly cancels: CancelKey[] = []
  cancelEnd: () => void = () => {}
  cancelFail: (error: Error) => void = () => {}
  refusing = false
  admission = new Admission([])
  readonly world: SessionWorld
  readonly startups: StartupMemory
  readonly settings: GreetSettings

  constructor(world: SessionWorld, settings: Partial<GreetSettings> = {}) {
    this.world = world
    this.startups = new StartupMemory(world.names)
    this.settings = { ...SETTINGS, ...settings }
  }

  static async open(settings: Partial<GreetSettings> = {}): Promise<Door> {
    return new Door(await SessionWorld.ready(), settings)
  }

  connect(): StillTransport {
    const transport = new StillTransport()
    const destination: Destination = {
      database: 'app',
      pool: this.world.pool,
      replications: this.world.replications,
      meter: quietMeter,
      admission: this.admission,
    }
    const parts: GreetParts = {
      settings: () => this.settings,
      clock: this.world.clock,
      log: quietLog,
      names: this.world.names,
      startups: this.startups,
      registry: this.registry,
      authenticate: authenticateAny,
      route: ({ database }, server) => (database === 'app' || (server && database === 'replication') ? destination : undefined),
      refusing: () => this.refusing,
      cancelRequest: (request) => {
        this.cancels.push(request)
        return new Promise((resolve, reject) => {
          this.cancelEnd = resolve
          this.cancelFail = reject
        })
      },
      cancelLink: () => {},
      clientClosed: ({ kind }, reason) => void this.ends.push([kind, reason]),
      greetingFailed: (error, reason) => void this.ends.push([error?.code ?? '', reason]),
    }
    new Greeting(transport, parts)
    return transport
  }

  /** Sends `bytes` as one chunk and lets the authentication end. */
  async send(transport: StillTransport, bytes: Buffer): Promise<string[]> {
    transport.handler.data(bytes)
    await this.world.settle()
    return transport.lines()
  }
}

const hello = startup({ user: 'someone', database: 'app', application_name: 'test' })
const WELCOME = ['AuthenticationOk', "ParameterStatus 'TimeZone' 'UTC'", 'BackendKeyData', 'ReadyForQuery I']

test('a client is welcomed, however its packets are cut, and what it sent ahead is asked', async () => {
  const bytes = Buffer.concat([hello, query('SELECT 1')])
  for (const chunks of arrivals(bytes)) {
    const door = await Door.open()
    const transport = door.connect()
    for (const chunk of chunks) transport.handler.data(chunk)
    await door.world.settle()
    assert.deepEqual(transport.lines(), WELCOME)
    assert.match(String(door.world.backend().transport.take()), /SET "application_name" TO 'test'/)
    assert.equal(door.registry.size, 1)
    assert.deepEqual([door.registry.silent, door.world.clock.pending], [0, 0])
  }
})

test('encryption is declined, once of each kind; nothing may come before the answer', async () => {
  const door = await Door.open()
  const transport = door.connect()
  for (const request of [gssRequest(), sslRequest()]) {
    transport.handler.data(request)
    assert.equal(String(transport.take()), 'N')
  }
  assert.deepEqual(await door.send(transport, hello), WELCOME)
  const third = door.connect()
  for (const request of [sslRequest(), gssRequest()]) third.handler.data(request)
  third.take()
  assert.match(String(await door.send(third, sslRequest())), /FATAL.*too many requests for encryption/)
  const eager = door.connect()
  assert.match(String(await door.send(eager, Buffer.concat([sslRequest(), hello]))), /FATAL.*unencrypted data/)
  assert.ok(eager.ended)
})

test('protocol 3.2 has long keys, newer ones are negotiated', async () => {
  for (const [version, options, first, keyLength] of [
    [PROTOCOL_3_0, {}, 'AuthenticationOk', 4],
    [PROTOCOL_3_2, {}, 'AuthenticationOk', 32],
    [PROTOCOL_3_0 + 9, {}, 'NegotiateProtocolVersion 196610', 32],
    [PROTOCOL_3_0, { '_pq_.x': '1' }, "NegotiateProtocolVersion 196608 '_pq_.x'", 4],
  ] as const) {
    const door = await Door.open()
    const transport = door.connect()
    transport.handler.data(startup({ user: 'u', database: 'app', ...options }, version))
    await door.world.settle()
    const bytes = transport.take()
    const key = bytes.indexOf('K')
    assert.equal(bytes.readInt32BE(key + 1), 8 + keyLength)
    transport.write(bytes)
    assert.equal(transport.lines()[0], first)
  }
})

test('what is refused at startup', async () => {
  const start = (parameters: Record<string, string>) => startup({ user: 'u', database: 'app', ...parameters })
  for (const [bytes, text] of [
    [start({ database: 'none' }), /C='08P01' M='no such database: none'/],
    [start({ search_path: 'x' }), /unsupported startup parameter: search_path' H='.*track_extra_parameters.*ignore_startup_parameters/],
    [start({ options: '-c work_mem=1MB' }), /unsupported startup parameter in options: work_mem' H='.*ignore_startup_parameters/],
    [start({ options: '-c=' }), /bad startup packet/],
    [start({ options: '--' }), /bad startup packet/],
    [start({ replication: 'maybe' }), /invalid value for parameter "replication": "maybe"/],
    [startup({ user: '' }), /no user name/],
    [packet(2 << 16, Buffer.alloc(4)), /old V2 protocol/],
    [Buffer.from('GET / HTTP/1.1\r\n'), /invalid length/],
    [Buffer.from([0x16, 3, 1, 0, 200]), /TLS handshake without SSLRequest/],
    [Buffer.from([0, 0, 0x40, 0]), /invalid length/],
  ] as const) {
    const door = await Door.open()
    const transport = door.connect()
    const lines = await door.send(transport, bytes)
    assert.equal(lines.length, 1)
    assert.match(String(lines), text)
    assert.match(String(lines), /^ErrorResponse S='FATAL'/)
    assert.ok(transport.ended)
    assert.deepEqual([door.registry.size, door.registry.silent, door.world.clock.pending], [0, 0, 0])
    assert.equal(door.ends.length, 1)
    transport.lost()
    assert.equal(door.ends.length, 1)
  }
})

test('a replication client is handed on, with any parameter, and physically to a server that it does not name', async () => {
  for (const [parameters, name] of [
    [{ replication: 'database', database: 'app', lock_timeout: '1' }, 'app'],
    [{ replication: 'true', database: 'replication' }, 'app'],
  ] as const) {
    const door = await Door.open()
    const transport = door.connect()
    assert.deepEqual(await door.send(transport, startup({ user: 'u', ...parameters })), WELCOME)
    assert.deepEqual(
      door.registry.replications().map(({ parts }) => parts.database),
      [name],
    )
    assert.deepEqual([door.registry.size, door.registry.silent, door.world.clock.pending], [1, 0, 0])
    transport.lost()
    assert.deepEqual([door.registry.size, door.ends], [0, [['replication client', 'client_lost']]])
  }
  const door = await Door.open()
  const lines = await door.send(door.connect(), startup({ user: 'u', replication: 'database', database: 'replication' }))
  assert.match(String(lines), /no such database: replication/)
})

test('parameters that are tracked or ignored are taken', async () => {
  const door = await Door.open()
  const transport = door.connect()
  const parameters = {
    user: 'u',
    database: 'app',
    replication: 'off',
    extra_float_digits: '3',
    TIMEZONE: 'CET',
    options: '-c datestyle=german',
  }
  assert.ok((await door.send(transport, startup(parameters))).includes("ParameterStatus 'TimeZone' 'CET'"))
  const [session] = door.registry.sessions()
  assert.equal(session?.parts.parameters.values[door.world.names.index('DateStyle')], 'german')
})

test('a cancel request is passed on and answered by the end, also when it fails', async () => {
  for (const fails of [false, true]) {
    const door = await Door.open()
    const transport = door.connect()
    transport.handler.data(cancelRequest(7, Buffer.from('abcd')))
    assert.deepEqual(
      door.cancels.map(({ processId, key }) => [processId, String(key)]),
      [[7, 'abcd']],
    )
    assert.equal(transport.ended, false)
    if (fails) door.cancelFail(new Error('refused'))
    else door.cancelEnd()
    await door.world.settle()
    assert.deepEqual([transport.ended, transport.take().length], [true, 0])
    assert.deepEqual(door.ends, [['', 'cancel_request']])
    assert.deepEqual([door.registry.silent, door.world.clock.pending], [0, 0])
  }
})

test('max_client_conn: with its text; cancel requests still get in; connections that say nothing are bounded', async () => {
  const door = await Door.open()
  for (let count = 0; count < 3; count++) assert.deepEqual(await door.send(door.connect(), hello), WELCOME)
  assert.match(
    String(await door.send(door.connect(), hello)),
    /FATAL.*C='08P01' M='no more connections allowed \(max_client_conn\)' H='Raise max_client_conn/,
  )
  door.connect().handler.data(cancelRequest(7, Buffer.from('abcd')))
  assert.equal(door.cancels.length, 1)
  const silent = Array.from({ length: 10 }, () => door.connect())
  assert.deepEqual(
    silent.map(({ ended }) => ended),
    silent.map((_, index) => index >= 6),
  )
  for (const transport of silent) transport.lost()
  assert.equal(door.registry.silent, 0)
  for (const session of door.registry.sessions()) session.end()
  assert.equal(door.registry.size, 0)
})

test('a probe is closed without a word; a login that takes too long with one', async () => {
  const door = await Door.open()
  const probe = door.connect()
  probe.lost()
  assert.deepEqual(door.ends, [['', 'probe']])
  const mute = door.connect()
  const slow = door.connect()
  slow.handler.data(hello.subarray(0, 6))
  door.world.clock.advance(60_000)
  assert.equal(mute.take().length, 0)
  assert.match(String(slow.lines()), /FATAL.*client_login_timeout/)
  assert.deepEqual(door.ends.slice(1), [
    ['', 'probe'],
    ['client_login_timeout', 'client_login_timeout'],
  ])
})

test('a client waits for the first login; what it sends ahead is bounded; it may leave', async () => {
  const door = new Door(new SessionWorld())
  const [first, second, third, fourth] = [door.connect(), door.connect(), door.connect(), door.connect()]
  assert.deepEqual(await door.send(first, hello), [])
  assert.match(String(await door.send(second, Buffer.concat([hello, Buffer.alloc(70_000)]))), /too much was sent before the login/)
  await door.send(third, hello)
  third.lost()
  await door.send(fourth, hello)
  door.world.clock.advance(60_000)
  assert.match(String(fourth.lines()), /client_login_timeout \(server down\)/)
  assert.match(String(first.lines()), /client_login_timeout \(server down\)/)
  const patient = door.connect()
  await door.send(patient, hello)
  door.world.source.offer(1)
  await door.world.settle()
  assert.deepEqual(patient.lines(), WELCOME)
  assert.deepEqual([third.take().length, door.registry.size], [0, 1])
  const refused = new Door(new SessionWorld())
  refused.world.loginFailure = new PgleaseError('database_missing', 'app')
  const hopeless = refused.connect()
  await refused.send(hopeless, hello)
  refused.world.source.offer(1)
  await refused.world.settle()
  assert.match(String(hopeless.lines()), /FATAL.*server login has been failing/)
})

test('new clients are refused when pglease ends', async () => {
  const door = await Door.open()
  door.refusing = true
  assert.match(String(await door.send(door.connect(), hello)), /FATAL.*57P01/)
})

test('a hint names settings that there are', () => {
  const hints = Object.values(ERRORS).flatMap(({ hint }) => (hint === '' ? [] : [hint]))
  assert.ok(hints.length >= 5)
  for (const hint of hints) {
    const names = hint.match(/\w+_\w+/g) ?? []
    assert.ok(names.length > 0 && names.every((name) => GLOBALS.has(name)), hint)
  }
  assert.equal(new PgleaseError('query_wait_timeout', 'the server is down').hint, '', 'a cause is no matter of settings')
  assert.match(new PgleaseError('query_wait_timeout').hint, /default_pool_size/)
})

test('a client beyond the limit of its database or user is told so after its authentication, and its place is given back', async () => {
  const door = await Door.open()
  const [database, user] = [new ClientCount(2, 'too_many_database_clients'), new ClientCount(1, 'too_many_user_clients')]
  door.admission = new Admission([database, user])
  const first = door.connect()
  assert.deepEqual(await door.send(first, hello), WELCOME)
  const second = door.connect()
  const refusal = "ErrorResponse S='FATAL' C='08P01' M='client connections exceeded (max_user_client_connections)'"
  assert.deepEqual(await door.send(second, hello), [refusal])
  assert.deepEqual([database.clients, user.clients], [1, 1])
  second.handler.end()
  first.handler.end()
  assert.deepEqual([database.clients, user.clients], [0, 0])
  assert.deepEqual(door.ends, [
    ['too_many_user_clients', 'client_limit'],
    ['client', 'client_lost'],
  ])
  const left = door.connect()
  door.world.pool.abort()
  left.handler.data(startup({ user: 'someone', database: 'app', unknown_parameter: '1' }))
  await door.world.settle()
  assert.deepEqual([database.clients, user.clients], [0, 0])
})
