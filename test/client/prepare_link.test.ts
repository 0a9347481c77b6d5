// A link is brought to the session's parameters before the session's request runs on it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parameterStatus } from '../../src/wire/reply.ts'
import { query } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { reply, SessionWorld, silent } from '../kit/session-world.ts'

test('a parameter is told to the client in the spelling of the server; one that is refused ends it', async () => {
  const { world, client } = await silent()
  client.session.parts.parameters.set('TimeZone', 'utc-ish')
  client.send(query('SELECT 1'))
  world.answer(0, parameterStatus('TimeZone', 'UTC-ish'), reply('C Z'))
  assert.deepEqual(client.transport.lines(), ["ParameterStatus 'TimeZone' 'UTC-ish'"])
  world.answer(0, reply('C Z'))
  client.transport.take()
  client.send(query('SELECT 2'))
  assert.equal(world.backend().transport.letters(), 'QQQ', 'no second SET')
  world.answer(0, reply('C Z'))
  client.session.parts.parameters.set('TimeZone', 'nowhere')
  client.send(query('SELECT 3'))
  world.answer(0, reply('E Z', '22023'))
  assert.match(String(client.transport.lines().at(-1)), /FATAL.*cannot set a session parameter.*22023/)
  assert.deepEqual([client.closed, world.pool.lists.count('idle')], ['parameters_failed', 1])
})

test('a cancel request that hits our own SET does not end the client', async () => {
  const { world, client } = await silent()
  client.session.parts.parameters.set('TimeZone', 'CET')
  client.send(query('SELECT 1'))
  world.answer(0, reply('E Z', '57014'))
  world.answer(0, parameterStatus('TimeZone', 'CET'), reply('C Z'))
  world.answer(0, reply('C Z'))
  assert.equal(client.transport.letters(), 'CZ')
  assert.equal(world.backend().transport.letters(), 'QQQ')
})

for (const pool_mode of ['transaction', 'session'] as const) {
  test(`what a RESET took away is set again behind it, also when a late cancel request hits that; requests wait meanwhile (${pool_mode} mode)`, async () => {
    const world = await SessionWorld.ready({ pool_mode })
    const client = world.client(1, [['TimeZone', 'CET']])
    const cet = parameterStatus('TimeZone', 'CET')
    client.send(query('RESET ALL'))
    world.answer(0, cet, reply('C Z'))
    world.answer(0, wireMessage('C', 'RESET\0'), parameterStatus('TimeZone', 'UTC'), reply('Z'))
    client.send(query('SELECT 1'))
    assert.equal(world.backend().transport.letters(), 'QQQ', 'the first, RESET ALL, and the SET')
    world.answer(0, reply('E Z', '57014'))
    assert.match(String(world.backend().transport.take()), /SET "TimeZone" TO 'CET'/)
    world.answer(0, cet, reply('C Z'))
    assert.match(String(world.backend().transport.take()), /SELECT 1/)
    world.answer(0, reply('C Z'))
    assert.deepEqual(client.transport.lines(), [
      "CommandComplete 'RESET'",
      "ParameterStatus 'TimeZone' 'UTC'",
      'ReadyForQuery I',
      "ParameterStatus 'TimeZone' 'CET'",
      "CommandComplete 'SELECT 1'",
      'ReadyForQuery I',
    ])
    assert.equal(world.pool.lists.count('idle'), pool_mode === 'session' ? 0 : 1)
  })
}

test('a RESET of something else leaves a client what it has set meanwhile', async () => {
  const world = await SessionWorld.ready()
  world.welcome.set('client_encoding', 'UTF8').set('is_superuser', 'off')
  const client = world.client(1, [['client_encoding', 'UTF8']])
  client.send(query('SET client_encoding TO latin1'))
  world.answer(0, parameterStatus('client_encoding', 'UTF8'), reply('C Z'))
  world.answer(0, wireMessage('C', 'SET\0'), parameterStatus('client_encoding', 'LATIN1'), reply('Z'))
  client.send(query('RESET ROLE'))
  world.answer(0, wireMessage('C', 'RESET\0'), parameterStatus('is_superuser', 'off'), reply('Z'))
  assert.equal(world.backend().transport.letters(), 'QQQ', 'two of ours and the RESET: nothing is set again')
  assert.equal(client.session.parts.parameters.key.includes('LATIN1'), true)
})
