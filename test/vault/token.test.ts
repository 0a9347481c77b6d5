// The token's life: renewed, replaced before its maximum together with its leases, revoked when those are drained.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '../../src/secret.ts'
import { TestConsumer } from './double.ts'
import { startWorld } from './world.ts'

const LOGIN = /^POST auth\/approle\/login/
const RENEW_SELF = /^PUT auth\/token\/renew-self/
const REVOKE_SELF = /^PUT auth\/token\/revoke-self/
const CREDS = /^GET database\/creds/

test('a token is renewed at two thirds for its first duration, and the same one goes on', async () => {
  const { vault, fake, clock } = startWorld((one) => Object.assign(one, { tokenTtl: 60, tokenMax: 0 }))
  vault.source('app', fake.path)
  await clock.run(35_000)
  assert.equal(fake.count(RENEW_SELF), 0)
  await clock.run(6000)
  assert.equal(fake.count(RENEW_SELF), 1)
  await clock.run(300_000)
  assert.equal(fake.count(LOGIN), 1)
  assert.ok(fake.requests.filter(({ line }) => RENEW_SELF.test(line)).every(({ body }) => body.increment === '60s'))
})

test('a short grant leads to a new login; leases follow, and the old token goes when its last lease is drained', async () => {
  const { vault, fake, until, clock } = startWorld((one) =>
    Object.assign(one, { tokenTtl: 60, tokenMax: 90, leaseTtl: 600, leaseMax: 6000 }),
  )
  const consumer = new TestConsumer(vault.source('app', fake.path), { holds: true })
  await until(() => consumer.proven === 2, 90_000)
  const [old = ''] = fake.tokens.keys()
  assert.equal(fake.count(LOGIN), 2)
  assert.equal(fake.tokens.size, 2)
  const left = (fake.tokens.get(old)?.endMs ?? 0) - clock.monotonicMs()
  assert.ok(left > 10_000, `${left} ms before the end of the old token`)
  consumer.drain(1)
  await clock.run(1000)
  assert.deepEqual([...fake.tokens.keys()].includes(old), false)
  assert.equal(fake.count(REVOKE_SELF), 1)
  assert.equal(fake.leases.size, 1)
})

test('many lives of tokens: no generation is ever overdue', async () => {
  const { vault, fake, until } = startWorld((one) => Object.assign(one, { tokenTtl: 10, tokenMax: 15, leaseTtl: 60, leaseMax: 600 }))
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => fake.count(LOGIN) > 20, 400_000)
  assert.ok(!consumer.events.some((event) => /overdue|gone/.test(event)), consumer.events.join())
  assert.ok(fake.tokens.size <= 2)
  assert.ok(fake.leases.size <= 2)
})

test('a token that never ends is not renewed', async () => {
  const { vault, fake, clock } = startWorld(undefined, { vault_auth_method: 'token', vault_token: new Secret('token-1') })
  fake.issueToken(0)
  vault.source('app', fake.path)
  await clock.run(600_000)
  assert.equal(fake.count(RENEW_SELF), 0)
  assert.equal(vault.state().token.remainingMs, Number.POSITIVE_INFINITY)
})

test('a foreign token is renewed, warned of when that ends, and never revoked; leases are', async () => {
  const { vault, fake, clock, log } = startWorld((one) => Object.assign(one, { leaseTtl: 600 }), {
    vault_auth_method: 'token',
    vault_token: new Secret('token-1'),
  })
  fake.issueToken(60, 90)
  vault.source('app', fake.path)
  await clock.run(85_000)
  assert.ok(fake.count(RENEW_SELF) >= 1)
  assert.equal(fake.count(/login/), 0)
  assert.equal(log.of('token_warning').length, 1)
  const closing = vault.close(2000)
  await clock.run(3000)
  await closing
  assert.equal(fake.count(REVOKE_SELF), 0)
  assert.equal(fake.tokens.size, 1)
  assert.equal(fake.leases.size, 0)
})

