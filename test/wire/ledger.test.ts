// The ledger against a table of conversations, and against a model of PostgreSQL: settled when the server is, and never before.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ASKED } from '../../src/wire/asked.ts'
import { Ledger } from '../../src/wire/ledger.ts'
import { ANSWER, type LedgerListener, type NamedListener } from '../../src/wire/ledger_listener.ts'
import { type Effect, type ModelMessage, PostgresModel } from '../kit/postgres-model.ts'

const SENT: Record<string, number> = {
  P: ASKED.parse,
  p: ASKED.parseUnnamed,
  B: ASKED.bind,
  D: ASKED.describe,
  E: ASKED.execute,
  C: ASKED.close,
  x: ASKED.closeUnnamed,
  S: ASKED.sync,
  Q: ASKED.query,
  F: ASKED.functionCall,
  c: ASKED.copyEnd,
  '[p]': ASKED.inventedParse,
  '[x]': ASKED.inventedClose,
  '[Q]': ASKED.inventedQuery,
  N: ASKED.parseNamed,
  k: ASKED.closeNamed,
  b: ASKED.bindNamed,
  d: ASKED.describeNamed,
  '[N]': ASKED.inventedParseNamed,
  '[k]': ASKED.inventedCloseNamed,
  '[d]': ASKED.inventedDescribeNamed,
  r: ASKED.refusedNamed,
}

class Listener implements LedgerListener, NamedListener {
  readonly heard: string[] = []
  unnamedParsed(asked: number): void {
    this.heard.push(`parsed ${asked}`)
  }
  unnamedEnded(asked: number, certain: boolean): void {
    this.heard.push(`ended ${asked}${certain ? '' : '?'}`)
  }
  unnamedSkipped(count: number): void {
    this.heard.push(`skipped ${count}`)
  }
  namedAnswered(succeeded: boolean): void {
    this.heard.push(succeeded ? 'done' : 'failed')
  }
}

/**
 * Plays a conversation: `>Q` sends, `<C` answers (`<Z` is idle, `<ZT` in a transaction, `<ZE` in a failed one), `=settled`, `=owing`,
 * `=doubt` and `=cut` check. A reply with `~` must be swallowed, one with `!` must be a violation, all others are forwarded.
 */
function play(conversation: string): Listener {
  const ledger = new Ledger()
  const listener = new Listener()
  ledger.listener = listener
  ledger.named = listener
  assert.ok(ledger.settled)
  for (const step of conversation.split(' ')) {
    const where = `at ${step} of ${conversation}`
    const word = step.slice(1)
    if (step.startsWith('>')) ledger.asked(SENT[word] ?? assert.fail(where))
    else if (step.startsWith('<')) {
      const [, letter = '', status = 'I', mark] = /^(.)([ITE])?([~!])?$/.exec(word) ?? assert.fail(where)
      const wanted = mark === '~' ? ANSWER.swallow : mark === '!' ? ANSWER.violation : ANSWER.forward
      assert.equal(ledger.answered(letter.charCodeAt(0), letter === 'Z' ? status.charCodeAt(0) : 0), wanted, where)
    } else {
      assert.equal(ledger.settled, word !== 'owing', where)
      if (ledger.settled) assert.deepEqual([ledger.inDoubt, ledger.batchCut], [word === 'doubt', word === 'cut'], where)
      if (ledger.settled) assert.equal(ledger.unclean, word !== 'settled', where)
    }
  }
  return listener
}

