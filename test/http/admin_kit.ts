// The parts that an admin app is handed, with hands on them, and a reader of its events.
import assert from 'node:assert/strict'
import type { AdminParts } from '../../src/http/admin.ts'
import type { AdminState } from '../../src/http/admin_state.ts'
import type { LogLine } from '../../src/log.ts'
import { FakeClock } from '../kit/fake-clock.ts'

export const ORIGIN = 'http://127.0.0.1:9091'
export const HEADER = { 'X-Pglease-Request': 'true' }

export function exampleState(changes: Partial<AdminState> = {}): AdminState {
  return {
    version: '1.2.3',
    uptimeSeconds: 100,
    state: 'serving',
    databases: [exampleDatabase('app')],
    sources: [
      {
        name: 'app',
        vaultPath: 'database/creds/app',
        generation: 2,
        remainingSeconds: 600,
        linksDraining: 1,
        user: 'v-app-two',
        generations: [
          { generation: 1, state: 'draining', user: 'v-app-one', leaseId: 'database/creds/app/one', remainingSeconds: 30 },
          {
            generation: 2,
            state: 'current',
            user: 'v-app-two',
            leaseId: 'database/creds/app/two',
            remainingSeconds: 600,
            durationSeconds: 1200,
          },
        ],
      },
    ],
    token: { kind: 'own', method: 'kubernetes', remainingSeconds: 1800 },
    vault: { address: 'https://vault.example:8200', available: true },
    startup: [{ name: 'listeners', ok: true }],
    ready: [{ name: 'databases', ok: true }],
    ...changes,
  }
}

export function exampleDatabase(name: string): AdminState['databases'][number] {
  return {
    name,
    clients: { active: 2, waiting: 0, idle: 6, replication: 0 },
    servers: { login: 0, active: 2, idle: 3, used: 0, tested: 0, closing: 0, listening: 0, replication: 0 },
    listening: { sessions: 0, channels: 0 },
    pinned: 0,
    poolSize: 20,
    queries: 1000,
    transactions: 400,
    bytesIn: 5000,
    bytesOut: 90_000,
  }
}

export const line = (msg: string): LogLine => ({ time: '2025-01-01T10:20:30.456Z', level: 'info', event: 'ready', msg })

/** Moves the state on with the clock, as pglease does. */
export class Parts implements AdminParts {
  readonly clock = new FakeClock()
  readonly listeners = new Set<(line: LogLine) => void>()
  readonly begunMs = this.clock.monotonicMs()
  example = exampleState()
  kept: LogLine[] = []
  quits = 0
  timers = 0
  asked = 0
  quit: (() => void) | undefined = () => void this.quits++

  readonly state = (): AdminState => {
    this.asked++
    const passed = (this.clock.monotonicMs() - this.begunMs) / 1000
    return JSON.parse(JSON.stringify(this.example), (key, value) => {
      if (key === 'uptimeSeconds') return value + passed
      return key === 'remainingSeconds' ? value - passed : value
    })
  }

  readonly recent = (): readonly LogLine[] => this.kept

  readonly onEvent = (listener: (line: LogLine) => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  readonly every = (ms: number, task: () => void): (() => void) => {
    this.timers++
    const next = () => {
      timer = this.clock.after(ms, next)
      task()
    }
    let timer = this.clock.after(ms, next)
    return () => {
      this.timers--
      timer.cancel()
    }
  }

  say(msg: string): void {
    for (const listener of [...this.listeners]) listener(line(msg))
  }
}

interface Heard {
  readonly event: string
  readonly data: unknown
}

/** Reads a stream of events one by one. */
export class EventReader {
  readonly #reader: { read(): Promise<{ done: boolean; value?: Uint8Array }>; cancel(): Promise<void> }
  readonly #decoder = new TextDecoder()
  #text = ''

  constructor(response: Response) {
    assert.equal(response.status, 200)
    assert.ok(response.body)
    this.#reader = response.body.getReader()
  }

  /** The next event; undefined at the end. */
  async next(): Promise<Heard | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n')
      if (end >= 0) {
        const [event, data, ...more] = this.#text.slice(0, end).split('\n')
        this.#text = this.#text.slice(end + 2)
        assert.deepEqual(more, [])
        return { event: event!.replace(/^event: /, ''), data: JSON.parse(data!.replace(/^data: /, '')) }
      }
      const { done, value } = await this.#reader.read()
      if (done) return undefined
      this.#text += this.#decoder.decode(value, { stream: true })
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel()
  }
}
