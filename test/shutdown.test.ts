// The end of a process: what each signal starts, what is waited for, and what holds nobody up, on a clock of the test.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Phase, type ServeEnd, Shutdown, type ShutdownSettings, type StopSignal } from '../src/shutdown.ts'
import { FakeClock } from './kit/fake-clock.ts'
import { RecordingLog } from './vault/double.ts'

const SIGNALS: readonly StopSignal[] = ['TERM', 'INT', 'QUIT']
const AT_ONCE: Readonly<Record<StopSignal, ServeEnd>> = { TERM: 'terminated', INT: 'interrupted', QUIT: 'quit' }
const SETTINGS: ShutdownSettings = { drain_timeout: 20_000, shutdown_delay: 0, shutdown_timeout: 25_000 }
/** How long after a change of the number of clients it is seen, at most. */
const WATCH_MS = 50

/** Clients, links and leases in numbers; what the shutdown does is kept in order with its time. */
class World {
  readonly clock = new FakeClock()
  readonly log = new RecordingLog()
  readonly done: string[] = []
  readonly shutdown: Shutdown
  clients = 0
  /** Of these clients, those that hold no link. */
  idle = 0
  linksHang = false
  revokeHangs = false
  revokeMs = 0
  end: ServeEnd | undefined
  readonly #beganMs = this.clock.monotonicMs()

  constructor(settings: Partial<ShutdownSettings> = {}) {
    this.shutdown = new Shutdown({
      clock: this.clock,
      log: this.log,
      settings: () => ({ ...SETTINGS, ...settings }),
      clients: () => this.clients,
      refuseClients: () => this.#did('refuse'),
      endIdleClients: () => {
        if (this.idle > 0) this.#did(`end ${this.idle} idle`)
        this.clients -= this.idle
        this.idle = 0
      },
      endAllClients: () => {
        this.#did(`end all ${this.clients}`)
        this.clients = 0
      },
      closeLinks: () => {
        this.#did('links')
        return this.linksHang ? new Promise(() => {}) : Promise.resolve()
      },
      revoke: (budgetMs) => {
        this.#did(`revoke ${budgetMs}`)
        if (this.revokeHangs) return new Promise(() => {})
        return new Promise((resolve) => void this.clock.after(this.revokeMs, resolve))
      },
    })
    void this.shutdown.ended.then((end) => {
      this.end = end
      this.#did(end)
    })
  }

  get phase(): Phase {
    return this.shutdown.phase
  }

  #did(what: string): void {
    this.done.push(`${this.clock.monotonicMs() - this.#beganMs} ${what}`)
  }

  /** Sends `name` and lets what follows at once happen. */
  async signal(name: StopSignal): Promise<void> {
    this.shutdown.signal(name)
    await this.clock.run(0)
  }
}

/** A world that has come to `phase` after a TERM, with nothing on its way to the next one. */
async function worldIn(phase: 'draining' | 'finishing' | 'closing' | 'ending', settings: Partial<ShutdownSettings> = {}): Promise<World> {
  const world = new World({ drain_timeout: 1_000, ...settings })
  world.clients = phase === 'closing' ? 0 : 1
  world.linksHang = phase === 'closing' || phase === 'ending'
  await world.signal(phase === 'ending' ? 'QUIT' : 'TERM')
  if (phase === 'finishing') await world.clock.run(1_000)
  assert.equal(world.phase, phase)
  world.done.length = 0
  return world
}

test('TERM without clients: refuse, close the links, revoke within 5 s, done', async () => {
  const world = new World()
  assert.deepEqual([world.phase, world.shutdown.refusing], ['serving', false])
  await world.signal('TERM')
  assert.deepEqual(world.done, ['0 refuse', '0 links', '0 revoke 5000', '0 done'])
  assert.deepEqual([world.phase, world.shutdown.refusing], ['over', true])
  assert.deepEqual(world.log.of('stopped')[0]?.fields, { reason: 'done', ms: 0 })
})