const TABLE: Record<string, string> = {
  'a Query owes until its ReadyForQuery': '>Q =owing <T <D <C =owing <Z =settled',
  'several statements in a Query': '>Q <T <D <C <T <D <C =owing <Z =settled',
  'an empty Query': '>Q <I =owing <Z =settled',
  'an error in a Query is followed by its own ReadyForQuery': '>Q <E =owing <Z =settled',
  'a transaction holds the link until its end': '>Q <C <ZT =owing >Q <C <ZT =owing >Q <C <Z =settled',
  'a failed transaction holds it too': '>Q <C <ZT >Q <E <ZE =owing >Q <C <Z =settled',
  'pipelined Queries': '>Q >Q >Q <C <Z =owing <E <Z =owing <I <Z =settled',
  'a function call': '>F =owing <V =owing <Z =settled',
  'a failed function call': '>F <E =owing <Z =settled',
  'an extended batch': '>P >B >D >E >S =owing <1 <2 <T <D <C =owing <Z =settled',
  'a statement described': '>P >D >S <1 <t <n <Z =settled',
  'a portal that suspends': '>B >E >S <2 <D <s =owing <Z =settled',
  'an empty statement executed': '>P >B >E >S <1 <2 <I <Z =settled',
  'a batch without its Sync holds the link though all is answered': '>P >B >E <1 <2 <C =owing >S =owing <Z =settled',
  'a Sync alone': '>S =owing <Z =settled',
  'a Close': '>C >S <3 =owing <Z =settled',
  'after an error the server skips to the Sync': '>P >B >E >S <E =owing <Z =settled',
  'what is sent after the error is skipped as well': '>P <E =owing >B >E =owing >S <Z =settled',
  'a Query in that stretch gets no ReadyForQuery': '>P >B >Q >B >S <E =owing <Z =cut',
  'a Query sent when the error is known gets none either': '>P <E >Q >F =owing >S =owing <Z =settled',
  'each batch has its own error': '>P >S >P >S >P >S <E <Z =owing <1 <Z =owing <E <Z =settled',
  'an error at the Sync itself (a deferred constraint)': '>P >B >E >S <1 <2 <C <E =owing <Z =settled',
  'the batch after a failing Sync is not skipped': '>E >S >P >S <C <E <Z =owing <1 <Z =settled',
  'a Query ends an open batch': '>P >B >E >Q <1 <2 <C =owing <C <Z =cut',
  'a FunctionCall does too': '>P >B >E >F >S <1 <2 <C <V <ZT =owing <Z =cut',
  'a question of ours makes good what it left': '>P >B >E >Q >S <1 <2 <C <C <ZT <Z =cut >[Q] <E~ <Z~ =settled',
  'a Query behind a Sync that a COPY used up comes into its batch': '>B >E >S >c >Q >S <2 <G <C <C <ZT <Z =cut',
  'one behind a Sync that counts does not': '>B >E >c >S >Q <2 <G <C <Z <C <Z =settled',
  'COPY out, simple and extended': '>Q <H <d <d <c <C =owing <Z =settled >B >E >S <2 <H <d <c <C <Z =settled',
  'COPY in': '>Q <G =owing >c =owing <C =owing <Z =settled',
  'COPY in with its end sent ahead': '>Q >c <G =owing <C <Z =settled',
  'an end too many does not end the batch': '>E >S >c >c <G <C =owing >S <Z =settled',
  'two COPYs in one Query': '>Q >c >c <G <C =owing <G <C =owing <Z =settled',
  'COPY in, a Query behind its end': '>Q >c >Q <G <C <Z =owing <T <D <C <Z =settled',
  'COPY in that fails leaves its end behind': '>Q <G <E =owing >c <Z =settled >c =settled',
  'COPY in that fails before it begins': '>Q >c <E <Z =settled',
  'an end of COPY without a COPY': '>c =settled >Q >c >c <C <Z =settled >P >c >S <1 <Z =settled',
  'Sync is ignored during COPY in': '>Q <G >S >S =owing >c <C <Z =settled',
  'extended COPY in': '>B >E <2 <G =owing >c <C =owing >S <Z =settled',
  'extended COPY in as libpq sends it: one Sync along, one at the end': '>P >B >D >E >S <1 <2 <n <G =owing >c >S <C =owing <Z =settled',
  'the same, all at once': '>P >B >D >E >S >c >S <1 <2 <n <G =owing <C =owing <Z =settled',
  'extended COPY in that fails before it begins answers both Syncs': '>B >E >S >c >S <2 <E <Z =owing <Z =settled',
  'extended COPY in that fails on its data': '>B >E <2 <G <E =owing >c =owing >S <Z =settled',
  'the same with a Sync along: it may yet be answered': '>B >E >S <2 <G <E =owing >c >S <Z =doubt <Z =settled',
  'what is answered next ends the doubt': '>Q <C <ZT >B >E >S <2 <G <E >c >S <ZE =owing >Q <C <Z =settled',
  'or its late ReadyForQuery comes first': '>Q <C <ZT >B >E >S <2 <G <E >c >S <ZE =owing >Q <ZE =owing <C <Z =settled',
  'a question of ours ends it': '>B >E >S <2 <G <E >c >S <Z =doubt >[Q] <I~ <Z~ =settled',
  'and the late one comes before its answer': '>B >E >S <2 <G <E >c >S <Z =doubt >[Q] <Z =owing <I~ <Z~ =settled',
  'a failing Query owns the first ReadyForQuery': '>Q <G >S <E =owing <Z =doubt <Z =settled',
  'a Query sent into COPY in: lost': '>Q <G >Q =owing <E <Z!',
  'a Query behind a COPY in without end: lost': '>Q >Q <G =owing <E <Z!',
  'what an extended COPY in with a doubtful Sync is followed by: lost': '>B >E >S >c >Q >S <2 <G <E <Z!',
  'the same, sent later': '>B >E >S <2 <G <E >Q =owing <Z!',
  'our Parse and Close are swallowed': '>[p] >B >E >S <1~ <2 <C <Z =settled >[x] >B >S <3~ <E <Z =settled',
  'our Parse that fails is told to the client': '>[p] >B >E >S <E =owing <Z =settled',
  'our Parse in a stretch that is skipped leaves no trace': '>D >[p] >B >E >S <E =owing <Z =settled',
  'our Query is swallowed, with its error': '>[Q] =owing <T~ <D~ <C~ =owing <Z~ =settled >[Q] <E~ <Z~ =settled',
  'nothing was asked': '<C!',
  'ReadyForQuery without a request': '<Z!',
  'ReadyForQuery in the middle of a batch': '>P >S <Z!',
  'the wrong kind of reply': '>P >S <2!',
  'ParseComplete for a Query': '>Q <1!',
  'CopyInResponse for a Bind': '>B >S <G!',
  CopyBothResponse: '>Q <W!',
  'an unknown type': '>Q <?!',
}

