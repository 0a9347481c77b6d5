// LISTEN of a session in transaction mode: what is held back until the listening link has taken over, and when notifications are sent on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parameterStatus } from '../../src/wire/reply.ts'
import { message, parse, query, sync } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { answered, asked, type Conversation, reply, type SessionWorld, silent } from '../kit/session-world.ts'

const note = (channel: string, payload = '', processId = '\0\0\0\x05') => wireMessage('A', `${processId}${channel}\0${payload}\0`)
/** The answer to CHANNELS_QUERY. */
const channels = (...names: string[]) => {
  const rows = names.map((name) => {
    const hex = Buffer.from(name).toString('hex')
    return wireMessage('D', `\0\x01\0\0\0${String.fromCharCode(hex.length)}${hex}`)
  })
  return Buffer.concat([wireMessage('T', '\0\0'), ...rows, reply('C Z')])
}
const WORK = 0
const LISTENING = 1

/** What pglease or a client asked of link `index` since the last look. */
const askedOf = (world: SessionWorld, index: number) => world.backend(index).transport.take().toString('latin1')

/** A client that listens to `one`: link 1 listens for it. */
async function listening(): Promise<Conversation> {
  const { world, client } = await answered(query('LISTEN one'), reply('C=LISTEN Z'))
  world.answer(WORK, channels('one'))
  await world.settle()
  world.answer(LISTENING, reply('C=LISTEN Z'))
  world.answer(WORK, reply('C=UNLISTEN Z'))
  assert.equal(client.transport.letters(), 'CZ')
  for (const { transport } of world.backends) transport.take()
  return { world, client }
}

test("the ReadyForQuery behind LISTEN waits for the listening link's answer, and the work link is cleaned", async () => {
  const { world, client } = await answered(query('LISTEN one'), reply('C=LISTEN Z'))
  assert.equal(client.transport.letters(), 'C')
  assert.match(askedOf(world, WORK), /pg_listening_channels/)
  // the next request waits too
  client.send(query('SELECT 1'))
  world.answer(WORK, channels('one'))
  await world.settle()
  assert.match(askedOf(world, LISTENING), /LISTEN "one"/)
  assert.equal(client.transport.letters(), '')
  world.answer(LISTENING, reply('C=LISTEN Z'))
  assert.equal(client.transport.letters(), 'Z')
  assert.match(askedOf(world, WORK), /UNLISTEN \*/)
  world.answer(WORK, reply('C=UNLISTEN Z'))
  assert.match(askedOf(world, WORK), /SELECT 1/)
})

test('a transaction that was rolled back changes nothing, and nothing is asked for nothing', async () => {
  const { world, client } = await answered(query('BEGIN'), reply('C=BEGIN ZT'))
  client.send(query('LISTEN one'))
  world.answer(WORK, reply('C=LISTEN ZT'))
  assert.equal(client.transport.letters(), 'CZCZ')
  client.send(query('ROLLBACK'))
  world.answer(WORK, reply('C=ROLLBACK Z'))
  world.answer(WORK, channels())
  assert.equal(client.transport.letters(), 'CZ')
  assert.equal(world.backends.length, 1)
  const other = await answered(query('UNLISTEN *'), reply('C=UNLISTEN Z'))
  assert.equal(other.client.transport.letters(), 'CZ')
  assert.doesNotMatch(askedOf(other.world, WORK), /pg_listening_channels/)
})

test('pipelined behind a LISTEN: no answer waits but the last, and its notifications come on the work link meanwhile', async () => {
  const { world, client } = await asked(query('LISTEN one'), query('SELECT 1'))
  world.answer(WORK, reply('C=LISTEN Z'), note('one', 'early'), reply('C Z'))
  assert.equal(client.transport.letters(), 'CZAC')
  world.answer(WORK, channels('one'), note('one', 'late'))
  await world.settle()
  world.answer(LISTENING, reply('C=LISTEN Z'))
  assert.equal(client.transport.letters(), 'A')
  // what the work link may still have heard
  world.answer(WORK, reply('I Z'))
  assert.equal(client.transport.letters(), 'Z')
})

test('notifications come at once to a session at rest, and at the end of a transaction to one that is in it', async () => {
  const { world, client } = await listening()
  world.answer(LISTENING, note('one', 'a'), note('two', 'not its own'))
  assert.deepEqual(client.transport.lines(), ["NotificationResponse 'one' 'a'"])
  client.send(query('BEGIN'))
  world.answer(WORK, reply('C=BEGIN ZT'))
  world.answer(LISTENING, note('one', 'b'))
  client.send(query('COMMIT'))
  world.answer(WORK, reply('C=COMMIT Z'))
  world.answer(LISTENING, note('one', 'c'))
  assert.equal(client.transport.letters(), 'CZC')
  // the round trip that tells that all of the transaction's own were heard
  world.answer(LISTENING, reply('I Z'))
  assert.deepEqual(client.transport.lines(), ["NotificationResponse 'one' 'b'", "NotificationResponse 'one' 'c'", 'ReadyForQuery I'])
})

test('a link that another session used last is heard out before the request of one that listens is sent', async () => {
  const { world, client } = await listening()
  const other = world.client(2)
  other.send(query("NOTIFY one, 'x'"))
  world.answer(WORK, reply('C=NOTIFY Z'))
  world.backend(WORK).transport.take()
  client.send(query('SELECT 1'))
  assert.equal(askedOf(world, WORK), '')
  world.answer(LISTENING, note('one', 'x', '\0\0\0\x01'), reply('I Z'))
  assert.equal(world.backend(WORK).link.sender, 1)
  assert.match(askedOf(world, WORK), /SELECT 1/)
})

