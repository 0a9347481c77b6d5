// A generation may be revoked once the source has heard that nobody needs it: no link of it may serve then, however late it was opened.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CredentialConsumer } from '../../src/credential.ts'
import type { Waiter } from '../../src/pool/waiters.ts'
import type { FakeSource } from '../kit/fake-source.ts'
import { alive, Client, type FakeLink, release, setUp } from './double.ts'

/** What a source hears, in order. */
function listen(source: FakeSource): string[] {
  const heard: string[] = []
  source.reportProven = (_: CredentialConsumer, generation: number) => void heard.push(`proven ${generation}`)
  source.reportDrained = (_: CredentialConsumer, generation: number) => void heard.push(`drained ${generation}`)
  return heard
}

test('a login with a credential that was replaced before it was proven serves nobody', async () => {
  const { source, pool, links, settle } = setUp()
  const heard = listen(source)
  const served: number[] = []
  class Noting extends Client implements Waiter<FakeLink> {
    override linkReady(link: FakeLink): void {
      super.linkReady(link)
      served.push(link.generation)
    }
  }
  const client = new Noting()
  pool.checkout(client)
  source.offer(1)
  // its login is under way
  source.offer(2)
  await settle()
  assert.deepEqual(served, [2])
  assert.deepEqual([links.map(({ generation }) => generation), alive(links)], [[1, 2], [2]])
  assert.deepEqual(heard, ['proven 2', 'drained 1'])
})

test('a login with the current credential that ends after its replacement still serves, and the source hears of its end', async () => {
  const { source, pool, links, settle, take } = setUp()
  const heard = listen(source)
  source.offer(1)
  await settle()
  const first = await take()
  const second = new Client()
  source.offer(2)
  pool.checkout(second)
  await settle()
  for (const client of [first, second]) if (client.link) release(pool, client)
  await settle()
  assert.ok(!alive(links).includes(1))
  assert.deepEqual(heard, ['proven 1', 'proven 2', 'drained 1'])
})

test('a login with a credential whose role is gone meanwhile serves nobody', async () => {
  const { source, pool, links, settle, take } = setUp()
  source.offer(1)
  await settle()
  await take()
  const waiting = new Client()
  pool.checkout(waiting)
  source.consumer?.gone(1)
  await settle()
  assert.equal(waiting.link, null)
  assert.deepEqual(
    links.map(({ closeReason }) => closeReason),
    [undefined, 'role_gone'],
  )
})

test('a pool without links tells that the new credential is proven before it tells that the old one is drained', async () => {
  const { source, pool, links, settle, clock } = setUp({ server_idle_timeout: 1000 })
  const heard = listen(source)
  source.offer(1)
  await settle()
  clock.advance(2000)
  pool.tick()
  await settle()
  assert.deepEqual(alive(links), [])
  source.offer(2)
  await settle()
  assert.deepEqual(heard, ['proven 1', 'proven 2', 'drained 1'])
})

test('a link that is checked while its role goes serves nobody', async () => {
  const { source, pool, links, settle, clock } = setUp()
  source.offer(1)
  await settle()
  clock.advance(60_000)
  const client = new Client()
  pool.checkout(client)
  assert.deepEqual(links[0]?.ran, [''])
  source.consumer?.gone(1)
  links[0]?.finish?.(undefined)
  assert.deepEqual([client.link, links[0]?.closeReason], [null, 'role_gone'])
})