test('a token file that is replaced while credentials are being read: they are leased once more under the new token', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-test-'))
  try {
    const file = join(folder, 'token')
    writeFileSync(file, 'token-1')
    const { vault, fake, clock, until } = startWorld((one) => Object.assign(one, { leaseTtl: 60, leaseMax: 60 }), {
      vault_auth_method: 'token_file',
      vault_token_file: file,
      vault_timeout: 20_000,
    })
    clock.nextRandom = 0.5 // a successor under a new token is not fetched at once
    fake.issueToken(100)
    fake.issueToken(6000)
    const consumer = new TestConsumer(vault.source('app', fake.path))
    await until(() => consumer.proven === 1, 1000)
    fake.leaseMax = 6000
    const release = fake.delay(CREDS)
    await until(() => fake.count(CREDS) === 2, 41_000)
    writeFileSync(file, 'token-2')
    await clock.run(7000)
    release()
    await until(() => consumer.proven === 2, 1000)
    await until(() => consumer.proven === 3, 30_000)
    await clock.run(1000)
    assert.deepEqual(
      [...fake.leases.values()].map(({ token }) => token),
      ['token-2'],
    )
    assert.ok(!consumer.events.some((event) => /overdue|gone/.test(event)), consumer.events.join())
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('an own token that is replaced while credentials are being read with it lives until they are used and drained', async () => {
  const { vault, fake, clock, until } = startWorld((one) => Object.assign(one, { tokenTtl: 6, tokenMax: 8, leaseTtl: 60 }), {
    vault_timeout: 20_000,
  })
  const release = fake.delay(CREDS)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await until(() => fake.count(LOGIN) === 2, 8000)
  assert.equal(fake.count(REVOKE_SELF), 0, 'a read is on its way with the first token')
  release()
  await clock.run(200)
  await until(() => consumer.proven === 2, 8000)
  assert.ok(!consumer.events.some((event) => /overdue|gone/.test(event)), consumer.events.join())
  assert.ok(fake.count(REVOKE_SELF) >= 1)
})

test('a refused login is told and tried again, a missing answer sooner; a token in hand is used meanwhile', async () => {
  const { vault, fake, clock, observer } = startWorld()
  fake.fail(LOGIN, { status: 400, body: { errors: ['invalid role or secret ID'] } }, 3)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(500)
  assert.equal(consumer.trouble_?.code, 'vault_login_failed')
  assert.match(consumer.trouble_?.detail ?? '', /invalid role or secret ID/)
  assert.equal(vault.ready(), false)
  await clock.run(20_000)
  assert.equal(consumer.proven, 1)
  assert.equal(consumer.trouble_, undefined)
  assert.deepEqual([observer.count('login:denied'), observer.count('login:failed')], [3, 0])
})

test('a login that Vault cannot answer has failed, and was not denied', async () => {
  const { vault, fake, clock, observer } = startWorld()
  fake.fail(LOGIN, { status: 500, body: { errors: ['internal error'] } }, 2)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(20_000)
  assert.equal(consumer.proven, 1)
  assert.deepEqual([observer.count('login:denied'), observer.count('login:failed')], [0, 2])
})

test('a 403 leads to one new login when the token has no leases, and is a permanent cause after it', async () => {
  const { vault, fake, clock } = startWorld()
  fake.fail(CREDS, { status: 403, body: { errors: ['permission denied'] } }, Number.POSITIVE_INFINITY)
  const consumer = new TestConsumer(vault.source('app', fake.path))
  await clock.run(120_000)
  assert.equal(consumer.trouble_?.code, 'vault_denied')
  assert.equal(fake.count(LOGIN), 2)
})

test('an end while a login is on its way revokes the token that it brings', async () => {
  const { vault, fake, clock } = startWorld()
  const release = fake.delay(LOGIN)
  vault.source('app', fake.path)
  await clock.run(100)
  let closed = false
  const closing = vault.close(3000).then(() => {
    closed = true
  })
  await clock.run(100)
  assert.equal(closed, false)
  release()
  await clock.run(100)
  await closing
  assert.equal(fake.tokens.size, 0)
})

test('a clock that runs on while the machine sleeps ends the token', async () => {
  const { vault, fake, clock } = startWorld((one) => Object.assign(one, { tokenTtl: 3600 }))
  vault.source('app', fake.path)
  await clock.run(1000)
  clock.jumpWall(3_700_000)
  await clock.run(31_000)
  assert.equal(fake.count(LOGIN), 2)
})