test('a client that leaves while its link is heard out has asked nothing of it: the link serves others', async () => {
  const { world, client } = await listening()
  world.client(2).send(query('SELECT 1'))
  world.answer(WORK, reply('C Z'))
  client.send(query('SELECT 2'))
  assert.equal(client.session.state, 'preparing')
  client.transport.lost()
  assert.deepEqual([client.cancelled.length, world.pool.lists.count('idle')], [0, 1])
  world.answer(LISTENING, reply('I Z'))
  assert.equal(world.backend(WORK).link.sender, 2)
})

test('before an UNLISTEN the channels are put on the work link, where it takes effect with its transaction', async () => {
  for (const unlisten of [[query('UNLISTEN one')], [parse('', 'unlisten one'), sync()]]) {
    const { world, client } = await listening()
    client.send(...unlisten)
    assert.match(askedOf(world, WORK), /LISTEN "pglease_\w+";LISTEN "one"/)
    world.answer(WORK, reply('C=LISTEN C=LISTEN Z'))
    assert.match(askedOf(world, WORK), /unlisten one/i)
    assert.equal(client.transport.letters(), '')
  }
})

test('a client that does not read, or stays in its transaction, is closed when too much waits for it', async () => {
  for (const reads of [false, true]) {
    const { world, client } = await listening()
    client.transport.full = !reads
    if (reads) client.send(query('BEGIN'))
    if (reads) world.answer(WORK, reply('C=BEGIN ZT'))
    else world.answer(LISTENING, note('one', 'first'))
    const payload = 'x'.repeat(7_000)
    let sent = 0
    while (client.closed === undefined && sent < 2_000) {
      world.answer(LISTENING, note('one', payload))
      sent++
    }
    assert.equal(client.closed, 'notifications_unread')
    assert.ok(sent > 1_000 && sent < 1_300, `${sent}`)
    assert.match(String(client.transport.lines().at(-1)), /FATAL.*notifications were not read/)
  }
})

test('a client that reads again gets what waits for it', async () => {
  const { world, client } = await listening()
  client.transport.full = true
  world.answer(LISTENING, note('one', '1'), note('one', '2'), note('one', '3'))
  assert.equal(client.transport.letters(), 'A')
  client.transport.drained()
  assert.equal(client.transport.letters(), 'AA')
})

test('a client that does not read while its cancelled request had its link prepared gives the link back when it reads again', async () => {
  const { world, client } = await listening()
  client.session.parts.parameters.set('TimeZone', 'CET')
  client.send(query('SELECT 1'), query('SELECT 2').subarray(0, 6))
  client.transport.full = true
  world.answer(LISTENING, note('one'))
  assert.ok(client.session.cancelWaiting())
  world.answer(WORK, parameterStatus('TimeZone', 'CET'), reply('C=SET Z'))
  client.transport.drained()
  assert.deepEqual([client.session.state, world.pool.lists.count('idle'), client.transport.letters()], ['idle', 1, 'AEZ'])
})

test('a client that leaves while its LISTEN is settled leaves a link that serves others', async () => {
  const { world, client } = await answered(query('LISTEN one'), reply('C=LISTEN Z'))
  world.answer(WORK, channels('one'))
  await world.settle()
  client.transport.lost()
  assert.equal(client.closed, 'client_lost')
  assert.match(askedOf(world, WORK), /UNLISTEN \*/)
  world.answer(WORK, reply('C=UNLISTEN Z'))
  const other = world.client(2)
  other.send(query('SELECT 1'))
  world.answer(WORK, reply('C Z'))
  assert.equal(other.transport.letters(), 'CZ')
  world.answer(LISTENING, reply('C=LISTEN Z'))
})

test('the work link is lost before it is known what the session listens to: the client is told', async () => {
  const { world, client } = await answered(query('LISTEN one'), reply('C=LISTEN Z'))
  world.answer(WORK, reply('FATAL', '57P01'))
  assert.match(String(client.transport.lines().at(-1)), /FATAL.*57P01/)
  assert.equal(client.closed, 'server_lost_in_transaction')
})

test("a cancel request that struck pglease's own question does not end it", async () => {
  const { world, client } = await answered(query('LISTEN one'), reply('C=LISTEN Z'))
  askedOf(world, WORK)
  world.answer(WORK, reply('E Z', '57014'))
  assert.match(askedOf(world, WORK), /pg_listening_channels/)
  world.answer(WORK, channels('one'))
  await world.settle()
  world.answer(LISTENING, reply('C=LISTEN Z'))
  assert.equal(client.transport.letters(), 'CZ')
})

test('the listening link is lost: the session is ended with the reason, also in the middle of a request', async () => {
  for (const busy of [false, true]) {
    const { world, client } = await listening()
    if (busy) client.send(query('SELECT 1'))
    world.answer(LISTENING, reply('FATAL', '57P01'))
    assert.equal(client.closed, 'listening_lost')
    assert.match(String(client.transport.lines().at(-1)), /FATAL.*08006.*the server connection that listens was lost/)
  }
})

test('a session that ends gives its channels up', async () => {
  const { world, client } = await listening()
  client.send(message('X'))
  assert.equal(client.closed, 'client_terminated')
  assert.match(askedOf(world, LISTENING), /UNLISTEN "one"/)
})

test('session mode: the process id of its own link is the one that the client was greeted with', async () => {
  const { world, client } = await silent({ pool_mode: 'session' })
  client.send(query('SELECT 1'))
  world.answer(WORK, note('one', 'own', '\0\0\0\x01'), note('one', 'other'), reply('C Z'))
  const bytes = client.transport.take()
  assert.deepEqual([bytes.readUInt32BE(5), bytes.readUInt32BE(5 + note('one', 'own').length)], [1, 5])
})
