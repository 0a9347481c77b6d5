// Vault answers, but cannot reach PostgreSQL: its 400 and 500 then say nothing about lease or role.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TestConsumer } from './double.ts'
import { startWorld } from './world.ts'

const CREDS = /^GET database\/creds/
const RENEW = /^PUT sys\/leases\/renew/
const REVOKE = /^PUT sys\/leases\/revoke/
const DOWN = 'failed to connect to `host=db user=vault`: dial error (dial tcp 10.0.0.1:5432: connect: connection refused)'

test('a renewal that fails so is repeated, and the lease is kept', async () => {
  const { vault, fake, until, log, observer } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 600 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 1, 5000)
  const answer = { errors: [`failed to renew entry: resp: (*logical.Response)(nil) err: 1 error occurred: * ${DOWN}`] }
  fake.fail(RENEW, { status: 400, body: answer }, 3)
  await until(() => observer.count('renewal:ok') === 1, 60_000)
  assert.equal(observer.count('renewal:failed'), 3)
  assert.equal(fake.count(CREDS), 1)
  const warnings = log.of('lease_warning')
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]?.msg ?? '', /a renewal failed and is tried again: .*connection refused/)
  await until(() => observer.count('renewal:ok') === 2, 60_000)
})

test('a revocation that fails so is repeated, without advice about owned objects', async () => {
  const { vault, fake, until, log, observer } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 60 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => consumer.proven === 1, 5000)
  fake.fail(REVOKE, { status: 400, body: { errors: [`failed to revoke entry: resp: (*logical.Response)(nil) err: ${DOWN}`] } })
  await until(() => observer.count('revocation:ok') === 1, 120_000)
  const said = log.of('lease_revoke_failed').map(({ msg }) => msg)
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /connection refused\); it is tried again$/)
})
