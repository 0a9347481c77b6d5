// Named statements while links die: a session has the statements whose ParseComplete it has seen, whatever the links hold.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NamedServer } from '../kit/named-server.ts'
import { bind, closeStatement, execute, parse, query, sync } from '../kit/raw-messages.ts'
import { ServerMessage } from '../kit/raw-trace.ts'
import { SessionWorld, type TestClient } from '../kit/session-world.ts'

const CLIENTS = 3
const LINKS = 2

type Message =
  | readonly [type: 'parse', name: string, text: string]
  | readonly [type: 'close' | 'bind', name: string]
  | readonly [type: 'execute' | 'sync' | 'drop all']
  | readonly [type: 'drop', name: string]

function bytesOf(message: Message): Buffer {
  switch (message[0]) {
    case 'parse':
      return parse(message[1], message[2])
    case 'close':
      return closeStatement(message[1])
    case 'bind':
      return bind('', message[1])
    case 'execute':
      return execute()
    case 'sync':
      return sync()
    case 'drop':
      return query(`DEALLOCATE ${message[1]}`)
    default:
      return query('DEALLOCATE ALL')
  }
}

/** What a client knows by the answers that it got. */
class View {
  readonly names = new Map<string, string>()
  readonly #asked: Message[] = []
  #bytes: Buffer = Buffer.alloc(0)
  #bound: string | undefined
  #failed = false
  readonly #unsure = new Set<string>()
  ended = false

