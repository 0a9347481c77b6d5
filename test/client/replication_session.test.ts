// A replication client from its startup packet to its end: bytes both ways, slow sides, and FATAL between two messages only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginReplication } from '../../src/client/begin.ts'
import type { GreetParts } from '../../src/client/greet_parts.ts'
import { Registry } from '../../src/client/registry.ts'
import type { ReplicationSession } from '../../src/client/replication_session.ts'
import { type CloseReason, PgleaseError } from '../../src/errors.ts'
import { ServerRefusal } from '../../src/server/refusal.ts'
import { errorResponse, parseFields, readyForQuery } from '../../src/wire/reply.ts'
import { parseStartup } from '../../src/wire/startup.ts'
import { copyData, query, startup, terminate } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { quietLog, quietMeter, SessionWorld } from '../kit/session-world.ts'
import { StillTransport } from '../kit/still-transport.ts'

async function connected({
  ahead,
  parameters,
  refused,
}: {
  ahead?: Buffer
  parameters?: Record<string, string>
  refused?: PgleaseError
} = {}) {
  const world = await SessionWorld.ready({ query_wait_timeout: 5_000 })
  world.replicationFailure = refused
  const registry = new Registry()
  const transport = new StillTransport()
  const seen = { closed: [] as CloseReason[], codes: [] as string[], places: 0, logged: [] as string[] }
  const packet = parseStartup(startup({ user: 'u', database: 'app', replication: 'database', ...parameters }))
  assert.ok(packet.kind === 'startup')
  const parts = {
    registry,
    clock: world.clock,
    log: { ...quietLog, info: (_event: string, text: string) => void seen.logged.push(text) },
    settings: () => ({ log_connections: true, log_pooler_errors: true }),
    clientClosed: (_: unknown, reason: CloseReason) => void seen.closed.push(reason),
  } as unknown as GreetParts
  const meter = { ...quietMeter, clientError: (code: string) => void seen.codes.push(code) }
  const destination = {
    database: 'app',
    pool: world.pool,
    replications: world.replications,
    meter,
    admission: { leave: () => void seen.places++ } as never,
  }
  beginReplication(parts, 'logical', { transport, startup: packet, destination, ahead: ahead ?? Buffer.alloc(0) })
  const [session] = registry.replications() as [ReplicationSession]
  await world.settle()
  const server = world.replicationBackends[0]?.transport as StillTransport
  return { world, registry, transport, session, server, seen, backend: world.replicationBackends[0] }
}

const WELCOME = ['AuthenticationOk', "ParameterStatus 'TimeZone' 'UTC'", 'BackendKeyData', 'ReadyForQuery I']
const row = copyData('0123456789')

test('the client is welcomed when it has its server, which gets its parameters and what it sent ahead', async () => {
  const parameters = { application_name: 'a', options: '-c x=y', client_encoding: 'LATIN1' }
  const { transport, server, backend, seen, registry } = await connected({ ahead: query('IDENTIFY_SYSTEM'), parameters })
  assert.deepEqual(transport.lines(), WELCOME)
  assert.equal(server.letters(), 'Q')
  assert.deepEqual(backend?.request, {
    kind: 'logical',
    parameters: Object.entries({ application_name: 'a', client_encoding: 'LATIN1', options: '-c x=y' }),
  })
  assert.match(String(seen.logged), /client logged in from test for logical replication/)
  assert.equal(registry.size, 1)
})

test('bytes pass both ways as they come, and a slow side makes the other wait', async () => {
  const { transport, server } = await connected()
  transport.take()
  const bytes = Buffer.concat([row, row])
  for (const part of [bytes.subarray(0, 3), bytes.subarray(3, 20), bytes.subarray(20)]) {
    server.handler.data(part)
    assert.deepEqual(transport.take(), part)
    transport.handler.data(part)
    assert.deepEqual(server.take(), part)
  }
  transport.full = true
  server.handler.data(row)
  assert.ok(server.paused)
  transport.drained()
  assert.ok(!server.paused)
  server.full = true
  transport.handler.data(row)
  assert.ok(transport.paused)
  server.drained()
  assert.ok(!transport.paused)
})

