// The link that listens for a pool: when it is opened, what it is told, how it moves to the next credential, and what its loss means.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PgleaseError } from '../../src/errors.ts'
import { Budget } from '../../src/pool/budget.ts'
import type { Listening } from '../../src/pool/listening.ts'
import type { Subscriber } from '../../src/pool/subscriptions.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { type FakeLink, setUp } from './double.ts'

type SetUp = Parameters<typeof setUp>

class Session implements Subscriber {
  readonly heard: string[] = []
  lost = 0
  /** What the pool answered to each `listen`: 'ok', or the error. */
  readonly answers: string[] = []
  notified(message: Buffer): void {
    this.heard.push(`${message.readUInt32BE(5)} ${message.toString('utf8', 9).split('\0').slice(0, 2).join(' ')}`)
  }
  listeningLost(): void {
    this.lost++
  }
  listen(listening: Listening<FakeLink>, ...channels: string[]): void {
    listening.listen(this, new Set(channels), (error?: PgleaseError) => void this.answers.push(error?.message ?? 'ok'))
  }
}

const note = (processId: number, channel: string, payload = '') => {
  const body = Buffer.alloc(4)
  body.writeUInt32BE(processId)
  return wireMessage('A', Buffer.concat([body, Buffer.from(`${channel}\0${payload}\0`)]).toString('latin1'))
}

async function ready(settings: SetUp[0] = {}, more: SetUp[1] = {}) {
  const world = setUp({ pool_size: 1, ...settings }, more)
  world.source.offer(1)
  await world.settle()
  const listening = world.pool.listening as Listening<FakeLink>
  /** The link number `index`, from 1. */
  const link = (index: number) => world.links[index - 1] as FakeLink
  /** The server answers the query that runs on it. */
  const answer = (index: number, error?: { sqlstate: string; message: string }) => {
    const { finish } = link(index)
    link(index).finish = undefined
    assert.ok(finish, 'a query runs')
    finish(error)
  }
  const tick = async (ms: number) => {
    world.clock.advance(ms)
    world.pool.tick()
    await world.settle()
  }
  return { ...world, listening, link, answer, tick }
}

/** A world in which a session listens to `one` over link 2. */
async function listens(settings: SetUp[0] = {}, more: SetUp[1] = {}) {
  const world = await ready(settings, more)
  const session = new Session()
  session.listen(world.listening, 'one')
  await world.settle()
  world.answer(2)
  assert.deepEqual(session.answers, ['ok'])
  return { ...world, session }
}

test('the first session that listens opens a link beside the pool, and has its answer when that listens', async () => {
  const { listening, settle, link, answer, links, pool } = await ready()
  assert.equal(links.length, 1)
  const [first, second] = [new Session(), new Session()]
  first.listen(listening, 'one')
  await settle()
  assert.deepEqual([links.length, pool.size, pool.connections], [2, 1, 2])
  assert.deepEqual(link(2).ran, ['LISTEN "one"'])
  second.listen(listening, 'one', 'Tw"o')
  assert.deepEqual([first.answers, second.answers], [[], []])
  answer(2)
  assert.deepEqual([first.answers, second.answers], [[], []], 'not before all that is wanted was listened to')
  assert.deepEqual(link(2).ran, ['LISTEN "one"', 'LISTEN "Tw""o"'])
  answer(2)
  assert.deepEqual([first.answers, second.answers], [['ok'], ['ok']])
})

test('sessions hear their own channels, from the senders whose process ids their clients know', async () => {
  const { listening, session, link, answer } = await listens()
  const other = new Session()
  other.listen(listening, 'one', 'two')
  answer(2)
  link(1).sender = 77
  link(2).listener?.heard(note(link(1).facts.processId, 'one', 'x'))
  link(2).listener?.heard(note(5, 'two', 'y'))
  link(2).listener?.heard(note(5, 'three', 'z'))
  assert.deepEqual([session.heard, other.heard], [['77 one x'], ['77 one x', '5 two y']])
  session.listen(listening)
  link(2).listener?.heard(note(5, 'one'))
  assert.deepEqual(session.heard, ['77 one x'])
})

test('channels that nobody wants any more are dropped, and a link that nobody needs is closed', async () => {
  const { listening, session, link, answer, tick, pool } = await listens({ server_idle_timeout: 60_000 })
  const other = new Session()
  other.listen(listening, 'two')
  answer(2)
  listening.leave(session)
  assert.equal(link(2).ran.at(-1), 'UNLISTEN "one"')
  answer(2)
  listening.leave(other)
  answer(2)
  await tick(59_000)
  assert.equal(link(2).closeReason, undefined)
  await tick(2_000)
  assert.equal(link(2).closeReason, 'server_idle_timeout')
  pool.linkClosed(link(2), 'server_idle_timeout')
  assert.equal(pool.connections, pool.size)
})

