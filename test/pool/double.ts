// A pool with links and a source that a script drives.
import { type CloseReason, PgleaseError } from '../../src/errors.ts'
import type { Budget } from '../../src/pool/budget.ts'
import { Places } from '../../src/pool/places.ts'
import { Pool } from '../../src/pool/pool.ts'
import type { LinkFit, PoolLink } from '../../src/pool/pool_link.ts'
import type { PoolSettings } from '../../src/pool/pool_parts.ts'
import type { Waiter } from '../../src/pool/waiters.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { FakeSource } from '../kit/fake-source.ts'
import { POOL_SETTINGS } from '../kit/pool-settings.ts'

export class FakeLink implements PoolLink {
  overdue = false
  moved = false
  idleSinceMs = 0
  listed: PoolLink['listed']
  roleMayDiffer = false
  needsReset = false
  /** Its session's answer to `recycle`: undefined = nobody holds it. */
  rests: (() => boolean) | undefined
  forgotten = 0
  closeReason: CloseReason | undefined
  channels: PoolLink['channels'] = { listened: false }
  sender = 0
  listener: PoolLink['listener'] = null
  readonly ran: string[] = []
  ownQuery: object | null = null
  finish: ((error: { sqlstate: string; message: string } | undefined) => void) | undefined
  readonly generation: number
  readonly facts: PoolLink['facts']
  constructor(id: number, generation: number, openedAtMs: number, fit?: LinkFit, server = 'db:5432') {
    this.generation = generation
    this.facts = { id, openedAtMs, processId: 1000 + id, server, welcome: new Map([['server_version', '18']]), fit }
  }
  shut(reason: CloseReason): void {
    this.closeReason = reason
  }
  forgetSession(): void {
    this.forgotten++
  }
  recycle(): boolean {
    return this.rests?.() ?? false
  }
  run(sql: string, done: (error: { sqlstate: string; message: string } | undefined) => void): void {
    this.ran.push(sql)
    this.ownQuery = {}
    this.finish = (error) => {
      this.ownQuery = null
      done(error)
    }
  }
}

export class Client implements Waiter<FakeLink> {
  waitingSinceMs = 0
  noticed = false
  link: FakeLink | null = null
  refused: PgleaseError | undefined
  linkReady(link: FakeLink): void {
    this.link = link
  }
  linkRefused(error: PgleaseError): void {
    this.refused = error
  }
  stillWaiting(): void {}
}

const SETTINGS = POOL_SETTINGS

/** A pool whose logins succeed at once unless `answer` says otherwise. */
export function setUp(
  settings: Partial<PoolSettings> = {},
  more: {
    longestRetryMs?: number
    fit?: () => LinkFit
    clock?: FakeClock
    budgets?: Budget[]
    places?: Places
    server?: () => string
  } = {},
) {
  const clock = more.clock ?? new FakeClock()
  const source = new FakeSource()
  const links: FakeLink[] = []
  const quiet = { debug() {}, info() {}, warning() {}, error() {} }
  const state = { answer: undefined as PgleaseError | undefined, serverRoom: Number.POSITIVE_INFINITY, most: 0, overruns: 0, logins: 0 }
  const pool: Pool<FakeLink> = new Pool<FakeLink>({
    database: 'app',
    settings: { ...SETTINGS, ...settings },
    source,
    clock,
    log: quiet,
    places: more.places ?? new Places(more.budgets ?? []),
    open: async (credential) => {
      state.logins++
      if (state.answer !== undefined) throw state.answer
      if (links.filter((link) => pool.lists.state(link) !== undefined).length >= state.serverRoom)
        throw new PgleaseError('server_full', 'db:5432')
      const link = new FakeLink(links.length + 1, credential.generation, clock.monotonicMs(), more.fit?.(), more.server?.())
      links.push(link)
      return link
    },
    longestRetryMs: more.longestRetryMs,
    linkClosed: () => {},
    drainOverrun: () => void state.overruns++,
  })
  /** Lets logins end and servers close what was shut, until nothing moves. */
  const settle = async () => {
    for (let round = 0; round < 20; round++) {
      state.most = Math.max(state.most, pool.size)
      await Promise.resolve()
      await Promise.resolve()
      for (const link of links)
        if (link.closeReason !== undefined && pool.lists.state(link) === 'closing') pool.linkClosed(link, link.closeReason)
    }
  }
  const take = async () => {
    const client = new Client()
    client.link = pool.checkout(client)
    await settle()
    return client
  }
  return { clock, source, links, pool, settle, take, state }
}

/** What the pool told the client; a function, because the compiler cannot see that the pool sets it. */
export const refusalOf = (client: Client): PgleaseError | undefined => client.refused

export const release = (pool: Pool<FakeLink>, client: Client) => pool.release(client.link as FakeLink)
export const alive = (links: FakeLink[]) => links.filter((link) => link.closeReason === undefined).map((link) => link.generation)
