// Who does not read stops who writes to it, on both sides of a session.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { copyData, copyDone, query } from '../kit/raw-messages.ts'
import { asked, reply } from '../kit/session-world.ts'

test('a client that does not read gets no more: the link stops, and its requests are not carried out', async () => {
  const { world, client } = await asked(query('1'))
  const { transport } = world.backend()
  client.transport.full = true
  world.answer(0, reply('T D'))
  assert.deepEqual([client.transport.paused, transport.paused], [true, true])
  // one more chunk may come after a pause, on either side
  world.answer(0, reply('D C Z'))
  client.send(query('2'))
  assert.equal(transport.paused, false, 'it went back to the pool')
  transport.take()
  assert.equal(client.session.state, 'idle')
  assert.equal(transport.letters(), '')
  assert.equal(client.transport.paused, true)
  client.transport.drained()
  assert.equal(transport.letters(), 'Q')
  assert.equal(client.transport.paused, false)
  world.answer(0, reply('C Z'))
  assert.equal(client.transport.letters(), 'TDDCZCZ')
})

test('a server that does not read stops the client until it does, or until the link is gone', async () => {
  const { world, client } = await asked(query('COPY t FROM STDIN'))
  const { transport } = world.backend()
  world.answer(0, reply('G'))
  transport.full = true
  client.send(copyData('1\n'))
  assert.equal(client.transport.paused, true)
  transport.drained()
  assert.equal(client.transport.paused, false)
  transport.full = true
  client.send(copyData('2\n'))
  // it fails meanwhile
  world.answer(0, reply('E Z'))
  assert.equal(client.transport.paused, false)
  client.send(copyDone())
  const second = await asked(query('x'))
  second.world.backend().transport.full = true
  second.client.send(query('y'))
  assert.equal(second.client.transport.paused, true)
  second.world.backend().transport.lost()
  assert.equal(second.client.transport.paused, false)
  assert.equal(second.client.session.state, 'idle')
})