test('it is recycled at a message boundary: at once, or with the end of the message that is under way', async () => {
  for (const cut of [0, 1, 4, 5, 9, row.length]) {
    const { transport, server, session, seen, world, registry } = await connected()
    transport.take()
    if (cut > 0) server.handler.data(row.subarray(0, cut))
    const now = cut === 0 || cut === row.length
    assert.equal(session.recycle(), now)
    if (!now) {
      assert.equal(transport.take().length, cut)
      server.handler.data(Buffer.concat([row.subarray(cut), row]))
      assert.deepEqual(transport.take().subarray(0, row.length - cut), row.subarray(cut))
    } else {
      const told = transport.lines()
      assert.match(String(told.at(-2)), /^NoticeResponse.*credential of this server connection is being replaced/)
      assert.match(String(told.at(-1)), /FATAL.*C='57P01' M='terminating connection because the credential of its server connection/)
    }
    assert.deepEqual([seen.closed, seen.codes, seen.places, registry.size], [['replication_recycled'], ['replication_recycled'], 1, 0])
    assert.ok(transport.ended)
    assert.equal(server.letters(), 'X')
    assert.equal(world.replicationBackends[0]?.link.closeReason, 'rotated')
    server.handler.data(row)
    assert.equal(transport.take().length, 0)
  }
})

test('a client that is cut off within a message is told nothing', async () => {
  const { transport, server, session, seen } = await connected()
  transport.take()
  server.handler.data(row.subarray(0, 8))
  assert.equal(session.recycle(), false)
  assert.ok(session.recycle(true))
  assert.deepEqual([transport.take().length, transport.ended, seen.closed], [8, true, ['replication_recycled']])
})

test('a server that is left gets a Terminate unless a message of the client is there in part', async () => {
  for (const [sent, letters] of [
    [Buffer.alloc(0), 'X'],
    [row, 'dX'],
    [terminate(), 'X'],
  ] as const) {
    const { transport, server, seen } = await connected()
    if (sent.length > 0) transport.handler.data(sent)
    transport.lost()
    assert.equal(server.letters(), letters)
    assert.ok(server.ended)
    assert.deepEqual(seen.closed, [letters === 'X' && sent.length > 0 ? 'client_terminated' : 'client_lost'])
  }
  const { transport, server } = await connected()
  transport.handler.data(row.subarray(0, 7))
  transport.lost()
  assert.deepEqual(server.take(), row.subarray(0, 7))
})

test("the server's end is the client's: its words, or ours where it said nothing", async () => {
  const fatal = errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'administrator' })
  for (const [said, expected] of [
    [fatal, /administrator'$/],
    [readyForQuery('I'), /ReadyForQuery I,ErrorResponse.*08006.*server conn crashed\?/],
    [wireMessage('C', 'COPY 0\0'), /CommandComplete 'COPY 0'$/],
  ] as const) {
    const { transport, server, seen } = await connected()
    transport.take()
    server.handler.data(said)
    server.lost()
    assert.match(String(transport.lines()), expected)
    assert.ok(transport.ended)
    assert.deepEqual(seen.closed, ['server_lost_in_replication'])
  }
  const { transport, server } = await connected()
  transport.take()
  server.handler.data(row.subarray(0, 8))
  server.lost()
  assert.deepEqual([transport.take().length, transport.ended], [8, true], 'nothing may follow half a message')
})

test('a login that the server refuses is told in its words; a wait that is over in ours', async () => {
  const words = errorResponse({ severity: 'FATAL', sqlstate: '42501', message: 'permission denied to start WAL sender' })
  const refused = await connected({ refused: new ServerRefusal('db:5432', parseFields(words, 5)) })
  assert.deepEqual(refused.transport.lines(), ["ErrorResponse S='FATAL' C='42501' M='permission denied to start WAL sender'"])
  assert.deepEqual([refused.seen.closed, refused.seen.codes], [['login_failed'], ['login_not_permitted']])
  const late = await connected({ refused: new PgleaseError('server_full', 'no walsender') })
  late.world.clock.advance(5_000)
  late.world.replications.tick()
  assert.match(String(late.transport.lines()), /C='08P01' M='query_wait_timeout' D='the server has no free connection: no walsender'/)
  assert.deepEqual(late.seen.closed, ['query_wait_timeout'])
  const gone = await connected({ refused: new PgleaseError('server_full', 'no walsender') })
  gone.transport.lost()
  assert.deepEqual([gone.seen.closed, gone.world.replications.waiting], [['client_lost'], 0])
})

test('a client that breaks the protocol, or sends too much ahead, is ended', async () => {
  const broken = await connected()
  broken.transport.take()
  broken.transport.handler.data(Buffer.from([0x64, 0, 0, 0, 0]))
  assert.match(String(broken.transport.lines()), /protocol violation: invalid length/)
  assert.ok(broken.server.ended)
  const eager = await connected({ refused: new PgleaseError('server_full', ''), ahead: copyData('x'.repeat(65_536)) })
  assert.match(String(eager.transport.lines()), /too much was sent before the login was over/)
  const server = await connected()
  server.transport.take()
  server.server.handler.data(Buffer.from([0x64, 0xff, 0, 0, 0]))
  assert.deepEqual([server.transport.ended, server.seen.closed], [true, ['server_protocol_violation']])
})

test('its cancel key is found, and it ends at shutdown', async () => {
  const { session, registry, transport, world } = await connected()
  const bytes = transport.take()
  const at = bytes.indexOf('K')
  const [processId, key] = [bytes.readUInt32BE(at + 5), bytes.subarray(at + 9, at + 13)]
  assert.equal(registry.find({ processId, key }), session)
  assert.equal(registry.find({ processId: session.parts.id, key: Buffer.alloc(4) }), undefined)
  assert.ok(session.endSoon(new PgleaseError('shutting_down'), 'idle_at_shutdown'))
  assert.match(String(transport.lines()), /C='57P01' M='pooler is shutting down'/)
  assert.equal(registry.size, 0)
  assert.equal(world.replications.lists.count('closing'), 1)
})
