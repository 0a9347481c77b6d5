// The states of a credential's proof.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import { Proof } from '../../src/pool/proof.ts'
import { Secret } from '../../src/secret.ts'

const credential = (generation: number) => ({ source: 's', generation, user: 'u', password: new Secret('p') })
const [first, second] = [credential(1), credential(2)]

test('a credential is due, its login runs, and it is proven; a failed login makes it due again', () => {
  const proof = new Proof()
  assert.deepEqual([proof.state, proof.offered, proof.due, proof.dueSinceMs], ['none', undefined, undefined, undefined])
  proof.offer(first, 100)
  assert.deepEqual([proof.state, proof.offered, proof.due, proof.dueSinceMs], ['due', first, first, 100])
  proof.begin()
  assert.deepEqual([proof.state, proof.offered, proof.due, proof.dueSinceMs], ['running', first, undefined, undefined])
  proof.failed(first, new PgleaseError('connect_timeout', 'db'))
  assert.deepEqual([proof.state, proof.dueSinceMs], ['due', 100])
  proof.begin()
  assert.equal(proof.loggedIn(first), 'proven')
  assert.deepEqual([proof.state, proof.offered], ['none', undefined])
  assert.equal(proof.loggedIn(first), 'no proof')
})

test('a newer credential takes the place of one whose login is under way', () => {
  const proof = new Proof()
  proof.offer(first, 0)
  proof.begin()
  proof.offer(second, 50)
  assert.deepEqual([proof.state, proof.due], ['due', second])
  assert.equal(proof.loggedIn(first), 'no proof', 'the late end of the older login')
  proof.begin()
  proof.failed(first, new PgleaseError('connect_timeout', 'db'))
  assert.equal(proof.state, 'running')
  proof.makePlace()
  assert.equal(proof.loggedIn(second), 'proven, place made')
  proof.offer(first, 60)
  assert.equal(proof.loggedIn(first), 'proven', 'the place is forgotten')
})

test('refusals are borne for five seconds; a new credential, a proof, and any login begin them anew', () => {
  const proof = new Proof()
  proof.offer(first, 0)
  assert.deepEqual([proof.bearsRefusal(1_000), proof.bearsRefusal(5_999), proof.bearsRefusal(6_000)], [true, true, false])
  assert.equal(proof.loggedIn(second), 'no proof')
  assert.equal(proof.bearsRefusal(6_000), false, 'another one that works says nothing of this one')
  proof.offer(second, 6_000)
  assert.deepEqual([proof.bearsRefusal(6_000), proof.bearsRefusal(11_000)], [true, false])
  proof.begin()
  assert.equal(proof.loggedIn(second), 'proven')
  assert.deepEqual([proof.bearsRefusal(12_000), proof.bearsRefusal(17_000)], [true, false])
  proof.loggedIn(second)
  assert.equal(proof.bearsRefusal(17_000), true)
})

test('no other moves', () => {
  const proof = new Proof()
  assert.throws(() => proof.begin(), /cannot go from none to running/)
})
