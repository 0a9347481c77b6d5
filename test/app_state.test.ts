// What probes, gauges and the status page say.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, PgleaseError } from '../src/errors.ts'
import { reply } from './kit/session-world.ts'
import { type Source, StateSetup, vaultSnapshot, vaultSource } from './kit/state-setup.ts'

const NOT_YET = 'no login with a credential has succeeded yet'
const QUERY = Buffer.from('Q\0\0\0\u000dSELECT 1\0', 'latin1')

test('startup: listeners and every database, each with its reason', async () => {
  const setup = new StateSetup()
  assert.deepEqual(setup.state.startup(), [
    { name: 'listeners', ok: false, reason: 'they are not open yet' },
    { name: 'database leased', ok: false, reason: NOT_YET },
    { name: 'database fixed', ok: false, reason: NOT_YET },
  ])
  setup.open()
  await setup.prove(setup.leased)
  setup.fixed.loginFailure = new PgleaseError('connect_refused', 'db:5432')
  await setup.prove(setup.fixed)
  assert.deepEqual(setup.state.startup(), [
    { name: 'listeners', ok: true },
    { name: 'database leased', ok: true },
    { name: 'database fixed', ok: false, reason: 'connection to the server failed: db:5432' },
  ])
})

test('the start is noted once, when everything is there, and not before', async () => {
  const setup = new StateSetup()
  await setup.prove(setup.leased, setup.fixed)
  assert.equal(setup.state.noteStarted(), false)
  setup.open()
  assert.deepEqual([setup.state.admin().state, setup.state.noteStarted(), setup.state.noteStarted()], ['starting', true, false])
  assert.equal(setup.state.admin().state, 'serving')
})

test('what has started stays started: after the end of a role, and when the listeners are closed', async () => {
  const setup = new StateSetup()
  setup.open()
  await setup.prove(setup.leased, setup.fixed)
  assert.equal(setup.state.noteStarted(), true)
  setup.leased.pool.credentials.gone(1)
  setup.listeners.length = 0
  assert.equal(setup.leased.pool.ready, false)
  assert.ok(setup.state.startup().every(({ ok }) => ok))
})

test('ready: one database that can be served is enough; without one each says why', async () => {
  const setup = new StateSetup()
  setup.fixed.loginFailure = new PgleaseError('connect_refused', 'db:5432')
  await setup.prove(setup.fixed)
  assert.deepEqual(setup.state.ready(), [
    { name: 'serving', ok: true },
    { name: 'databases', ok: false, reason: `leased: ${NOT_YET}; fixed: connection to the server failed: db:5432` },
  ])
  await setup.prove(setup.leased)
  assert.deepEqual(setup.state.ready(), [
    { name: 'serving', ok: true },
    { name: 'databases', ok: true },
  ])
})

test('whoever is on its way out is not ready, in every phase', async () => {
  const setup = new StateSetup()
  await setup.prove(setup.leased, setup.fixed)
  for (const phase of ['draining', 'finishing', 'closing', 'ending', 'over'] as const) {
    setup.phase = phase
    assert.deepEqual(setup.state.ready()[0], { name: 'serving', ok: false, reason: 'shutting down' })
    assert.equal(setup.state.admin().state, 'draining')
  }
})

test('snapshot: clients and links of each database by state', async () => {
  const setup = new StateSetup()
  await setup.prove(setup.leased, setup.fixed)
  const [active, waiting] = [setup.client(setup.fixed, 'fixed'), setup.client(setup.fixed, 'fixed')]
  setup.client(setup.fixed, 'fixed')
  setup.client(setup.leased, 'leased')
  // of a database that is no longer configured: counts nowhere, breaks nothing
  setup.client(setup.leased, 'removed')
  active.send(QUERY)
  waiting.send(QUERY)
  const [leased, fixed] = setup.state.snapshot().databases
  assert.deepEqual(leased, {
    name: 'leased',
    clients: { active: 0, waiting: 0, idle: 1, replication: 0 },
    servers: { login: 0, active: 0, idle: 1, used: 0, tested: 0, closing: 0, listening: 0, replication: 0 },
    listening: { sessions: 0, channels: 0 },
    pinned: 0,
    poolSize: 2,
  })
  assert.deepEqual(fixed, {
    name: 'fixed',
    clients: { active: 1, waiting: 1, idle: 1, replication: 0 },
    servers: { login: 0, active: 1, idle: 0, used: 0, tested: 0, closing: 0, listening: 0, replication: 0 },
    listening: { sessions: 0, channels: 0 },
    pinned: 0,
    poolSize: 1,
  })
  setup.fixed.answer(0, reply('C Z'))
  const after = setup.state.snapshot().databases[1]
  assert.deepEqual(after?.clients, { active: 1, waiting: 0, idle: 2, replication: 0 })
})

test('snapshot: trouble of a database is told', async () => {
  const setup = new StateSetup()
  setup.fixed.loginFailure = new PgleaseError('connect_refused', 'db:5432')
  await setup.prove(setup.fixed)
  const [leased, fixed] = setup.state.snapshot().databases
  assert.deepEqual([leased?.trouble, fixed?.trouble], [undefined, 'connection to the server failed: db:5432'])
})

test('snapshot: a leased source shows the generation that serves, a fixed one never ends', async () => {
  const setup = new StateSetup()
  await setup.prove(setup.fixed)
  assert.deepEqual(setup.state.snapshot().sources, [
    { name: 'leased', generation: 2, remainingSeconds: 600, linksDraining: 0, user: 'v-two' },
    { name: 'fixed', generation: 1, remainingSeconds: undefined, linksDraining: 0, user: 'report' },
  ])
  assert.deepEqual(setup.state.snapshot().token, { remainingSeconds: 1_800 })
})

