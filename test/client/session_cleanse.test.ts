// A link that may yet answer what nobody asked for is cleansed before it serves the next client.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bind, copyDone, execute, parse, query, sync } from '../kit/raw-messages.ts'
import { asked, reply } from '../kit/session-world.ts'

test('a link with a doubtful Sync is asked before it serves the next', async () => {
  const { world, client } = await asked(parse('', 'COPY t FROM STDIN'), bind('', ''), execute(), sync())
  const other = world.client()
  const { transport } = world.backend()
  world.answer(0, reply('1 2 G E'))
  client.send(copyDone(), sync())
  other.send(query('other'))
  transport.take()
  world.answer(0, reply('Z'))
  assert.equal(client.transport.letters(), '12GEZ')
  assert.deepEqual(transport.take(), query(''))
  // what the client asks meanwhile waits
  client.send(query('next'))
  assert.equal(transport.letters(), '')
  // the late one, then the answer to the question
  world.answer(0, reply('Z I Z'))
  assert.equal(client.transport.letters(), 'Z')
  assert.match(String(transport.take()), /other/)
  world.answer(0, reply('C Z'))
  assert.equal(other.transport.letters(), 'CZ')
  assert.match(String(transport.take()), /next/)
})

test('a link on which a Query came into an open batch is cleansed before it serves the next', async () => {
  const { world, client } = await asked(parse('', 'x'), bind('', ''), execute(), query('q'), sync())
  const other = world.client()
  const { transport } = world.backend()
  other.send(query('other'))
  transport.take()
  world.answer(0, reply('1 2 C C ZT Z'))
  assert.deepEqual(transport.take(), query(''))
  world.answer(0, reply('E', 'XX000'))
  world.answer(0, reply('Z'))
  assert.equal(client.transport.letters(), '12CCZZ', 'nobody hears of the error')
  assert.match(String(transport.take()), /other/)
  world.answer(0, reply('C Z'))
  assert.equal(other.transport.letters(), 'CZ')
  assert.equal(transport.letters(), '', 'once is enough')
})
