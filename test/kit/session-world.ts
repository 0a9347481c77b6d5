// Sessions, a pool and links without sockets: a test speaks for the clients and for the servers.

import { Session } from '../../src/client/session.ts'
import type { SessionMeter } from '../../src/client/session_meter.ts'
import type { Wishes } from '../../src/client/startup_parameters.ts'
import type { CloseReason, PgleaseError } from '../../src/errors.ts'
import type { Log } from '../../src/log.ts'
import type { Budget } from '../../src/pool/budget.ts'
import { Places } from '../../src/pool/places.ts'
import { Pool } from '../../src/pool/pool.ts'
import type { PoolSettings } from '../../src/pool/pool_parts.ts'
import { Replications } from '../../src/pool/replication.ts'
import { Link } from '../../src/server/link.ts'
import { LinkChannels } from '../../src/server/link_channels.ts'
import type { LinkFacts } from '../../src/server/link_facts.ts'
import { ReplicationLink, type ReplicationRequest } from '../../src/server/replication_link.ts'
import { LinkStatements, StatementRegistry, type StatementsMeter } from '../../src/server/statements.ts'
import { ParameterNames, Parameters } from '../../src/wire/parameters.ts'
import { errorResponse, readyForQuery } from '../../src/wire/reply.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeSource } from './fake-source.ts'
import { POOL_SETTINGS } from './pool-settings.ts'
import { wireMessage } from './scripted-server.ts'
import { StillTransport } from './still-transport.ts'

export const quietLog: Log = { debug() {}, info() {}, warning() {}, error() {} }
export const quietMeter: SessionMeter & StatementsMeter = {
  received() {},
  sent() {},
  waited() {},
  queried() {},
  transacted() {},
  clientError() {},
  notified() {},
  pinned() {},
  planChanged() {},
}

const SETTINGS: PoolSettings = {
  ...POOL_SETTINGS,
  pool_size: 1,
  server_lifetime: 0,
  server_idle_timeout: 0,
  server_check_delay: 0,
  server_check_query: '',
}

/** The far end of a link. */
interface Backend {
  readonly link: Link
  readonly transport: StillTransport
}

/** The far end of a replication connection, and what it was opened with. */
interface ReplicationBackend {
  readonly link: ReplicationLink
  readonly transport: StillTransport
  readonly request: ReplicationRequest
}

export class TestClient {
  readonly transport = new StillTransport()
  readonly session: Session
  closed: CloseReason | undefined
  readonly cancelled: Link[] = []
  /** The events that the session logged at info. */
  readonly logged: string[] = []
  /** How long it waited for links. */
  readonly waits: number[] = []

  constructor(world: SessionWorld, id = 1, wanted: Wishes = []) {
    const parameters = new Parameters(world.names)
    parameters.set('TimeZone', 'UTC')
    for (const [name, value] of wanted) parameters.set(name, value)
    this.session = new Session({
      id,
      database: 'app',
      user: 'user',
      transport: this.transport,
      pool: world.pool,
      parameters,
      wanted,
      clock: world.clock,
      log: { ...quietLog, info: (event) => void this.logged.push(event) },
      meter: { ...quietMeter, waited: (ms) => void this.waits.push(ms) },
      maxPacketSize: 2 ** 31 - 1,
      logErrors: world.logErrors,
      leaving: () => world.leaving,
      closed: (reason) => {
        this.closed = reason
      },
      cancel: (link) => void this.cancelled.push(link),
    })
    this.transport.setHandler(this.session)
  }

  send(...messages: Buffer[]): void {
    this.session.data(Buffer.concat(messages))
  }
}

export class SessionWorld {
  readonly clock = new FakeClock()
  readonly source = new FakeSource()
  readonly names = new ParameterNames([])
  readonly backends: Backend[] = []
  readonly pool: Pool<Link>
  leaving = false
  /** `log_pooler_errors`. */
  logErrors = true
  loginFailure: PgleaseError | undefined
  replicationFailure: PgleaseError | undefined
  readonly replicationBackends: ReplicationBackend[] = []
  readonly replications: Replications<ReplicationLink, ReplicationRequest>
  hasServerRole = false
  /** What servers report at login. */
  readonly welcome = new Map([['TimeZone', 'UTC']])
  readonly closed: CloseReason[] = []

  readonly registry = new StatementRegistry()
  readonly #mostStatements: number

