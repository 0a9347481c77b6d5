import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MessageReader } from '../../src/wire/message_reader.ts'
import { emptyQueryResponse, parameterStatus, readyForQuery } from '../../src/wire/reply.ts'
import { arrivals } from '../kit/splits.ts'

const MESSAGES = [parameterStatus('a', 'some value'), emptyQueryResponse(), readyForQuery('I')]

function drain(reader: MessageReader): Buffer[] {
  const messages: Buffer[] = []
  for (let read = reader.next(); read.kind === 'message'; read = reader.next()) {
    assert.equal(read.type, read.whole[0])
    assert.deepEqual(read.body, read.whole.subarray(5))
    messages.push(Buffer.from(read.whole))
  }
  return messages
}

test('messages come out the same however they arrive', () => {
  for (const chunks of arrivals(Buffer.concat(MESSAGES))) {
    const reader = new MessageReader(100)
    const messages = chunks.flatMap((chunk) => {
      reader.push(chunk)
      return drain(reader)
    })
    assert.deepEqual(messages, MESSAGES)
    assert.equal(reader.pending, 0)
  }
})

test('a length out of bounds is refused from the header, and stays refused', () => {
  for (const [length, expected] of [
    [0, /length 0/],
    [3, /length 3/],
    [101, /more than 100/],
    [0x80000000, /more than 100/],
    [0xffffffff, /more than 100/],
  ] as const) {
    const reader = new MessageReader(100)
    const header = Buffer.alloc(5, 0x5a)
    header.writeUInt32BE(length, 1)
    reader.push(header)
    for (const read of [reader.next(), reader.next()]) assert.match(read.kind === 'invalid' ? read.detail : read.kind, expected)
  }
})

test('the limit counts the length field and not the type', () => {
  const message = parameterStatus('a', 'b'.repeat(93))
  assert.equal(message.length, 101)
  const reader = new MessageReader(100)
  reader.push(message)
  assert.equal(reader.next().kind, 'message')
  const tighter = new MessageReader(99)
  tighter.push(message)
  assert.equal(tighter.next().kind, 'invalid')
})

test('pending counts what is not returned yet', () => {
  const reader = new MessageReader(100)
  reader.push(Buffer.alloc(0))
  reader.push(Buffer.concat([...MESSAGES, Buffer.from('Z')]))
  drain(reader)
  assert.equal(reader.pending, 1)
})

test('any stream in any chunks gives its messages', () => {
  const message = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 40 })).map(([type, body]) => {
    const whole = Buffer.alloc(5 + body.length, type)
    whole.writeUInt32BE(body.length + 4, 1)
    whole.set(body, 5)
    return whole
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (messages, sizes) => {
      const reader = new MessageReader(1_000)
      const stream = Buffer.concat(messages)
      const out: Buffer[] = []
      for (let start = 0, turn = 0; start < stream.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1
        reader.push(stream.subarray(start, start + size))
        start += size
        out.push(...drain(reader))
      }
      assert.deepEqual(out, messages)
    }),
  )
})