test('TERM serves clients until the last has left, new ones too', async () => {
  const world = new World()
  world.clients = 2
  await world.signal('TERM')
  await world.clock.run(8_000)
  assert.deepEqual([world.phase, world.shutdown.refusing, world.done], ['draining', false, []])
  world.clients = 0
  await world.clock.run(WATCH_MS)
  assert.deepEqual(world.done, ['8050 refuse', '8050 links', '8050 revoke 5000', '8050 done'])
  assert.equal(world.log.of('draining').length, 0)
})

test('after drain_timeout clients are refused, idle ones end, the others as their transactions do', async () => {
  const world = new World()
  world.clients = 3
  world.idle = 1
  await world.signal('TERM')
  await world.clock.run(19_999)
  assert.deepEqual([world.phase, world.clients], ['draining', 3])
  await world.clock.run(1)
  assert.deepEqual([world.phase, world.shutdown.refusing, world.clients], ['finishing', true, 2])
  assert.deepEqual(world.done, ['20000 refuse', '20000 end 1 idle'])
  assert.deepEqual(world.log.of('draining')[0]?.fields, { count: 3 })
  world.idle = 1
  await world.clock.run(WATCH_MS)
  assert.deepEqual([world.phase, world.clients], ['finishing', 1])
  world.clients = 0
  await world.clock.run(WATCH_MS)
  assert.deepEqual(world.done.slice(2), ['20050 end 1 idle', '20100 links', '20100 revoke 5000', '20100 done'])
})

test('shutdown_delay is the least time: without clients, and with a shorter drain_timeout', async () => {
  const alone = new World({ shutdown_delay: 5_000 })
  await alone.signal('TERM')
  await alone.clock.run(4_999)
  assert.deepEqual([alone.phase, alone.done], ['draining', []])
  await alone.clock.run(1)
  assert.equal(alone.end, 'done')
  assert.equal(alone.done[0], '5000 refuse')

  const busy = new World({ shutdown_delay: 5_000, drain_timeout: 2_000 })
  busy.clients = 1
  await busy.signal('TERM')
  assert.match(busy.log.of('signal')[0]?.msg ?? '', /at most 5 s/)
  await busy.clock.run(4_999)
  assert.equal(busy.phase, 'draining')
  await busy.clock.run(1)
  assert.equal(busy.phase, 'finishing')
})

test('a drain_timeout of 0 refuses at once', async () => {
  const world = new World({ drain_timeout: 0 })
  world.clients = 1
  await world.signal('TERM')
  assert.deepEqual([world.phase, world.done], ['finishing', ['0 refuse']])
})

test('INT refuses at once and lets transactions finish', async () => {
  const world = new World({ shutdown_delay: 5_000 })
  world.clients = 3
  world.idle = 2
  await world.signal('INT')
  assert.deepEqual([world.phase, world.shutdown.refusing, world.clients], ['finishing', true, 1])
  await world.clock.run(24_000)
  assert.equal(world.phase, 'finishing')
  world.clients = 0
  await world.clock.run(WATCH_MS)
  assert.deepEqual(world.done, ['0 refuse', '0 end 2 idle', '24050 links', '24050 revoke 5000', '24050 done'])
})

test('QUIT ends everybody at once and still revokes, within 2 s', async () => {
  const world = new World()
  world.clients = 3
  world.revokeMs = 100
  await world.signal('QUIT')
  assert.deepEqual([world.phase, world.shutdown.refusing], ['ending', true])
  await world.clock.run(100)
  assert.deepEqual(world.done, ['0 refuse', '0 end all 3', '0 links', '0 revoke 2000', '100 quit'])
})

for (const phase of ['draining', 'finishing', 'closing'] as const) {
  for (const name of SIGNALS) {
    test(`${name} while ${phase} ends at once as ${AT_ONCE[name]}, once`, async () => {
      const world = await worldIn(phase)
      world.linksHang = false
      await world.signal(name)
      assert.equal(world.end, AT_ONCE[name])
      const withoutTime = world.done.map((what) => what.replace(/^\d+ /, ''))
      const clients = phase === 'closing' ? 0 : 1
      assert.deepEqual(withoutTime, ['refuse', `end all ${clients}`, 'links', 'revoke 2000', AT_ONCE[name]])
      // what the first signal began does not go on
      await world.clock.run(60_000)
      assert.equal(world.log.of('stopped').length, 1)
      assert.equal(world.done.filter((what) => / (?:refuse|links|end)/.test(what)).length, 3)
    })
  }
}

