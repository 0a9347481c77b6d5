// Secrets: however one is printed, its value does not show.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { Secret } from '../src/secret.ts'

const VALUE = 'hunter-two'

test('only reveal shows the value', () => {
  const secret = new Secret(VALUE)
  assert.equal(secret.reveal(), VALUE)
  assert.equal(new Secret('').reveal(), '')
  assert.equal(secret.reveal(), VALUE)
})

test('strings, JSON, inspection, formats and copies show [redacted] or nothing', () => {
  const secret = new Secret(VALUE)
  const texts = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    JSON.stringify([secret]),
    inspect(secret),
    inspect({ deep: [{ secret }] }, { depth: 9, showHidden: true }),
    format('%s %o %O %j', secret, secret, secret, secret),
    new Error(`failed with ${secret}`).message,
  ]
  for (const text of texts) {
    assert.ok(!text.includes('hunter'), text)
    assert.ok(text.includes('[redacted]'), text)
  }
  const copies = [{ ...secret }, Object.assign({}, secret), structuredClone({ ...secret })]
  for (const copy of copies) assert.ok(!inspect(copy).includes('hunter'))
  assert.deepEqual([Object.keys(secret), Object.getOwnPropertyNames(secret), Object.getOwnPropertySymbols(secret)], [[], [], []])
})

test('what the runtimes print by themselves is hidden too', () => {
  const secret = new Secret(VALUE)
  for (const name of ['nodejs.util.inspect.custom', 'Deno.customInspect']) {
    const print = (secret as unknown as Record<symbol, () => string>)[Symbol.for(name)]
    assert.equal(print?.call(secret), '[redacted]')
  }
})

test('two secrets do not share their values', () => {
  const [first, second] = [new Secret('one'), new Secret('two')]
  assert.deepEqual([first.reveal(), second.reveal()], ['one', 'two'])
})

test('a reveal that is lent to another object gives nothing', () => {
  assert.equal(Secret.prototype.reveal.call({} as Secret), '')
})
