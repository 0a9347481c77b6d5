// What the Vault client logs: each event once, in the words of what happened.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestConsumer } from './double.ts'
import { startWorld } from './world.ts'

const RENEW = /^PUT sys\/leases\/renew/

test('a role that is gone is logged once, with when a new credential comes', async () => {
  const { vault, fake, clock, log } = startWorld()
  const source = vault.source('app', fake.path)
  const consumers = [new TestConsumer(source), new TestConsumer(source)]
  await clock.run(1000)
  for (const { proven } of consumers) source.reportFailure(proven, '42704')
  await clock.run(1000)
  const warnings = log.lines.filter(({ level }) => level === 'warning')
  assert.deepEqual(
    warnings.map(({ event }) => event),
    ['role_gone'],
    log.text,
  )
  assert.match(warnings[0]?.msg ?? '', /^the role \S+ does not exist any more; a new one is leased now$/)
})

test('a credential that is refused is logged once, however many refusals are reported', async () => {
  const { vault, fake, clock, log } = startWorld()
  const source = vault.source('app', fake.path)
  const consumer = new TestConsumer(source)
  await clock.run(1000)
  for (let count = 0; count < 3; count++) source.reportFailure(1, '28P01')
  await clock.run(1000)
  assert.equal(consumer.proven, 2)
  assert.deepEqual([log.of('credential_refused').length, log.of('role_gone').length], [1, 0], log.text)
})

test('one renewal without an answer is no outage: no warning, and it is renewed all the same', async () => {
  const { vault, fake, until, clock, log } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 600 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 1, 5000)
  fake.fail(RENEW, 'hang')
  await until(() => log.of('lease_renewed').length === 1, 59_000)
  await clock.run(1000)
  assert.deepEqual(
    log.of('vault_request_failed').map(({ level }) => level),
    ['info'],
    log.text,
  )
  assert.match(log.of('vault_request_failed')[0]?.msg ?? '', /^one request to Vault failed, but Vault answers: /)
  assert.equal(log.of('vault_recovered').length, 0)
  assert.equal(consumer.proven, 1)
})

test('an outage is logged once when a probe has failed too, and its end once', async () => {
  const { vault, fake, until, clock, log } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 600 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 1, 5000)
  fake.fail(/./, 'hang', Number.POSITIVE_INFINITY)
  await until(() => log.of('vault_request_failed').length > 0, 60_000)
  await clock.run(20_000)
  fake.heal()
  await until(() => log.of('vault_recovered').length > 0, 10_000)
  const said = log.of('vault_request_failed').filter(({ level, fields }) => level === 'warning' && fields?.source === undefined)
  assert.equal(said.length, 1, log.text)
  assert.match(said[0]?.msg ?? '', /^Vault is unreachable: .*sys\/health/)
  assert.equal(log.of('vault_recovered').length, 1)
})
