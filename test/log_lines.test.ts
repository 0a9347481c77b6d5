// Lines of the log: shape, escapes, levels, what is kept, and that secrets are replaced everywhere.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogFields, LogLine } from '../src/log.ts'
import { createLog, type LogOptions } from '../src/log_lines.ts'
import { Secret } from '../src/secret.ts'
import { FakeClock } from './kit/fake-clock.ts'

function setUp(changes: Partial<LogOptions> = {}) {
  const clock = new FakeClock()
  const written: string[] = []
  const log = createLog({ format: 'json', level: 'debug', clock, write: (line) => void written.push(line), ...changes })
  return { clock, written, log }
}

/** Characters that end a line, or move a cursor, for somebody who reads the log. */
const HARMFUL = [
  '\n',
  '\r',
  '\0',
  '\b',
  '\t',
  '\v',
  '\f',
  '\u001b',
  '\u007f',
  '\u0085',
  '\u009b',
  '\u2028',
  '\u2029',
  '\u202a',
  '\u202e',
  '\u2066',
  '\u2069',
]

test('JSON: one object per line with time, level, event and msg first, then the fields that are set', () => {
  const { clock, written, log } = setUp()
  log.info('listening', 'open', { kind: 'database', address: '127.0.0.1:6432', database: undefined })
  clock.advance(1_234)
  log.warning('client_closed', 'left', { client: 7, ms: 0, count: 3 })
  log.error('bug', 'no fields')
  assert.deepEqual(written, [
    '{"time":"2025-01-01T00:00:00.000Z","level":"info","event":"listening","msg":"open","kind":"database","address":"127.0.0.1:6432"}\n',
    '{"time":"2025-01-01T00:00:01.234Z","level":"warning","event":"client_closed","msg":"left","client":7,"ms":0,"count":3}\n',
    '{"time":"2025-01-01T00:00:01.234Z","level":"error","event":"bug","msg":"no fields"}\n',
  ])
})

test('text: time, level, event and message, then key=value with quotes where they are needed', () => {
  const { written, log } = setUp({ format: 'text' })
  log.info('listening', 'open', { address: '127.0.0.1:6432', ms: 12, path: 'a b', user: '', reason: 'x=1', source: 'say "hi"' })
  log.warning('bug', 'odd')
  assert.deepEqual(written, [
    '2025-01-01T00:00:00.000Z INFO    listening: open address=127.0.0.1:6432 ms=12 path="a b" user="" reason="x=1" source="say \\"hi\\""\n',
    '2025-01-01T00:00:00.000Z WARNING bug: odd\n',
  ])
})

for (const format of ['text', 'json'] as const) {
  test(`${format}: whatever a client sends, its line is one line and moves no cursor`, () => {
    const { written, log } = setUp({ format })
    for (const character of HARMFUL) {
      const text = `one${character}2025-01-01T00:00:00.000Z ERROR bug: two`
      log.info('client_login', text, { user: text, database: `${character}` })
    }
    assert.equal(written.length, HARMFUL.length)
    for (const [index, line] of written.entries()) {
      const body = line.slice(0, -1)
      const character = HARMFUL[index]!
      assert.equal(line.at(-1), '\n')
      for (const harmful of HARMFUL) assert.ok(!body.includes(harmful), `${JSON.stringify(character)} as ${JSON.stringify(line)}`)
      if (format === 'json') assert.equal((JSON.parse(line) as LogLine).database, character)
    }
  })
}

test('text: a newline and a tab are readable, other control characters show their number', () => {
  const { written, log } = setUp({ format: 'text' })
  log.info('bug', 'a\nb\tc\u001b[2Jd\u202ee')
  assert.equal(written[0], '2025-01-01T00:00:00.000Z INFO    bug: a\\nb\\tc\\u001b[2Jd\\u202ee\n')
})

test('below the level nothing happens: no time, no field is read, no redaction, no listener', () => {
  let asked = 0
  const { written, log } = setUp({ level: 'info', clock: { wallMs: () => asked++ } })
  let read = 0
  const fields: LogFields = {
    get database() {
      read++
      return 'app'
    },
  }
  let heard = 0
  log.onLine(() => heard++)
  log.debug('client_login', 'quiet', fields)
  assert.deepEqual([written.length, asked, read, heard, log.recent().length], [0, 0, 0, 0, 0])
  log.info('client_login', 'loud', fields)
  assert.deepEqual([written.length, asked, heard, log.recent().length], [1, 1, 1, 1])
  assert.ok(read > 0)
})

test('each level lets itself and what is worse through, and can be changed', () => {
  const { written, log } = setUp()
  const levels = ['debug', 'info', 'warning', 'error'] as const
  const passing = levels.map((level) => {
    log.setLevel(level)
    written.length = 0
    for (const own of levels) log[own]('bug', own)
    return written.map((line) => (JSON.parse(line) as LogLine).level)
  })
  assert.deepEqual(passing, [['debug', 'info', 'warning', 'error'], ['info', 'warning', 'error'], ['warning', 'error'], ['error']])
})

test('the last 200 lines are kept, oldest first, and the answer is a copy', () => {
  const { log } = setUp()
  for (let count = 1; count <= 200; count++) log.info('bug', `line ${count}`)
  const early = log.recent()
  assert.deepEqual([early.length, early[0]?.msg, early[199]?.msg], [200, 'line 1', 'line 200'])
  for (let count = 201; count <= 205; count++) log.info('bug', `line ${count}`)
  const late = log.recent()
  assert.deepEqual([late.length, late[0]?.msg, late[199]?.msg], [200, 'line 6', 'line 205'])
  assert.equal(early[0]?.msg, 'line 1')
})

test('a listener hears of every line until it is ended; the others go on', () => {
  const { log } = setUp()
  const [first, second]: [string[], string[]] = [[], []]
  const end = log.onLine((line) => first.push(line.msg))
  log.onLine((line) => second.push(line.msg))
  log.info('bug', 'a')
  end()
  end()
  log.info('bug', 'b')
  assert.deepEqual([first, second], [['a'], ['a', 'b']])
})

test('a secret is replaced in the message and in each field, for the writer, the listeners and what is kept', () => {
  for (const format of ['json', 'text'] as const) {
    const { written, log } = setUp({ format })
    const heard: LogLine[] = []
    log.onLine((line) => heard.push(line))
    const forget = log.redact(new Secret('hunter-two'))
    log.info('bug', 'it is hunter-two!', { reason: 'hunter-two', client: 'a hunter-two b', address: 'x', ms: 5 })
    const clean = { msg: 'it is [redacted]!', reason: '[redacted]', client: 'a [redacted] b', address: 'x', ms: 5 }
    const expected = { time: '2025-01-01T00:00:00.000Z', level: 'info', event: 'bug', ...clean }
    assert.deepEqual([heard, log.recent()], [[expected], [expected]])
    assert.ok(!written.join('').includes('hunter'), written.join(''))
    forget()
    log.info('bug', 'it is hunter-two!')
    assert.equal(log.recent().at(-1)?.msg, 'it is hunter-two!')
  }
})

test('the fields that were handed in are left as they were', () => {
  const { log } = setUp()
  log.redact(new Secret('hunter-two'))
  const fields: LogFields = Object.freeze({ reason: 'hunter-two' })
  log.info('bug', 'text', fields)
  assert.deepEqual([fields.reason, log.recent()[0]?.reason], ['hunter-two', '[redacted]'])
})