for (const [name, conversation] of Object.entries(TABLE)) {
  test(`ledger: ${name}`, () => {
    play(conversation)
  })
}

test('the ledger tells what becomes of unnamed statements', () => {
  const heard = (conversation: string) => play(conversation).heard
  const { parseUnnamed, inventedParse, inventedClose, closeUnnamed, query } = ASKED
  assert.deepEqual(heard('>p >S <1 <Z'), [`parsed ${parseUnnamed}`])
  assert.deepEqual(heard('>P >S <1 <Z'), [])
  assert.deepEqual(heard('>p >S <E <Z'), [`ended ${parseUnnamed}?`])
  assert.deepEqual(heard('>p >B >p >p >S <1 <E <Z'), [`parsed ${parseUnnamed}`, 'skipped 2'])
  assert.deepEqual(heard('>D >p >S >p >S <E <Z <1 <Z'), ['skipped 1', `parsed ${parseUnnamed}`])
  assert.deepEqual(heard('>x >C >S <3 <3 <Z'), [`ended ${closeUnnamed}`])
  assert.deepEqual(heard('>[x] >B >S <3~ <E <Z'), [`ended ${inventedClose}`])
  assert.deepEqual(heard('>[p] >B >S <1~ <2 <Z'), [`parsed ${inventedParse}`])
  assert.deepEqual(heard('>[p] >B >S <E <Z'), [`ended ${inventedParse}?`])
  assert.deepEqual(heard('>D >[p] >B >S <E <Z'), [])
  assert.deepEqual(heard('>Q >Q <C <Z <E <Z'), [`ended ${query}`, `ended ${query}?`])
  assert.deepEqual(heard('>P >Q >S <E <Z'), [])
  assert.deepEqual(heard('>F <V <Z >[Q] <C~ <Z~'), [])
})

