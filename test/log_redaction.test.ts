// Secrets in texts: every form in which one may turn up is replaced, and nothing else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Redaction } from '../src/log_redaction.ts'
import { Secret } from '../src/secret.ts'

function redactionOf(...values: string[]): Redaction {
  const redaction = new Redaction()
  for (const value of values) redaction.add(new Secret(value))
  return redaction
}

test('plain, as often as it turns up, and the text around it stays', () => {
  const redaction = redactionOf('s3cr$1et')
  assert.equal(redaction.apply('a s3cr$1et b s3cr$1ets3cr$1et'), 'a [redacted] b [redacted][redacted]')
  assert.equal(redaction.apply('s3cr and $1et'), 's3cr and $1et')
})

test('URL-encoded: with either case of the digits, and with + for a space', () => {
  const value = 'p/a s:s?w=ö&d'
  const redaction = redactionOf(value)
  const encoded = encodeURIComponent(value)
  const forms = [encoded, encoded.toLowerCase(), encoded.replaceAll('%20', '+'), new URLSearchParams({ k: value }).toString().slice(2)]
  for (const form of forms) assert.equal(redaction.apply(`postgres://u:${form}@db`), 'postgres://u:[redacted]@db')
})

test('JSON-escaped', () => {
  const value = 'say "hi"\\\n\u0001now'
  assert.equal(redactionOf(value).apply(JSON.stringify({ password: value, other: 1 })), '{"password":"[redacted]","other":1}')
})

test('base64 wherever it starts in what was encoded, in both alphabets', () => {
  const value = 'pä>>??ssw~~ord-ÿÿ-1234'
  const redaction = redactionOf(value)
  const own = Buffer.byteLength(value)
  for (const before of ['', 'u', 'us', 'use', 'user', 'user:']) {
    for (const after of ['', 'x', 'xy', 'xyz']) {
      const bytes = Buffer.from(`${before}${value}${after}`)
      for (const encoding of ['base64', 'base64url'] as const) {
        const text = `Basic ${bytes.toString(encoding)} end`
        const clean = redaction.apply(text)
        const left = clean.replace('[redacted]', '').length
        // the characters that also hold bits of a neighbour may stay: one at each side
        const most = text.length - Math.floor((own * 8) / 6) + 1
        assert.ok(clean.includes('[redacted]') && left <= most, `${JSON.stringify([before, after, encoding])}: ${clean}`)
      }
    }
  }
})

test('any text of any place in base64', () => {
  const word = fc.string({ unit: 'binary', minLength: 6, maxLength: 40 }).filter((value) => value.trim().length >= 6)
  fc.assert(
    fc.property(word, fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 }), (value, before, after) => {
      if (value.trim().startsWith('-----')) return
      const clean = redactionOf(value).apply(Buffer.from(`${before}${value.trim()}${after}`).toString('base64'))
      assert.ok(clean.includes('[redacted]'), clean)
    }),
    { numRuns: 200 },
  )
})

test('a key in PEM: whole, line by line with either line end, and its markers stay readable', () => {
  const [first, second] = ['MIIEvQIBADANBgkqhkiG9w0BAQEFAASC', 'BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj']
  for (const end of ['\n', '\r\n']) {
    const pem = ['-----BEGIN PRIVATE KEY-----', first, second, '-----END PRIVATE KEY-----', ''].join(end)
    const redaction = redactionOf(pem)
    assert.equal(redaction.apply(`key: ${first}`), 'key: [redacted]')
    assert.equal(redaction.apply(`at ${second}.`), 'at [redacted].')
    assert.ok(!redaction.apply(JSON.stringify({ pem })).includes(first))
    assert.ok(!redaction.apply(pem).includes(second))
    assert.equal(redaction.apply('-----BEGIN PRIVATE KEY-----'), '-----BEGIN PRIVATE KEY-----')
  }
})

test('spaces and newlines around a secret do not hide it', () => {
  assert.equal(redactionOf('  hunter-two\n').apply('it is hunter-two!'), 'it is [redacted]!')
})

test('values under six characters are left alone: they would hit ordinary words', () => {
  assert.equal(redactionOf('', 'no', 'pools').apply('no pools here'), 'no pools here')
  assert.equal(redactionOf('poolsx').apply('no poolsx here'), 'no [redacted] here')
})

test('half of a surrogate pair in a secret breaks nothing', () => {
  assert.equal(redactionOf('hunter\ud800two').apply('a hunter\ud800two b'), 'a [redacted] b')
})

test('of two secrets of which one contains the other, nothing of the longer one stays', () => {
  for (const values of [
    ['hunter', 'hunter-two-three'],
    ['hunter-two-three', 'hunter'],
  ]) {
    assert.equal(redactionOf(...values).apply('a hunter-two-three b hunter c'), 'a [redacted] b [redacted] c')
  }
})

test('forgetting one registration keeps the others, also of the same value', () => {
  const redaction = new Redaction()
  const forgetFirst = redaction.add(new Secret('hunter-two'))
  const forgetSecond = redaction.add(new Secret('hunter-two'))
  redaction.add(new Secret('another-one'))
  forgetFirst()
  forgetFirst()
  assert.equal(redaction.apply('hunter-two another-one'), '[redacted] [redacted]')
  forgetSecond()
  assert.equal(redaction.apply('hunter-two another-one'), 'hunter-two [redacted]')
})

test('beyond a thousand the oldest is forgotten', () => {
  const redaction = new Redaction()
  for (let count = 0; count < 1001; count++) redaction.add(new Secret(`secret<${count}>`))
  assert.equal(redaction.apply('secret<0> secret<1> secret<1000>'), 'secret<0> [redacted] [redacted]')
})
