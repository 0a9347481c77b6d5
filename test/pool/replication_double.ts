// Replication connections beside a pool, as a script drives them.
import type { CloseReason, PgleaseError } from '../../src/errors.ts'
import { Budget } from '../../src/pool/budget.ts'
import { Places } from '../../src/pool/places.ts'
import { type ReplicationPeer, Replications } from '../../src/pool/replication.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { quietLog } from '../kit/session-world.ts'
import { setUp } from './double.ts'

export class FakePeer implements ReplicationPeer {
  listed: ReplicationPeer['listed']
  closeReason: CloseReason | undefined
  /** Mid-message. */
  busy = false
  readonly generation: number
  readonly facts: { readonly id: number; readonly server: string; readonly fit?: undefined }
  readonly #owner: () => Replications<FakePeer, string>
  constructor(id: number, generation: number, owner: () => Replications<FakePeer, string>) {
    this.facts = { id, server: 'db:5432' }
    this.generation = generation
    this.#owner = owner
  }
  recycle(atOnce = false): boolean {
    if (this.busy && !atOnce) return false
    this.shut('rotated')
    return true
  }
  shut(reason: CloseReason): void {
    this.closeReason = reason
    this.#owner().linkDying(this)
  }
  /** The server has closed its side. */
  gone(): void {
    this.#owner().linkClosed(this, this.closeReason ?? 'server_closed')
  }
}

export class FakeClient {
  readonly request: string
  peer: FakePeer | undefined
  error: PgleaseError | undefined
  constructor(request = 'physical') {
    this.request = request
  }
  linkReady(peer: FakePeer): void {
    this.peer = peer
  }
  linkRefused(error: PgleaseError): void {
    this.error = error
  }
}

/** A function, because the compiler cannot see that it is set. */
export const codeOf = (client: FakeClient) => client.error?.code

export async function world(limit = 10, pool_size = 2, budget = new Budget(limit), clock = new FakeClock(), places = new Places([budget])) {
  const made = setUp({ pool_size, server_idle_timeout: 0, query_wait_timeout: 60_000 }, { places, clock })
  const closed: CloseReason[] = []
  const opened: string[] = []
  const errors: (PgleaseError | undefined)[] = []
  let id = 0
  const replications: Replications<FakePeer, string> = new Replications<FakePeer, string>({
    database: 'app',
    source: made.source,
    settings: { server_fast_close: false },
    clock: made.clock,
    log: quietLog,
    logins: made.pool.logins,
    places,
    queryWaitTimeoutMs: () => 5_000,
    open: async ({ generation }, request) => {
      const error = errors.shift()
      if (error !== undefined) throw error
      opened.push(`${request} ${generation}`)
      return new FakePeer(++id, generation, () => replications)
    },
    linkClosed: (reason) => void closed.push(reason),
  })
  const ask = async (client = new FakeClient()) => {
    replications.request(client)
    await made.settle()
    return client
  }
  /** Ticks four times a second. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 250) {
      made.clock.advance(250)
      if (Number.isFinite(made.source.left)) made.source.left -= 250
      made.pool.tick()
      replications.tick()
      await made.settle()
    }
  }
  return { ...made, budget, replications, closed, opened, errors, ask, pass }
}
