import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, PgleaseError } from '../../src/errors.ts'
import { type QueryAnswer, simpleQuery } from '../../src/server/query.ts'
import { ServerRefusal } from '../../src/server/refusal.ts'
import { emptyQueryResponse, errorResponse, noticeResponse, parameterStatus, readyForQuery } from '../../src/wire/reply.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { memoryPair } from '../kit/memory-transport.ts'
import { playServer, type Step, wireMessage } from '../kit/scripted-server.ts'

const DESCRIPTION = wireMessage('T', '\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0')
const ROW = wireMessage('D', '\0\x02\0\0\0\x02ab\xff\xff\xff\xff')
const DONE = wireMessage('C', 'SELECT 1\0')
const NOTICE = noticeResponse({ severity: 'NOTICE', sqlstate: '00000', message: 'n' })
const ERROR = errorResponse({ severity: 'ERROR', sqlstate: '42704', message: 'invalid role OID: 5' })

function ask(
  step: Step,
  pieceSize = Number.POSITIVE_INFINITY,
): { promise: Promise<QueryAnswer>; clock: FakeClock; near: ReturnType<typeof memoryPair>[0] } {
  const [near, far] = memoryPair()
  far.pieceSize = pieceSize
  playServer(far, [step])
  const clock = new FakeClock()
  const promise = simpleQuery(near, 'select session_user', { timeoutMs: 1_000, clock })
  promise.catch(() => {})
  return { promise, clock, near }
}

test('rows, tag, parameters and status, whole and byte by byte', async () => {
  const bytes = Buffer.concat([NOTICE, DESCRIPTION, ROW, ROW, DONE, parameterStatus('TimeZone', 'UTC'), readyForQuery('T'), NOTICE])
  for (const pieceSize of [Number.POSITIVE_INFINITY, 1]) {
    const { promise, clock, near } = ask(bytes, pieceSize)
    const answer = await promise
    assert.deepEqual(answer.rows, [
      ['ab', null],
      ['ab', null],
    ])
    assert.deepEqual([answer.tag, answer.status, answer.error, [...answer.parameters]], ['SELECT 1', 'T', undefined, [['TimeZone', 'UTC']]])
    assert.equal(near.written[0]?.toString('latin1'), 'Q\0\0\0\x18select session_user\0')
    assert.deepEqual([clock.pending, near.closed], [0, undefined])
  }
})

test('an ERROR is an answer', async () => {
  const answer = await ask(Buffer.concat([ERROR, readyForQuery('I')])).promise
  assert.deepEqual([answer.error?.sqlstate, answer.error?.message, answer.status, answer.rows], ['42704', 'invalid role OID: 5', 'I', []])
  const empty = await ask(Buffer.concat([emptyQueryResponse(), readyForQuery('I')])).promise
  assert.deepEqual([empty.tag, empty.error], ['', undefined])
})

test('anything else ends the connection', async () => {
  const fatal = errorResponse({ severity: 'FATAL', sqlstate: '57P01', message: 'terminating' })
  const lie = wireMessage('D', '\x7f\xff\0\0\0\x01a')
  const rows: [Step, ErrorCode, RegExp][] = [
    [fatal, 'server_lost', /terminating \(SQLSTATE 57P01\)/],
    [Buffer.alloc(0), 'server_lost', /ended during a query/],
    [wireMessage('G', '\0\0\0'), 'server_misbehaved', /CopyInResponse in answer/],
    [wireMessage('H', '\0\0\0'), 'server_misbehaved', /CopyOutResponse in answer/],
    [wireMessage('1'), 'server_misbehaved', /ParseComplete in answer/],
    [lie, 'server_misbehaved', /malformed DataRow/],
    [wireMessage('S', 'a'), 'server_misbehaved', /malformed ParameterStatus/],
    [readyForQuery('X' as 'I'), 'server_misbehaved', /malformed ReadyForQuery/],
    [Buffer.concat([readyForQuery('I'), ROW]), 'server_misbehaved', /DataRow after ReadyForQuery/],
    [Buffer.concat([readyForQuery('I'), readyForQuery('I')]), 'server_misbehaved', /ReadyForQuery after/],
    [
      Buffer.concat(Array.from({ length: 70 }, () => wireMessage('D', `\0\x01\0\0\x40\0${'x'.repeat(16_384)}`))),
      'server_misbehaved',
      /more than 1048576 bytes/,
    ],
  ]
  for (const [step, code, detail] of rows) {
    const { promise, near, clock } = ask(step)
    // a server that says the last of this and leaves
    for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve))
    near.peer.destroy()
    const error = await promise.then(
      () => assert.fail(`answered, expected ${code}`),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof PgleaseError, String(error))
    assert.deepEqual([error.code, clock.pending], [code, 0], error.message)
    assert.match(error.detail, detail)
    assert.equal(error instanceof ServerRefusal, step === fatal)
  }
})

test('a query that takes too long ends the connection', async () => {
  const { promise, clock, near } = ask('silence')
  await clock.run(1_000)
  await assert.rejects(promise, { code: 'connect_timeout', detail: 'test:5432: a query took more than 1000 ms' })
  await clock.run(0)
  assert.ok(near.closed)
})
