// What is remembered of the last startup packet answers only for the same bytes under the same settings.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StartupMemory } from '../../src/client/startup_memory.ts'
import { PgleaseError } from '../../src/errors.ts'
import { ParameterNames } from '../../src/wire/parameters.ts'
import { parseStartup, type StartupMessage } from '../../src/wire/startup.ts'
import { startup } from '../kit/raw-messages.ts'

const memory = () => new StartupMemory(new ParameterNames([]))

function understood(kept: StartupMemory, bytes: Buffer): StartupMessage {
  const packet = kept.parse(bytes)
  assert.deepEqual(packet, parseStartup(bytes))
  if (packet.kind !== 'startup') throw new Error(packet.kind)
  return packet
}

test('the same bytes are understood once, others anew, also when they begin alike', () => {
  const kept = memory()
  const bytes = startup({ user: 'app', database: 'first' })
  const first = understood(kept, bytes)
  assert.equal(understood(kept, Buffer.from(bytes)), first)
  assert.equal(understood(kept, startup({ user: 'app', database: 'other' })).database, 'other')
  assert.equal(understood(kept, bytes).database, 'first')
  assert.equal(understood(kept, Buffer.concat([bytes, bytes])).length, bytes.length)
  assert.equal(kept.parse(bytes.subarray(0, bytes.length - 1)).kind, 'need_more')
  assert.equal(understood(kept, bytes).database, 'first')
})

test('a packet that its sender changes afterwards is not mistaken for the one that was remembered', () => {
  const kept = memory()
  const bytes = startup({ user: 'app', database: 'first' })
  understood(kept, bytes)
  bytes.write('thief', bytes.indexOf('first'))
  assert.equal(understood(kept, bytes).database, 'thief')
})

test('what is refused is not remembered as understood', () => {
  const kept = memory()
  const bytes = startup({ user: 'app' })
  bytes[bytes.length - 1] = 1
  for (let time = 0; time < 2; time++) assert.equal(kept.parse(bytes).kind, 'invalid')
})

test('tracked parameters are those of the packet, under the settings of now', () => {
  const kept = memory()
  const first = understood(kept, startup({ user: 'app', application_name: 'one', jit: 'off' }))
  const ignoring = ['jit']
  assert.deepEqual(kept.tracked(first, ignoring), [['application_name', 'one']])
  assert.equal(kept.tracked(first, ignoring), kept.tracked(first, ignoring))
  assert.ok(kept.tracked(first, []) instanceof PgleaseError)
  assert.deepEqual(kept.tracked(first, ignoring), [['application_name', 'one']])
  const second = understood(kept, startup({ user: 'app', application_name: 'two' }))
  assert.deepEqual(kept.tracked(second, ignoring), [['application_name', 'two']])
  assert.deepEqual(kept.tracked(first, ignoring), [['application_name', 'one']])
})
