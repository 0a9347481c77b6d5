// A pool whose server may move: links to one that no longer fits, and how soon logins are tried again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PgleaseError } from '../../src/errors.ts'
import type { LinkFit } from '../../src/pool/pool_link.ts'
import { Client, refusalOf, release, setUp } from './double.ts'

type Fit = { -readonly [Name in keyof LinkFit]: LinkFit[Name] }

/** A pool of three idle links; the third is to another host. */
async function threeLinks() {
  const fits: Fit[] = []
  const world = setUp(
    {},
    {
      fit: () => {
        const fit = { host: fits.length === 2 ? 'b' : 'a', unfit: false, serverUnfit: false, doubted: false, question: 'fits?' }
        fits.push(fit)
        return fit
      },
    },
  )
  world.source.offer(1)
  const clients = [await world.take(), await world.take(), await world.take()]
  return { ...world, fits: fits as [Fit, Fit, Fit], clients: clients as [Client, Client, Client] }
}

test('a link whose server no longer fits is replaced once it has settled', async () => {
  const { pool, links, fits, clients, take } = await threeLinks()
  const waiting = await take()
  fits[0].unfit = true
  release(pool, clients[0])
  assert.equal(links[0]?.closeReason, 'host_unfit')
  await take()
  assert.equal(waiting.link, links[3])
})

test('the other links of that host are asked: idle ones at once, busy ones once they settle, those of other hosts not at all', async () => {
  const { pool, links, fits, clients, settle } = await threeLinks()
  const [first, second, third] = links
  release(pool, clients[2])
  fits[1].unfit = true
  release(pool, clients[1])
  assert.deepEqual([first?.ran, second?.closeReason, third?.ran], [[], 'host_unfit', []])
  release(pool, clients[0])
  assert.deepEqual([first?.ran, first?.listed], [['fits?'], 'tested'])
  first?.finish?.({ sqlstate: '22012', message: 'division by zero' })
  await settle()
  assert.equal(first?.closeReason, 'host_unfit')
  assert.equal(third?.closeReason, undefined)
})

test('a link that answers the question well serves on, and its host is asked once a second at most', async () => {
  const { pool, links, fits, clients, clock, settle } = await threeLinks()
  const [first, second] = links
  for (const client of clients.slice(0, 2)) release(pool, client)
  const spread = () => {
    fits[2].host = 'a'
    fits[2].unfit = true
    const link = links[2]
    assert.ok(link)
    pool.release(link)
  }
  spread()
  assert.deepEqual([first?.ran, second?.ran], [['fits?'], ['fits?']])
  first?.finish?.(undefined)
  second?.finish?.(undefined)
  await settle()
  assert.deepEqual([first?.listed, second?.listed], ['idle', 'idle'])
  fits[1].unfit = true
  const again = new Client()
  again.link = pool.checkout(again)
  assert.equal(again.link, second)
  release(pool, again)
  assert.equal(second?.closeReason, 'host_unfit')
  assert.deepEqual(first?.ran, ['fits?'])
  clock.advance(1_000)
})

test('while logins fail one asks for all, again and again within the longest pause, and success serves all who wait', async () => {
  const { pool, source, take, clock, state } = setUp({}, { longestRetryMs: 500 })
  source.offer(1)
  await take()
  state.answer = new PgleaseError('no_host_fits', 'a: session is read-only')
  const before = state.logins
  const clients = [await take(), await take()]
  for (let second = 0; second < 20; second++) {
    const at = state.logins
    await clock.run(1_000)
    if (second > 0) assert.ok(state.logins - at >= 1 && state.logins - at <= 3, `${state.logins - at} logins in a second`)
  }
  assert.ok(state.logins > before)
  assert.deepEqual(clients.map(refusalOf), [undefined, undefined])
  state.answer = undefined
  await clock.run(501)
  assert.ok(clients.every(({ link }) => link !== null))
  assert.equal(pool.waiting, 0)
})

test('a cause that does not pass by itself is not hurried by several hosts', async () => {
  const { source, take, clock, state } = setUp({}, { longestRetryMs: 500 })
  state.answer = new PgleaseError('database_missing', 'no')
  source.offer(1)
  await take()
  await clock.run(60_000)
  const at = state.logins
  await clock.run(30_000)
  assert.ok(state.logins - at <= 3, `${state.logins - at} logins, server_login_retry is 15 s`)
})
