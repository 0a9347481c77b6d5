import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { Secret } from '../../src/secret.ts'
import { parseServerFinal, parseServerFirst, ScramCache, ScramClient, ScramError } from '../../src/wire/scram.ts'

// RFC 7677 section 3
const NONCE = 'rOprNGfwEbeRWgbNEkqO'
const SERVER_FIRST = `r=${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const CLIENT_FINAL = `c=biws,r=${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`
const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='
const client = (cache = new ScramCache()): ScramClient => new ScramClient(new Secret('pencil'), cache, NONCE, 'user')

test('the example of RFC 7677', async () => {
  const scram = client()
  assert.equal(scram.firstMessage(), `n,,n=user,r=${NONCE}`)
  assert.equal(await scram.finalMessage(SERVER_FIRST), CLIENT_FINAL)
  assert.equal(scram.verified, false)
  scram.verify(SERVER_FINAL)
  assert.equal(scram.verified, true)
})

test('each exchange has a nonce of its own and names no user', () => {
  const first = () => new ScramClient(new Secret('x'), new ScramCache()).firstMessage()
  assert.match(first(), /^n,,n=,r=[A-Za-z0-9+/=]{32}$/)
  assert.notEqual(first(), first())
})

test('a server that does not know the password is found out', async () => {
  const wrong = [
    'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=',
    `v=${Buffer.alloc(32).toString('base64')}`,
    'v=',
    'v=AAAA',
    '',
    'x',
    'e=other-error',
  ]
  for (const text of wrong) {
    const scram = client()
    scram.firstMessage()
    await scram.finalMessage(SERVER_FIRST)
    assert.throws(() => scram.verify(text), ScramError, text)
    assert.equal(scram.verified, false)
  }
})

test('messages out of order are refused', async () => {
  await assert.rejects(client().finalMessage(SERVER_FIRST), ScramError)
  const early = client()
  early.firstMessage()
  assert.throws(() => early.verify(SERVER_FINAL), ScramError)
  assert.throws(() => early.firstMessage(), ScramError)
  await early.finalMessage(SERVER_FIRST)
  await assert.rejects(early.finalMessage(SERVER_FIRST), ScramError)
})

const detail = (text: string): string => {
  const parsed = parseServerFirst(text, NONCE)
  return parsed.kind === 'error' ? parsed.detail : 'ok'
}

test('hostile first messages are refused before anything is computed (CVE-2026-6665, CVE-2026-6669)', () => {
  const salt = 's=W22ZaJ0SNY7soEsUEjb6gQ=='
  const nonce = `r=${NONCE}abc`
  const rows: [string, RegExp][] = [
    ['', /no nonce/],
    [`m=x,${nonce},${salt},i=1`, /mandatory extension/],
    [`r=other,${salt},i=1`, /does not begin with ours/],
    [`r=${NONCE},${salt},i=1`, /adds nothing/],
    [`r=${NONCE}${'x'.repeat(600)},${salt},i=1`, /nonce is too long/],
    [`r=${NONCE}\x07,${salt},i=1`, /characters/],
    [`r=${NONCE}é,${salt},i=1`, /characters/],
    [`${nonce},${'s'.repeat(3000)}`, /too long/],
    [`${nonce}`, /no salt/],
    [`${nonce},s=,i=1`, /no salt/],
    [`${nonce},s=!!!!,i=1`, /no salt/],
    [`${nonce},s=AAA,i=1`, /no salt/],
    [`${nonce},s=${Buffer.alloc(257).toString('base64')},i=1`, /salt is too long/],
    [`${nonce},${salt}`, /no iteration count/],
    [`${nonce},${salt},i=0`, /no iteration count/],
    [`${nonce},${salt},i=-1`, /no iteration count/],
    [`${nonce},${salt},i=1e5`, /no iteration count/],
    [`${nonce},${salt},i=99999999999`, /no iteration count/],
    [`${nonce},${salt},i=100001`, /100001 iterations/],
    [`${nonce},${salt},i=2147483648`, /iterations/],
    [`${nonce},${salt},i=1,junk`, /malformed/],
  ]
  for (const [text, expected] of rows) assert.match(detail(text), expected, text.slice(0, 60))
  assert.equal(detail(`${nonce},${salt},i=100000,x=future`), 'ok')
})

test('an error of the server is shown short and printable', () => {
  assert.deepEqual(parseServerFinal('e=invalid-proof'), { kind: 'error', detail: 'it reports invalid-proof' })
  const long = parseServerFinal(`e=\x1b[31m${'x'.repeat(500)}`)
  assert.equal(long.kind === 'error' && long.detail, `it reports ?[31m${'x'.repeat(75)}`)
})

test('no text makes a parser throw', () => {
  const words = fc.array(fc.constantFrom('r=', NONCE, 's=', 'i=', ',', '=', 'AAAA', '4096', 'v=', 'e=', 'm=', 'é'), { maxLength: 12 })
  const text = fc.oneof(
    words.map((list) => list.join('')),
    fc.string(),
  )
  const once = (value: string) => {
    parseServerFirst(value, NONCE)
    parseServerFinal(value)
  }
  fc.assert(fc.property(text, once), { numRuns: 2_000 })
})

test('keys are derived once for a secret, a salt and an iteration count', async () => {
  const cache = new ScramCache(2)
  const password = new Secret('pencil')
  const salt = Buffer.from('salt')
  const first = cache.keys(password, salt, 10)
  assert.equal(cache.keys(password, Buffer.from('salt'), 10), first, 'also while it is being derived')
  assert.notEqual(cache.keys(new Secret('pencil'), salt, 10), first, 'another generation')
  assert.notEqual(cache.keys(password, salt, 10), first)
  cache.keys(password, salt, 11)
  cache.keys(password, salt, 12)
  assert.equal(cache.size, 2)
  assert.deepEqual((await cache.keys(password, salt, 10)).clientKey, (await first).clientKey)
  assert.notDeepEqual((await cache.keys(new Secret('other'), salt, 10)).clientKey, (await first).clientKey)
  assert.doesNotMatch(inspect(cache, { depth: 9, showHidden: true }), /pencil/)
  cache.clear()
  assert.equal(cache.size, 0)
})