test('the ledger holds a long pipeline in order', () => {
  const ledger = new Ledger()
  const count = 100_000
  for (let index = 0; index < count; index++) ledger.asked(index % 3 === 0 ? ASKED.query : ASKED.sync)
  assert.equal(ledger.owed, count)
  for (let index = 0; index < count; index++) {
    assert.equal(ledger.head, index % 3 === 0 ? ASKED.query : ASKED.sync)
    if (index % 3 === 0) ledger.answered(0x43, 0)
    assert.equal(ledger.answered(0x5a, 0x49), ANSWER.forward)
  }
  assert.ok(ledger.settled)
})

// Properties.

const message = (kind: ModelMessage['kind'], effect: Effect = 'works'): ModelMessage => ({ kind, effect })
const oneOf = <T>(...values: T[]) => fc.constantFrom(...values)

const queries = oneOf<Effect>('works', 'works', 'fails', 'empty', 'begin', 'commit').map((effect) => [message(ASKED.query, effect)])
const calls = oneOf<Effect>('works', 'fails').map((effect) => [message(ASKED.functionCall, effect)])
const extended = fc.oneof(
  fc.tuple(
    oneOf(ASKED.parse, ASKED.parseUnnamed, ASKED.bind, ASKED.close, ASKED.closeUnnamed),
    oneOf<Effect>('works', 'works', 'works', 'fails'),
  ),
  fc.tuple(fc.constant(ASKED.describe), oneOf<Effect>('works', 'empty', 'fails')),
  fc.tuple(fc.constant(ASKED.execute), oneOf<Effect>('works', 'empty', 'suspends', 'begin', 'commit', 'fails')),
  fc.tuple(oneOf<ModelMessage['kind']>('flush', 'data', ASKED.copyEnd), fc.constant<Effect>('works')),
)
const syncs = oneOf<Effect>('works', 'works', 'works', 'fails').map((effect) => message(ASKED.sync, effect))
const batches = fc.tuple(fc.array(extended, { maxLength: 5 }), fc.option(syncs)).map(([messages, sync]) => {
  return [...messages.map(([kind, effect]) => message(kind, effect)), ...(sync ? [sync] : [])]
})
/** A COPY as drivers do it: whatever Syncs along, data that may be bad, an end, and for an extended one the Sync that ends it. */
const copies = fc
  .record({
    simple: fc.boolean(),
    effect: oneOf<Effect>('copy', 'copy', 'copyFails', 'fails'),
    along: fc.nat({ max: 2 }),
    data: fc.array(oneOf<Effect>('works', 'works', 'works', 'fails'), { maxLength: 3 }),
    end: oneOf<Effect>('works', 'fails'),
  })
  .map(({ simple, effect, along, data, end }) => [
    ...(simple ? [message(ASKED.query, effect)] : [message(ASKED.parseUnnamed), message(ASKED.bind), message(ASKED.execute, effect)]),
    ...Array.from({ length: along }, () => message(ASKED.sync)),
    ...data.map((one) => message('data', one)),
    message(ASKED.copyEnd, end),
    ...(simple ? [] : [message(ASKED.sync)]),
  ])

