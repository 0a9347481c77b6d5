// Session mode and rotation: sessions are recycled while they rest, one after another, and none within a transaction.
import assert from 'node:assert/strict'
import type pg from 'pg'
import { poll } from './kit/child.ts'
import { value } from './kit/fixed-database.ts'
import type { Pglease } from './kit/pglease.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault } from './kit/vault.ts'
import { contextFor } from './scenarios/context.ts'
import { DATABASE, startWorld } from './scenarios/rotation.ts'

const missing = await noVault()
const LIFE = { defaultTtl: 6, maxTtl: 12 }
const SEED = 6

type Client = pg.Client & { errors: Error[] }

const startSessions = async (run: Scenario, poolSize: number) =>
  startWorld(await contextFor(run, SEED), { ...LIFE, database: { pool_mode: 'session', pool_size: poolSize } })

const roleOf = (client: pg.Client) => value(client, 'SELECT session_user')

/** Sessions that have run something and rest; notices and the moment of the end of each. */
async function restingSessions(pglease: Pglease, count: number) {
  const sessions: { client: Client; notices: string[]; endedMs: number }[] = []
  for (let made = 0; made < count; made++) {
    const client = await pglease.client(DATABASE)
    const session = { client, notices: [] as string[], endedMs: 0 }
    client.on('notice', ({ message }) => session.notices.push(String(message)))
    client.on('end', () => {
      session.endedMs = performance.now()
    })
    await client.query("SET work_mem = '7MB'")
    sessions.push(session)
  }
  return sessions
}

scenario('at a rotation sessions at rest are ended one after another with 57P01; one in a transaction commits first', async (run) => {
  if (missing && skip(missing)) return
  const { pglease, mount } = await startSessions(run, 20)
  const sessions = await restingSessions(pglease, 6)
  const held = await pglease.client(DATABASE)
  const role = await roleOf(held)
  await held.query('BEGIN')
  await held.query('SELECT 1')
  await poll('all sessions at rest have ended', async () => sessions.every(({ endedMs }) => endedMs > 0) || undefined, 30_000)
  assert.ok((await mount.leasedRoles()).includes(String(role)), 'before the role was dropped')
  for (const { client, notices } of sessions) {
    assert.equal((client.errors[0] as pg.DatabaseError).code, '57P01')
    assert.match(notices.join('\n'), /credential of this server connection is being replaced/)
  }
  const ends = sessions.map(({ endedMs }) => endedMs).sort((one, other) => one - other)
  const spread = (ends.at(-1) as number) - (ends[0] as number)
  assert.ok(spread >= 500, `spread over ${spread} ms`)
  assert.equal(held.errors.length, 0, 'none in a transaction')
  assert.equal(await roleOf(held), role)
  await held.query('COMMIT')
  await poll('the last session ends as it rests', async () => held.errors.length > 0 || undefined)
  assert.equal((held.errors[0] as pg.DatabaseError).code, '57P01')
  const again = await pglease.client(DATABASE)
  assert.notEqual(await roleOf(again), role)
  assert.equal(await value(again, "SELECT current_setting('work_mem')"), '4MB')
  const { count } = await pglease.waitForLog('sessions_recycled')
  assert.ok(Number(count) >= 6, `${count} sessions in the log`)
  const metrics = await pglease.metrics()
  assert.ok(metrics.sum('pglease_connections_closed_total', { side: 'client', reason: 'session_recycled' }) >= 7)
  await poll('the first role is dropped', async () => !(await mount.leasedRoles()).includes(String(role)) || undefined)
  await again.end()
})

scenario('sessions that hold every connection make room for the new credential', async (run) => {
  if (missing && skip(missing)) return
  const { pglease } = await startSessions(run, 2)
  const roles = new Set<unknown>()
  let client = await pglease.client(DATABASE)
  let other = await pglease.client(DATABASE)
  await other.query('SELECT 1')
  await poll(
    'three roles',
    async () => {
      if (client.errors.length > 0) client = await pglease.client(DATABASE)
      if (other.errors.length > 0) other = await pglease.client(DATABASE)
      // one may be ended while the other is asked
      for (const one of [client, other]) roles.add(await roleOf(one).catch(() => ''))
      roles.delete('')
      return roles.size >= 3 || undefined
    },
    60_000,
  )
  assert.equal(pglease.logged('lease_overdue').length, 0)
  await Promise.allSettled([client.end(), other.end()])
})

scenario('transaction mode: a client that prepared in SQL is ended at a rotation while it rests, others notice nothing', async (run) => {
  if (missing && skip(missing)) return
  const { pglease, mount } = await startWorld(await contextFor(run, SEED), { ...LIFE, database: { pool_size: 3 } })
  const [kept, other] = [await pglease.client(DATABASE), await pglease.client(DATABASE)]
  await kept.query("PREPARE p AS SELECT 'mine'")
  const role = await roleOf(kept)
  assert.equal(await value(kept, 'EXECUTE p'), 'mine')
  await poll('it has ended', () => (kept.errors.length > 0 ? true : undefined), 30_000)
  assert.equal((kept.errors[0] as pg.DatabaseError).code, '57P01')
  assert.notEqual(await roleOf(other), role)
  await poll('the first role is dropped', async () => !(await mount.leasedRoles()).includes(String(role)) || undefined)
  assert.equal(await value(other, 'SELECT 1'), 1)
  assert.equal(other.errors.length, 0)
  assert.match(String((await pglease.waitForLog('sessions_recycled')).msg), /1 sessions with statements that were prepared in SQL/)
  await other.end()
})

/** Transactions one after another, on a new connection after each 57P01. Answers what was seen until `stopped`. */
async function work(pglease: Pglease, stopped: () => boolean) {
  const seen = { transactions: 0, recycled: 0, inside: [] as string[], others: [] as string[] }
  while (!stopped()) {
    const client = await pglease.client(DATABASE)
    let inside = false
    try {
      while (!stopped()) {
        await client.query('BEGIN')
        inside = true
        await client.query('SELECT pg_sleep(0.02)')
        await client.query('COMMIT')
        inside = false
        seen.transactions++
      }
      await client.end()
    } catch (error) {
      const first = (client.errors[0] ?? error) as pg.DatabaseError
      if (inside) seen.inside.push(String(first))
      else if (first.code === '57P01') seen.recycled++
      else seen.others.push(String(first))
    }
  }
  return seen
}

scenario('busy sessions are recycled between transactions, never within one, and every credential ends drained', async (run) => {
  if (missing && skip(missing)) return
  const { pglease } = await startSessions(run, 8)
  let stop = false
  const workers = Array.from({ length: 5 }, () => work(pglease, () => stop))
  const rotations = () => pglease.logged('rotated').length
  await poll('two rotations', async () => rotations() >= 2 || undefined, 60_000)
  await poll('both drained', async () => pglease.logged('lease_revoked').length >= 2 || undefined, 30_000)
  stop = true
  const seen = await Promise.all(workers)
  for (const { transactions, recycled, inside, others } of seen) {
    assert.deepEqual([inside, others], [[], []])
    assert.ok(transactions > 100 && recycled >= 2, `${transactions} transactions, ${recycled} times recycled`)
  }
  assert.equal(pglease.logged('transaction_outlived_lease').length, 0)
})