  asked(message: Message): void {
    // behind a failure the server skips what comes before the Sync
    if (!this.#failed || this.#asked.length > 0 || message[0] === 'sync') this.#asked.push(message)
  }

  get owed(): number {
    return this.#asked.length
  }

  heard(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    while (this.#bytes.length >= 5) {
      const end = 1 + this.#bytes.readInt32BE(1)
      if (this.#bytes.length < end) return
      this.#answer(new ServerMessage(this.#bytes.toString('latin1', 0, 1), this.#bytes.subarray(5, end)))
      this.#bytes = this.#bytes.subarray(end)
    }
  }

  #answer(answer: ServerMessage): void {
    const [head] = this.#asked
    if (answer.type === 'E' && answer.fields.S === 'FATAL') this.ended = true
    if (this.ended || head === undefined) return
    if (answer.type === 'E') this.#fails(head, answer)
    else if (answer.type === 'Z') this.#asked.shift()
    else if (answer.type === 'D') assert.ok(String(answer).includes(`'${this.#bound}'`), `${answer} of ${this.#bound}`)
    else this.#succeeds(head)
    if (answer.type === 'Z') this.#failed = false
  }

  #succeeds(head: Message): void {
    if (head[0] !== 'execute' && head[1] !== undefined) this.#unsure.delete(head[1])
    if (head[0] === 'drop') this.names.delete(head[1])
    else if (head[0] === 'drop all') this.names.clear()
    else {
      this.#asked.shift()
      if (head[0] === 'parse') this.names.set(head[1], head[2])
      else if (head[0] === 'close') this.names.delete(head[1])
      else if (head[0] === 'bind') {
        this.#bound = this.names.get(head[1])
        assert.ok(this.#bound !== undefined, `${head[1]} was bound and is not there`)
      }
    }
  }

  #fails(head: Message, answer: ServerMessage): void {
    const { C, M } = answer.fields
    const lost = /server|connection/.test(M ?? '')
    // its link died with it: nobody can tell whether it was carried out
    if (lost && head[0] === 'drop') this.#unsure.add(head[1])
    if (!lost && head[0] === 'drop' && this.#unsure.delete(head[1])) this.names.delete(head[1])
    if (!lost && head[0] === 'bind' && this.#unsure.delete(head[1])) this.names.delete(head[1])
    if (!lost && head[0] === 'bind') assert.ok(C === '26000' && !this.names.has(head[1]), `bind of ${head[1]}: ${answer}`)
    if (!lost && head[0] === 'parse') assert.ok(C === '42P05' && this.names.has(head[1]), `parse of ${head[1]}: ${answer}`)
    if (!lost && head[0] === 'drop') assert.ok(C === '26000' && !this.names.has(head[1]), `drop of ${head[1]}: ${answer}`)
    if (/drop|sync/.test(head[0]) || this.#failed) return
    this.#failed = true
    while (this.#asked.length > 0 && this.#asked[0]?.[0] !== 'sync') this.#asked.shift()
  }
}

interface Play {
  readonly scripts: readonly (readonly Message[])[]
  readonly moves: readonly { readonly what: 'send' | 'one' | 'all' | 'die'; readonly who: number; readonly count: number }[]
}

class Table {
  readonly world: SessionWorld
  readonly clients: readonly { readonly client: TestClient; readonly view: View; readonly left: Message[] }[]
  readonly #servers: NamedServer[] = []

  constructor(world: SessionWorld, scripts: Play['scripts']) {
    this.world = world
    this.clients = scripts.map((script) => ({ client: world.client(), view: new View(), left: [...script] }))
  }

  send(index: number, count: number): boolean {
    const { client, view, left } = this.clients[index] ?? assert.fail()
    if (client.closed !== undefined) return false
    const messages = left.splice(0, count)
    for (const message of messages) view.asked(message)
    if (messages.length > 0) client.send(...messages.map(bytesOf))
    return messages.length > 0
  }

  answer(index: number): boolean {
    const backend = this.world.backends[index]
    if (backend === undefined || backend.link.closeReason !== undefined) return false
    this.#servers[index] ??= new NamedServer()
    const server = this.#servers[index]
    server.receive(backend.transport.take())
    const bytes = server.step()
    if (bytes !== undefined) backend.link.data(bytes)
    return bytes !== undefined
  }

  die(index: number): void {
    this.world.backends[index]?.link.close({ kind: 'closed' } as never)
  }

  async settle(): Promise<void> {
    await this.world.settle()
    for (const { client, view } of this.clients) view.heard(client.transport.take())
  }

  async finish(): Promise<void> {
    for (let moved = true; moved; ) {
      moved = false
      for (let index = 0; index < CLIENTS; index++) moved = this.send(index, 1) || moved
      for (let index = 0; index < this.world.backends.length; index++) moved = this.answer(index) || moved
      await this.settle()
    }
  }

  /** What a link holds is what its server has, and nothing else is kept in the end. */
  check(): void {
    for (const [index, { link }] of this.world.backends.entries()) {
      if (link.closeReason !== undefined) continue
      const names = [...(this.#servers[index]?.statements.keys() ?? [])].filter((name) => /^PGLEASE_[1-9]/.test(name))
      assert.equal(link.statements?.size ?? 0, names.length, `link ${index}: ${names}`)
    }
    for (const { client, view } of this.clients) {
      if (client.closed === undefined) assert.equal(view.owed, 0, 'everything is answered')
      client.session.end()
    }
    for (const { link } of this.world.backends) link.close({ kind: 'closed' } as never)
    assert.equal(this.world.registry.size, 0)
  }
}

const name = fc.constantFrom('a', 'b')
const batch = fc.oneof(
  fc.tuple(name, fc.constantFrom('one', 'two', 'three')).map(([a, text]): Message[] => [['parse', a, text], ['bind', a], ['execute']]),
  fc.tuple(name, fc.constantFrom('one', 'two', 'three')).map(([a, text]): Message[] => [
    ['close', a],
    ['parse', a, text],
  ]),
  name.map((a): Message[] => [['bind', a], ['execute']]),
  name.map((a): Message[] => [['close', a]]),
)
const request = fc.oneof(
  { weight: 6, arbitrary: fc.array(batch, { minLength: 1, maxLength: 3 }).map((parts): Message[] => [...parts.flat(), ['sync']]) },
  { weight: 1, arbitrary: name.map((a): Message[] => [['drop', a]]) },
  { weight: 1, arbitrary: fc.constant<Message[]>([['drop all']]) },
)
const script = fc.array(request, { maxLength: 10, size: 'max' }).map((requests) => requests.flat())
const move = fc.record({
  what: fc.constantFrom('send' as const, 'send' as const, 'one' as const, 'one' as const, 'all' as const, 'die' as const),
  who: fc.nat({ max: 5 }),
  count: fc.integer({ min: 1, max: 6 }),
})
const plays: fc.Arbitrary<Play> = fc.record({
  scripts: fc.array(script, { minLength: CLIENTS, maxLength: CLIENTS }),
  moves: fc.array(move, { maxLength: 60, size: 'max' }),
})

for (const most of [1, 2, 100]) {
  test(`property: a session has the statements that it was told of, whichever links die (max_prepared_statements ${most})`, async () => {
    await fc.assert(
      fc.asyncProperty(plays, async ({ scripts, moves }) => {
        const table = new Table(await SessionWorld.ready({ pool_size: LINKS }, most), scripts)
        for (const { what, who, count } of moves) {
          const link = who % Math.max(1, table.world.backends.length)
          if (what === 'send') table.send(who % CLIENTS, count)
          else if (what === 'one') table.answer(link)
          else if (what === 'die') table.die(link)
          else while (table.answer(link)) await table.settle()
          await table.settle()
        }
        await table.finish()
        table.check()
      }),
      { numRuns: 400 },
    )
  })
}