/** Plays `messages` in an order that `choices` decides; answers how many replies were violations (then it stops). */
function compare(messages: readonly ModelMessage[], choices: readonly number[], exactly: boolean): boolean {
  const ledger = new Ledger()
  const model = new PostgresModel()
  const waiting = [...messages]
  for (let turn = 0; waiting.length + model.inbox.length + model.outbox.length > 0; turn++) {
    const choice = (choices[turn % choices.length] ?? 0) % 3
    const next = waiting[0]
    if (choice === 0 && next !== undefined) {
      waiting.shift()
      model.inbox.push(next)
      if (typeof next.kind === 'number') ledger.asked(next.kind)
    } else if (choice === 1 && model.inbox.length > 0) {
      model.read()
    } else {
      const reply = model.outbox.shift()
      if (reply === undefined) {
        // nothing to deliver: whoever is able to moves
        if (model.inbox.length > 0) model.read()
        else if (next !== undefined) {
          waiting.shift()
          model.inbox.push(next)
          if (typeof next.kind === 'number') ledger.asked(next.kind)
        }
      } else if (reply.type !== 0x44 && ledger.answered(reply.type, reply.status) === ANSWER.violation) return false
    }
    if (ledger.settled && !ledger.inDoubt) assert.ok(model.settled, 'settled too early')
    if (exactly && model.settled) assert.ok(ledger.settled, 'not settled though the server is')
  }
  return true
}

const choices = fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 60, size: 'max' })

test('property: the ledger settles exactly when PostgreSQL does', () => {
  const conversations = fc.array(fc.oneof(queries, calls, batches, copies), { maxLength: 8, size: 'max' }).map((parts) => parts.flat())
  // a part that leaves its batch open may be followed by a COPY in the stretch that is skipped
  fc.assert(
    fc.property(conversations, choices, (messages, order) => {
      const understood = compare(messages, order, true)
      fc.pre(understood || messages.some(({ effect }) => effect === 'copy' || effect === 'copyFails'))
    }),
    { numRuns: 10_000 },
  )
})

test('property: COPY as drivers do it is always understood', () => {
  const whole = fc.array(fc.oneof(queries, copies), { maxLength: 6, size: 'max' }).map((parts) => parts.flat())
  fc.assert(
    fc.property(whole, choices, (messages, order) => assert.ok(compare(messages, order, true), 'a violation')),
    { numRuns: 10_000 },
  )
})

test('property: whatever a client sends, the ledger never settles early', () => {
  const any = fc.record({
    kind: oneOf<ModelMessage['kind']>('data', 'flush', ...Object.values(SENT).filter((kind) => kind < ASKED.inventedParse)),
    effect: oneOf<Effect>('works', 'works', 'works', 'fails', 'copy', 'copyFails', 'begin', 'commit'),
  })
  fc.assert(
    fc.property(fc.array(any, { maxLength: 20, size: 'max' }), choices, (messages, order) => {
      compare(messages, order, false)
    }),
    { numRuns: 10_000 },
  )
})

test('the outcome of each message of a named statement is told in order, and invented replies are swallowed', () => {
  const heard = (conversation: string) => play(conversation).heard.join(' ')
  assert.equal(heard('>N >B >E >S <1 <2 <C =owing <Z =settled'), 'done')
  assert.equal(heard('>[k] >[N] >B >E >S <3~ <1~ <2 <C <Z =settled'), 'done done')
  assert.equal(heard('>[k] >N >[d] >B >E >S <3~ <1 <t~ <T~ <2 <C <Z =settled'), 'done done done')
  assert.equal(heard('>N >[d] >S <1 <t~ <n~ <Z =settled'), 'done done')
  // what is asked in place of a Bind fails, and what follows is skipped
  assert.equal(heard('>r >E >b >S <E <Z =settled'), 'failed failed')
  assert.equal(heard('>k >S <3 <Z =settled'), 'done')
  // an error of an invented Parse answers the message that needed it
  assert.equal(heard('>[k] >[N] >B >E >[N] >S <3~ <E <Z =settled'), 'done failed failed')
  assert.equal(heard('>B >N >[d] >k >S >N >S <E <Z =owing <1 <Z =settled'), 'failed failed failed done')
  assert.equal(heard('>d >b >E >S <t <n <2 <C =owing <Z =settled'), 'done done')
  assert.equal(heard('>b >E >d >S <E <Z =settled'), 'failed failed')
  for (const sent of ['>N', '>[N]']) play(`${sent} <3!`)
  for (const sent of ['>k', '>[k]', '>[d]', '>r']) play(`${sent} <1!`)
})
