// Generations of one source: leased once, renewed, replaced in time, drained, revoked; refusals and outages on the way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestConsumer } from './double.ts'
import { startWorld } from './world.ts'

const CREDS = /^GET database\/creds/
const RENEW = /^PUT sys\/leases\/renew/
const REVOKE = /^PUT sys\/leases\/revoke/

test('one lease serves any number of consumers, and the source of a path is the same for all', async () => {
  const { vault, fake, clock } = startWorld()
  const source = vault.source('app', fake.path)
  assert.equal(vault.source('other', fake.path), source)
  const consumers = [new TestConsumer(source), new TestConsumer(source), new TestConsumer(source)]
  await clock.run(1000)
  assert.deepEqual(
    consumers.map(({ events }) => events),
    [['offer 1'], ['offer 1'], ['offer 1']],
  )
  assert.equal(fake.count(CREDS), 1)
})

test('a lease is renewed for its first duration until its maximum is near, and then replaced with a third of it as overlap', async () => {
  const { vault, fake, until, observer, clock } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 150 }))
  const consumer = new TestConsumer(vault.source('app', fake.path), { holds: true })
  await until(() => consumer.proven === 2, 200_000)
  assert.ok(fake.requests.filter(({ line }) => RENEW.test(line)).every(({ body }) => body.increment === 60))
  assert.equal(observer.count('renewal:short'), 1)
  const [first] = fake.leases.values()
  const overlap = (first?.endMs ?? 0) - clock.monotonicMs()
  assert.ok(overlap >= 20_000, `${overlap} ms`)
  // still held: not revoked, and renewed no more
  const renewals = fake.count(RENEW)
  await clock.run(15_000)
  assert.equal(fake.leases.size, 2)
  assert.equal(fake.count(REVOKE), 0)
  assert.equal(fake.count(RENEW), renewals)
  consumer.drain(1)
  await clock.run(1000)
  assert.equal(fake.leases.size, 1)
  assert.equal(fake.count(REVOKE), 1)
})

test('a generation drains only when every consumer has proven the next one', async () => {
  const { vault, fake, until, clock } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 60 }))
  const source = vault.source('app', fake.path)
  const [fast, slow] = [new TestConsumer(source), new TestConsumer(source)]
  await until(() => slow.proven === 1, 5000)
  slow.accepts = () => false
  await until(() => fast.proven === 2, 100_000)
  await clock.run(1000)
  assert.equal(fake.count(REVOKE), 0, 'the slow one still logs in with the first')
  slow.prove(2)
  await clock.run(1000)
  assert.equal(fake.count(REVOKE), 1)
})