test('snapshot: of which generation a source speaks', () => {
  const setup = new StateSetup()
  const [draining, current, offered] = vaultSource().generations
  const told = (generations: Source['generations']) => {
    setup.vault = vaultSnapshot({ sources: [vaultSource({ generations })] })
    const [source] = setup.state.snapshot().sources
    return [source?.generation, source?.user, source?.remainingSeconds]
  }
  assert.deepEqual(told([]), [0, undefined, undefined])
  assert.deepEqual(told([draining!, offered!]), [3, 'v-three', 900])
  const overdue = { ...current!, state: 'overdue', remainingMs: -2_500 } as const
  assert.deepEqual(told([draining!, overdue, offered!]), [2, 'v-two', -2.5])
  assert.deepEqual(told([{ ...current!, remainingMs: Number.POSITIVE_INFINITY }]), [2, 'v-two', undefined])
})

test('links of an older generation drain, each for the source that it came from', async () => {
  const setup = new StateSetup()
  // a place for the login that proves the next one
  setup.fixed.pool.settings = { ...setup.fixed.pool.settings, pool_size: 2 }
  const draining = () => setup.state.snapshot().sources.map(({ name, linksDraining }) => [name, linksDraining])
  for (const [world, database] of [
    [setup.fixed, 'fixed'],
    [setup.leased, 'leased'],
  ] as const) {
    await setup.prove(world)
    setup.client(world, database).send(QUERY)
    const before = draining()
    world.source.offer(2)
    await world.settle()
    assert.notDeepEqual(draining(), before, database)
  }
  assert.deepEqual(draining(), [
    ['leased', 1],
    ['fixed', 1],
  ])
  assert.equal(setup.state.admin().sources[0]?.linksDraining, 1)
})

test('no token, or one that never ends, is no number', () => {
  const setup = new StateSetup()
  const token = { kind: 'foreign', method: 'token', present: false, remainingMs: 0 } as const
  setup.vault = vaultSnapshot({ token })
  assert.deepEqual([setup.state.snapshot().token, setup.state.admin().token], [undefined, undefined])
  setup.vault = vaultSnapshot({ token: { ...token, present: true, remainingMs: Number.POSITIVE_INFINITY } })
  assert.deepEqual(setup.state.snapshot().token, { remainingSeconds: undefined })
  assert.deepEqual(setup.state.admin().token, { kind: 'foreign', method: 'token' })
})

test('admin: counters, generations, token and Vault, and time since the start', async () => {
  const setup = new StateSetup()
  await setup.prove(setup.leased, setup.fixed)
  const counters = setup.metrics.database('fixed')
  counters.addQuery()
  counters.addTransaction()
  counters.addBytesFromClient(10)
  counters.addBytesToClient(20)
  setup.clock.advance(61_400)
  const admin = setup.state.admin()
  assert.deepEqual([admin.version, admin.uptimeSeconds], ['1.2.3', 61])
  const counted = admin.databases.map(({ name, queries, transactions, bytesIn, bytesOut }) => [
    name,
    queries,
    transactions,
    bytesIn,
    bytesOut,
  ])
  assert.deepEqual(counted, [
    ['leased', 0, 0, 0, 0],
    ['fixed', 1, 1, 10, 20],
  ])
  assert.deepEqual(admin.sources, [
    {
      ...setup.state.snapshot().sources[0],
      vaultPath: 'database/creds/leased',
      generations: [
        { generation: 1, state: 'draining', user: 'v-one', leaseId: 'database/creds/leased/one', remainingSeconds: 30 },
        { generation: 2, state: 'current', user: 'v-two', leaseId: 'database/creds/leased/two', remainingSeconds: 600 },
        { generation: 3, state: 'offered', user: 'v-three', leaseId: 'database/creds/leased/three', remainingSeconds: 900 },
      ],
    },
  ])
  assert.deepEqual(admin.token, { kind: 'own', method: 'approle', remainingSeconds: 1_800 })
  assert.deepEqual(admin.vault, { address: 'https://vault.example:8200', available: true })
  assert.deepEqual([admin.startup, admin.ready], [setup.state.startup(), setup.state.ready()])
  assert.deepEqual(JSON.parse(JSON.stringify(admin)), admin)
})

test("admin: Vault's and a source's trouble in the words that clients get", () => {
  const setup = new StateSetup()
  const trouble = (code: ErrorCode) => ({ code, detail: 'why' })
  setup.vault = vaultSnapshot({
    available: false,
    trouble: trouble('vault_unreachable'),
    sources: [vaultSource({ trouble: trouble('vault_denied') })],
  })
  const admin = setup.state.admin()
  assert.deepEqual(admin.vault, { address: 'https://vault.example:8200', available: false, trouble: 'Vault is unreachable: why' })
  assert.equal(admin.sources[0]?.trouble, 'Vault denied access: why')
})

test('without Vault there is no word of it', () => {
  const setup = new StateSetup({ withVault: false })
  const admin = setup.state.admin()
  assert.deepEqual([admin.vault, admin.token, admin.sources, setup.state.snapshot().token], [undefined, undefined, [], undefined])
  assert.deepEqual(
    setup.state.snapshot().sources.map(({ name, generation }) => [name, generation]),
    [['fixed', 0]],
  )
})
