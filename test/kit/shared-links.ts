// Clients of one pool that share links to models of a server: who sends and who answers next is the script's, or the chance's.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { SessionWorld, type TestClient } from './session-world.ts'

const CLIENTS = 3
const LINKS = 2

/** One connection of a model of PostgreSQL. */
interface ModelServer {
  receive(bytes: Buffer): void
  /** Carries out one message; its answer, or undefined when there is none. */
  step(): Buffer | undefined
}

/** A client sends some messages; a server answers one message, or all that it has; a link dies. */
interface Move {
  readonly what: 'send' | 'one' | 'all' | 'die'
  readonly who: number
  readonly count: number
}

export interface Play<Message> {
  /** For each client its messages. */
  readonly scripts: readonly (readonly Message[])[]
  readonly moves: readonly Move[]
}

/** Random plays whose scripts are made of `parts`, at most `longest` for each client; `die`: links die too. */
export function plays<Message>(parts: fc.Arbitrary<Message[]>, longest: number, die = false): fc.Arbitrary<Play<Message>> {
  const whats: Move['what'][] = die ? ['send', 'send', 'one', 'one', 'all', 'die'] : ['send', 'one', 'all']
  const script = fc.array(parts, { maxLength: longest, size: 'max' }).map((chosen) => chosen.flat())
  const move = fc.record({
    what: fc.constantFrom(...whats),
    who: fc.nat({ max: CLIENTS * LINKS - 1 }),
    count: fc.integer({ min: 1, max: 6 }),
  })
  return fc.record({
    scripts: fc.array(script, { minLength: CLIENTS, maxLength: CLIENTS }),
    moves: fc.array(move, { maxLength: 60, size: 'max' }),
  })
}

/** All that `server` answers to `messages`. */
export function direct(server: ModelServer, messages: readonly Buffer[]): Buffer {
  server.receive(Buffer.concat(messages))
  const answers: Buffer[] = []
  for (let answer = server.step(); answer !== undefined; answer = server.step()) answers.push(answer)
  return Buffer.concat(answers)
}

export class SharedLinks<Server extends ModelServer> {
  readonly world: SessionWorld
  readonly clients: readonly TestClient[]
  /** Of each link that was answered on. */
  readonly servers: Server[] = []
  readonly #left: Buffer[][]
  readonly #newServer: () => Server
  /** Called when everything has settled after a move. */
  settled: () => void = () => undefined
  /** Client `index` has sent its next `count` messages. */
  sent: (index: number, count: number) => void = () => undefined

  constructor(world: SessionWorld, scripts: readonly (readonly Buffer[])[], newServer: () => Server) {
    this.world = world
    this.clients = scripts.map(() => world.client())
    this.#left = scripts.map((script) => [...script])
    this.#newServer = newServer
  }

  /** `most`: max_prepared_statements. */
  static async of<Server extends ModelServer>(scripts: readonly (readonly Buffer[])[], newServer: () => Server, most = 0) {
    return new SharedLinks(await SessionWorld.ready({ pool_size: LINKS }, most), scripts, newServer)
  }

  /** Plays the moves, then whatever is left to be sent and answered. */
  async play(moves: readonly Move[]): Promise<void> {
    for (const { what, who, count } of moves) {
      if (what === 'send') this.#send(who % CLIENTS, count)
      else if (what === 'one') this.#answer(this.#link(who))
      else if (what === 'die') this.world.backends[this.#link(who)]?.link.close({ kind: 'closed' } as never)
      else while (this.#answer(this.#link(who))) await this.#settle()
      await this.#settle()
    }
    for (let moved = true; moved; ) {
      moved = false
      for (let index = 0; index < CLIENTS; index++) moved = this.#send(index, 1) || moved
      for (let index = 0; index < this.world.backends.length; index++) moved = this.#answer(index) || moved
      await this.#settle()
    }
  }

  /** What a link holds is what its server has of pglease's statements, at most `most`; nothing is kept when all have left. */
  checkStatements(most: number, statementsOf: (server: Server) => Iterable<string>): void {
    for (const [index, { link }] of this.world.backends.entries()) {
      const server = this.servers[index]
      if (link.closeReason !== undefined) continue
      const names = server === undefined ? [] : [...statementsOf(server)].filter((name) => /^PGLEASE_[1-9]/.test(name))
      assert.equal(link.statements?.size ?? 0, names.length, `link ${index}: ${names}`)
      assert.ok(names.length <= most)
    }
    for (const { session } of this.clients) session.end()
    for (const { link } of this.world.backends) link.close({ kind: 'closed' } as never)
    assert.equal(this.world.registry.size, 0)
  }

  #link(who: number): number {
    return who % Math.max(1, this.world.backends.length)
  }

  #send(index: number, count: number): boolean {
    const client = this.clients[index]
    if (client === undefined || client.closed !== undefined) return false
    const messages = this.#left[index]?.splice(0, count) ?? []
    if (messages.length === 0) return false
    this.sent(index, messages.length)
    client.send(...messages)
    return true
  }

  #answer(index: number): boolean {
    const backend = this.world.backends[index]
    if (backend === undefined || backend.link.closeReason !== undefined) return false
    this.servers[index] ??= this.#newServer()
    const server = this.servers[index]
    server.receive(backend.transport.take())
    const bytes = server.step()
    if (bytes !== undefined) backend.link.data(bytes)
    return bytes !== undefined
  }

  async #settle(): Promise<void> {
    await this.world.settle()
    this.settled()
  }
}