test('a lease past its end while Vault is away is overdue, and its successor comes with Vault', async () => {
  const { vault, fake, until, clock } = startWorld((one) => Object.assign(one, { leaseTtl: 30, leaseMax: 300 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 1, 5000)
  fake.fail(/./, 'refuse', Number.POSITIVE_INFINITY)
  await until(() => consumer.events.includes('overdue 1'), 31_000)
  await clock.run(60_000)
  assert.equal(fake.count(CREDS), 1)
  fake.heal()
  const took = await until(() => consumer.proven === 2, 10_000)
  assert.ok(took <= 6000, `${took} ms`)
})

test('while Vault hangs, a minute costs at most 20 requests, and none of them makes a role', async () => {
  const { vault, fake, until, clock } = startWorld((one) => Object.assign(one, { leaseTtl: 30, leaseMax: 300 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 1, 5000)
  const before = fake.requests.length
  fake.fail(/./, 'hang', Number.POSITIVE_INFINITY)
  await clock.run(60_000)
  const during = fake.requests.slice(before).map(({ line }) => line)
  assert.ok(during.length <= 20, during.join('\n'))
  assert.ok(during.every((line) => !CREDS.test(line)))
})

test('a lost answer to a read is counted, and the next read waits for Vault and grows rarer', async () => {
  const { vault, fake, clock, observer } = startWorld()
  fake.fail(CREDS, 'lose', 3)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(500)
  assert.equal(fake.count(CREDS), 1)
  await clock.run(60_000)
  assert.equal(consumer.proven, 1)
  assert.equal(fake.count(CREDS), 4)
  assert.equal(observer.count('orphaned'), 3)
})

test('no more than 20 answers are lost in an hour, whatever happens', async () => {
  const { vault, fake, clock, observer } = startWorld()
  fake.fail(CREDS, 'lose', Number.POSITIVE_INFINITY)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(3_500_000)
  assert.equal(observer.count('orphaned'), 20)
  fake.heal()
  await clock.run(300_000)
  assert.equal(consumer.proven, 1)
})

test('a refused credential is replaced once at once, then ever more rarely', async () => {
  const { vault, fake, clock, observer } = startWorld()
  const consumer = new TestConsumer(vault.source('app', fake.path), { accepts: () => '28P01' })
  await clock.run(1000)
  assert.equal(fake.count(CREDS), 2)
  await clock.run(60_000)
  assert.ok(fake.count(CREDS) <= 6, `${fake.count(CREDS)} reads in a minute`)
  assert.equal(observer.count('rotation:ok'), 0)
  consumer.accepts = () => true
  await clock.run(120_000)
  assert.ok(consumer.proven > 2)
  assert.equal(fake.leases.size, 1, 'the refused ones are revoked')
})

test('a role that is gone leads to one new lease, and is told to everybody', async () => {
  const { vault, fake, clock } = startWorld()
  const source = vault.source('app', fake.path)
  const [one, other] = [new TestConsumer(source), new TestConsumer(source)]
  await clock.run(1000)
  source.reportFailure(1, '42704')
  source.reportFailure(1, '42704')
  await clock.run(1000)
  assert.deepEqual(one.events, ['offer 1', 'gone 1', 'offer 2'])
  assert.deepEqual(other.events, ['offer 1', 'gone 1', 'offer 2'])
  assert.equal(fake.count(CREDS), 2)
})

test('permanent mistakes are told with their path, and tried at least once a minute', async () => {
  const { vault, fake, clock } = startWorld()
  fake.fail(CREDS, { status: 404, body: { errors: [] } }, Number.POSITIVE_INFINITY)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(1000)
  assert.equal(consumer.trouble_?.code, 'vault_path_missing')
  assert.match(consumer.trouble_?.detail ?? '', /database\/creds\/app/)
  await clock.run(120_000)
  const tries = fake.count(CREDS)
  assert.ok(tries >= 5 && tries <= 12, `${tries}`)
  fake.heal()
  await clock.run(61_000)
  assert.equal(consumer.proven, 1)
  assert.equal(consumer.trouble_, undefined)
})

test('a lease that cannot be used is revoked', async () => {
  const { vault, fake, clock } = startWorld()
  const lease = { lease_id: `${fake.path}/odd`, lease_duration: 0, renewable: true, data: { username: 'u', password: 'p' } }
  fake.fail(CREDS, { status: 200, body: lease })
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(500)
  assert.equal(consumer.trouble_?.code, 'vault_lease_unusable')
  assert.equal(fake.count(/^PUT sys\/leases\/revoke\/database\/creds\/app\/odd/), 1)
})

test('leases of a few seconds, by the whole seconds that Vault counts in: none is ever overdue', async () => {
  for (let chance = 0; chance < 1; chance += 0.1) {
    for (const ttl of [3, 4, 6, 10]) {
      const { vault, fake, until, clock, log } = startWorld((one) => Object.assign(one, { leaseTtl: ttl, leaseMax: ttl * 3 }))
      clock.nextRandom = chance
      await clock.run(chance * 1000)
      const consumer = new TestConsumer(vault.source('app', fake.path))
      await until(() => consumer.proven === 20, ttl * 3 * 20_000, 50)
      assert.ok(!consumer.events.some((event) => /overdue|gone/.test(event)), `${ttl} s, ${chance}: ${consumer.events.join()}`)
      assert.deepEqual(log.of('lease_warning'), [], `${ttl} s, ${chance}`)
      assert.ok(fake.leases.size <= 2)
    }
  }
})

test('a busy Vault that takes most of a second for everything still renews and replaces leases of 6 s in time', async () => {
  for (let chance = 0; chance < 1; chance += 0.1) {
    const { vault, fake, clock } = startWorld((one) => Object.assign(one, { leaseTtl: 6, leaseMax: 18, latencyMs: 800 }))
    clock.nextRandom = chance
    const consumer = new TestConsumer(vault.source('app', fake.path))
    await clock.run(120_000)
    assert.ok(!consumer.events.some((event) => /overdue|gone/.test(event)), `${chance}: ${consumer.events.join()}`)
    assert.ok(consumer.proven >= 7 && consumer.proven <= 12, `${chance}: ${consumer.proven} generations`)
  }
})

test('a policy without renewal: each lease is replaced early, and the missing rule is printed once', async () => {
  const { vault, fake, until, log } = startWorld((one) => Object.assign(one, { leaseTtl: 60 }))
  fake.fail(RENEW, { status: 403, body: { errors: ['permission denied'] } }, Number.POSITIVE_INFINITY)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 3, 200_000)
  assert.ok(!consumer.events.some((event) => /overdue|gone/.test(event)), consumer.events.join())
  assert.equal(log.of('lease_warning').filter(({ msg }) => msg.includes('path "sys/leases/renew"')).length, 1)
})

test('the end of the source revokes every lease, also the one that is being read', async () => {
  const { vault, fake, clock } = startWorld()
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(1000)
  assert.equal(consumer.proven, 1)
  const closing = vault.close(5000)
  await clock.run(6000)
  await closing
  assert.equal(fake.leases.size, 0)
  assert.equal(fake.tokens.size, 0)
})