  /** `mostStatements`: max_prepared_statements. */
  constructor(settings: Partial<PoolSettings> = {}, mostStatements = 0, budgets: readonly Budget[] = []) {
    this.#mostStatements = mostStatements
    const common = { database: 'app', source: this.source, clock: this.clock, log: quietLog, places: new Places(budgets) }
    const poolSettings = { ...SETTINGS, server_lifetime: 3_600_000, ...settings }
    this.pool = new Pool<Link>({
      ...common,
      settings: poolSettings,
      open: async (credential) => {
        if (this.loginFailure !== undefined) throw this.loginFailure
        return this.#open(credential.generation)
      },
      linkClosed: (reason) => void this.closed.push(reason),
      drainOverrun() {},
    })
    this.replications = new Replications({
      ...common,
      settings: poolSettings,
      logins: this.pool.logins,
      queryWaitTimeoutMs: () => poolSettings.query_wait_timeout,
      open: async ({ generation }, request) => {
        if (this.replicationFailure !== undefined) throw this.replicationFailure
        const transport = new StillTransport()
        const link = new ReplicationLink(transport, this.#facts(generation))
        link.owner = this.replications
        this.replicationBackends.push({ link, transport, request })
        return link
      },
      linkClosed: (reason) => void this.closed.push(reason),
    })
  }

  #facts(generation: number): LinkFacts {
    const parameters = new Parameters(this.names)
    parameters.set('TimeZone', 'UTC')
    return {
      id: this.backends.length + 1,
      generation,
      openedAtMs: this.clock.monotonicMs(),
      processId: 1,
      secretKey: Buffer.alloc(4),
      target: {
        address: { kind: 'tcp', host: 'h', port: 1 },
        sslmode: 'disable',
        ca: undefined,
        cert: undefined,
        key: undefined,
        serverName: 'h',
      },
      server: 'h:1',
      parameters,
      welcome: this.welcome,
      hasServerRole: this.hasServerRole,
    }
  }

  #open(generation: number): Link {
    const transport = new StillTransport()
    const link = new Link(transport, this.#facts(generation), { query() {}, transaction() {} })
    link.owner = this.pool
    if (this.pool.settings.pool_mode !== 'session') link.channels = new LinkChannels()
    if (this.#mostStatements > 0) link.useStatements(new LinkStatements(this.registry, this.#mostStatements, quietMeter))
    this.backends.push({ link, transport })
    return link
  }

  /** A world whose credential is proven: one idle link. */
  static async ready(settings: Partial<PoolSettings> = {}, mostStatements = 0, budgets: readonly Budget[] = []): Promise<SessionWorld> {
    const world = new SessionWorld(settings, mostStatements, budgets)
    world.source.offer(1)
    await world.settle()
    return world
  }

  /** `wanted`: the tracked parameters of its startup packet. */
  client(id = 1, wanted: Wishes = []): TestClient {
    return new TestClient(this, id, wanted)
  }

  /** The far end of link number `index`. */
  backend(index = 0): Backend {
    const backend = this.backends[index]
    if (backend === undefined) throw new Error(`link ${index} was never opened`)
    return backend
  }

  /** Bytes from the server of link `index`. */
  answer(index: number, ...messages: Buffer[]): void {
    this.backend(index).link.data(Buffer.concat(messages))
  }

  /** Lets logins end. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
}

export interface Conversation {
  readonly world: SessionWorld
  readonly client: TestClient
}

/** A client that has said nothing yet, and a link. */
export async function silent(settings: Partial<PoolSettings> = {}, mostStatements = 0): Promise<Conversation> {
  const world = await SessionWorld.ready(settings, mostStatements)
  return { world, client: world.client() }
}

/** A client in the middle of something on link 0: it has sent `messages`. */
export async function asked(...messages: Buffer[]): Promise<Conversation> {
  const conversation = await silent()
  conversation.client.send(...messages)
  return conversation
}

/** A client whose `message` was answered on link 0 with `answer`. */
export async function answered(
  message: Buffer,
  answer: Buffer,
  settings: Partial<PoolSettings> = {},
  mostStatements = 0,
): Promise<Conversation> {
  const conversation = await silent(settings, mostStatements)
  conversation.client.send(message)
  conversation.world.answer(0, answer)
  return conversation
}

/** Two clients and one link, whose server's end is `transport`. */
export async function two(): Promise<Conversation & { other: TestClient; transport: StillTransport }> {
  const { world, client } = await silent()
  return { world, client, other: world.client(), transport: world.backend().transport }
}

/** Server messages by letter; `Z`, `ZT`, `ZE`, `C`, `C=TAG` and `E` (an ERROR of `sqlstate`) have bodies. */
export function reply(letters: string, sqlstate = '42601'): Buffer {
  const parts = letters.split(' ').map((letter) => {
    if (letter.startsWith('Z')) return readyForQuery((letter[1] ?? 'I') as 'I' | 'T' | 'E')
    if (letter === 'E') return errorResponse({ severity: 'ERROR', sqlstate, message: 'no' })
    if (letter === 'FATAL') return errorResponse({ severity: 'FATAL', sqlstate, message: 'the end' })
    if (letter.startsWith('C')) return wireMessage('C', `${letter.slice(2) || 'SELECT 1'}\0`)
    return wireMessage(letter, letter === 'D' ? '\0\0' : '')
  })
  return Buffer.concat(parts)
}