test('a new credential: the next link listens before the old one is closed, a second and a round trip later', async () => {
  const { listening, session, link, answer, tick, source, settle, pool } = await listens()
  source.offer(2)
  await settle()
  // the pool's own link of the new credential, and then the one that listens
  const next = () => [3, 4].find((index) => link(index)?.ran.some((sql) => sql.startsWith('LISTEN'))) as number
  await tick(300)
  assert.equal(link(next()).generation, 2)
  const late = new Session()
  late.listen(listening, 'late')
  assert.equal(link(2).ran.at(-1), 'LISTEN "late"', 'the old one listens until then')
  answer(2)
  assert.deepEqual(late.answers, ['ok'])
  answer(next())
  assert.equal(link(next()).ran.at(-1), 'LISTEN "late"')
  answer(next())
  // both are heard, the old one until it was asked for what was under way
  link(2).listener?.heard(note(5, 'one', 'old'))
  link(next()).listener?.heard(note(5, 'one', 'new'))
  assert.deepEqual(session.heard, ['5 one old', '5 one new'])
  let heard = false
  listening.hearOut(session, () => {
    heard = true
  })
  answer(next())
  // the question at the change, and the one that is asked now
  answer(2)
  assert.equal(heard, false, 'what was sent before the change is heard on the old one')
  answer(2)
  assert.equal(heard, true)
  await tick(900)
  assert.equal(link(2).ran.at(-1), '')
  const queries = link(2).ran.length
  await tick(200)
  assert.deepEqual([link(2).ran.length, link(2).closeReason], [queries + 1, undefined])
  let asked = 0
  listening.hearOut(session, () => void asked++)
  answer(next())
  assert.equal(asked, 0)
  answer(2)
  assert.deepEqual([link(2).closeReason, asked], ['rotated', 1])
  assert.deepEqual(source.drained, [], 'the lease is not over before')
  pool.linkClosed(link(2), 'rotated')
  assert.deepEqual([source.drained, session.lost], [[1], 0])
})

test('a link that was replaced is lost: nobody is, once it was heard out, and nobody waits for it', async () => {
  for (const early of [false, true]) {
    const { listening, session, link, answer, tick, source, settle, pool } = await listens()
    source.offer(2)
    await settle()
    await tick(300)
    const next = [3, 4].find((index) => link(index)?.ran.some((sql) => sql.startsWith('LISTEN'))) as number
    answer(next)
    if (!early) answer(2)
    let heard = 0
    listening.hearOut(session, () => void heard++)
    answer(next)
    assert.equal(heard, 0)
    pool.linkDying(link(2))
    assert.deepEqual([heard, session.lost], [1, early ? 1 : 0])
  }
})

test('the link is lost: those who listen are told once, and the next who listens gets another', async () => {
  const { listening, session, link, answer, pool, settle } = await listens()
  const [ceased, waits] = [new Session(), new Session()]
  ceased.listen(listening, 'two')
  answer(2)
  ceased.listen(listening)
  answer(2)
  waits.listen(listening, 'three')
  pool.linkDying(link(2))
  pool.linkClosed(link(2), 'server_closed')
  assert.deepEqual([session.lost, ceased.lost, waits.lost], [1, 0, 1])
  const next = new Session()
  next.listen(listening, 'one')
  await settle()
  answer(3)
  assert.deepEqual(next.answers, ['ok'])
})

test('a server that is silent is asked, and lost when it does not answer', async () => {
  const { session, link, answer, tick } = await listens()
  await tick(31_000)
  answer(2)
  await tick(31_000)
  assert.deepEqual([session.lost, link(2).closeReason], [0, undefined])
  await tick(31_000)
  assert.deepEqual([session.lost, link(2).closeReason], [1, 'check_failed'])
})

test('a new link that does not answer is given up, and another is tried', async () => {
  const { listening, settle, link, tick, pool, answer } = await ready({ query_wait_timeout: 0 })
  const session = new Session()
  session.listen(listening, 'one')
  await settle()
  await tick(31_000)
  assert.equal(link(2).closeReason, 'check_failed')
  pool.linkClosed(link(2), 'check_failed')
  await tick(1_000)
  answer(3)
  assert.deepEqual([session.answers, session.lost], [['ok'], 0])
})

test('a server that refuses, as a standby does: who waits is told why', async () => {
  const { listening, settle, answer, link } = await ready()
  const session = new Session()
  session.listen(listening, 'one')
  await settle()
  answer(2, { sqlstate: '25006', message: 'cannot execute LISTEN during recovery' })
  assert.deepEqual(session.answers, ['LISTEN failed: cannot execute LISTEN during recovery (SQLSTATE 25006)'])
  assert.equal(link(2).closeReason, 'listen_failed')
})

test('limits that pools share: an idle link makes room; with none, LISTEN fails after query_wait_timeout', async () => {
  const budget = new Budget(1)
  const { listening, settle, link, answer, tick, pool, take } = await ready({ query_wait_timeout: 5_000 }, { budgets: [budget] })
  const session = new Session()
  session.listen(listening, 'one')
  await settle()
  assert.equal(link(1).closeReason, 'evicted')
  await tick(300)
  answer(2)
  assert.deepEqual([session.answers, budget.free], [['ok'], 0])
  listening.leave(session)
  answer(2)
  pool.linkDying(link(2))
  pool.linkClosed(link(2), 'server_closed')
  await take()
  const late = new Session()
  late.listen(listening, 'one')
  await tick(4_000)
  assert.deepEqual(late.answers, [])
  await tick(1_500)
  assert.match(String(late.answers), /LISTEN failed: the limits on server connections/)
})

test('when the pool closes, the link stays for those who listen still', async () => {
  const { listening, session, link, pool } = await listens()
  pool.close()
  assert.equal(link(2).closeReason, undefined)
  listening.leave(session)
  assert.equal(link(2).closeReason, 'pool_closed')
})