test('while everything ends at once, and after the end, signals are ignored', async () => {
  const world = await worldIn('ending')
  for (const name of SIGNALS) await world.signal(name)
  assert.deepEqual([world.phase, world.done], ['ending', []])
  await world.clock.run(60_000)
  assert.equal(world.end, 'quit')
  const before = [...world.done]
  for (const name of SIGNALS) await world.signal(name)
  await world.clock.run(60_000)
  assert.deepEqual([world.phase, world.done, world.end], ['over', before, 'quit'])
  assert.equal(world.log.of('signal').length, 1)

  const drained = new World()
  await drained.signal('TERM')
  for (const name of SIGNALS) await drained.signal(name)
  assert.deepEqual([drained.end, drained.log.of('signal').length], ['done', 1])
})

test('shutdown_timeout ends what drains or finishes, as the first signal at once', async () => {
  for (const [name, drain_timeout, phase] of [
    ['TERM', 60_000, 'draining'],
    ['TERM', 1_000, 'finishing'],
    ['INT', 60_000, 'finishing'],
  ] as const) {
    const world = new World({ drain_timeout })
    world.clients = 2
    await world.signal(name)
    await world.clock.run(24_999)
    assert.equal(world.phase, phase)
    await world.clock.run(1)
    assert.equal(world.end, AT_ONCE[name], `${name} while ${phase}`)
    assert.deepEqual(world.done.slice(-4), ['25000 end all 2', '25000 links', '25000 revoke 2000', `25000 ${AT_ONCE[name]}`])
    assert.deepEqual(world.log.of('draining').at(-1)?.fields, { count: 2 })
  }
})

test('shutdown_timeout also ends what closes, and 0 is no limit', async () => {
  const closing = new World({ shutdown_timeout: 3_000 })
  closing.revokeHangs = true
  await closing.signal('TERM')
  await closing.clock.run(2_999)
  assert.equal(closing.phase, 'closing')
  await closing.clock.run(1)
  assert.equal(closing.phase, 'ending')
  await closing.clock.run(2_000)
  assert.equal(closing.end, 'terminated')

  const patient = new World({ shutdown_timeout: 0 })
  patient.clients = 1
  await patient.signal('INT')
  await patient.clock.run(3_600_000)
  assert.equal(patient.phase, 'finishing')
})

test('shutdown_timeout after the end, or while everything ends, does nothing', async () => {
  const over = new World()
  await over.signal('TERM')
  await over.clock.run(60_000)
  assert.deepEqual([over.end, over.log.of('draining').length, over.done.length], ['done', 0, 4])

  const ending = new World({ shutdown_timeout: 1_000 })
  ending.clients = 1
  ending.revokeHangs = true
  await ending.signal('TERM')
  await ending.signal('INT')
  await ending.clock.run(60_000)
  assert.deepEqual([ending.end, ending.log.of('draining').length], ['interrupted', 0])
  assert.equal(ending.done.at(-1), '2000 interrupted')
})

test('links and revocations that never end hold up for 1 s + 5 s after a drain, 0.5 s + 2 s at once', async () => {
  for (const [name, times] of [
    ['TERM', { links: 0, revoke: 1_000, end: 6_000, text: 'done' }],
    ['QUIT', { links: 0, revoke: 500, end: 2_500, text: 'quit' }],
  ] as const) {
    const world = new World()
    world.linksHang = true
    world.revokeHangs = true
    await world.signal(name)
    await world.clock.run(times.end)
    const [links, revoke, end] = world.done.slice(-3)
    assert.equal(links, `${times.links} links`)
    assert.match(revoke ?? '', new RegExp(`^${times.revoke} revoke `))
    assert.equal(end, `${times.end} ${times.text}`)
  }
})

test('an end leaves no timer but that of shutdown_timeout', async () => {
  const world = new World()
  await world.signal('TERM')
  assert.deepEqual([world.end, world.clock.pending, world.clock.nextInMs], ['done', 1, 25_000])
})
