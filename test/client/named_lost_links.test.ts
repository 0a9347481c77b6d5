// Named statements while links die: a session has the statements whose ParseComplete it has seen, whatever the links hold.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NamedServer } from '../kit/named-server.ts'
import { bind, closeStatement, execute, parse, query, sync } from '../kit/raw-messages.ts'
import { ServerMessage } from '../kit/server-message.ts'
import { plays, SharedLinks } from '../kit/shared-links.ts'

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
  readonly #script: Message[]
  readonly #asked: Message[] = []
  #bytes: Buffer = Buffer.alloc(0)
  #bound: string | undefined
  #failed = false
  readonly #unsure = new Set<string>()
  ended = false

  constructor(script: readonly Message[]) {
    this.#script = [...script]
  }

  /** The next `count` messages were sent. */
  sent(count: number): void {
    for (const message of this.#script.splice(0, count)) {
      // behind a failure the server skips what comes before the Sync
      if (!this.#failed || this.#asked.length > 0 || message[0] === 'sync') this.#asked.push(message)
    }
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

for (const most of [1, 2, 100]) {
  test(`property: a session has the statements that it was told of, whichever links die (max_prepared_statements ${most})`, async () => {
    await fc.assert(
      fc.asyncProperty(plays(request, 10, true), async ({ scripts, moves }) => {
        const shared = await SharedLinks.of(
          scripts.map((script) => script.map(bytesOf)),
          () => new NamedServer(),
          most,
        )
        const views = scripts.map((script) => new View(script))
        shared.sent = (index, count) => views[index]?.sent(count)
        shared.settled = () => {
          for (const [index, { transport }] of shared.clients.entries()) views[index]?.heard(transport.take())
        }
        await shared.play(moves)
        for (const [index, { closed }] of shared.clients.entries()) {
          if (closed === undefined) assert.equal(views[index]?.owed, 0, 'everything is answered')
        }
        shared.checkStatements(most, (server) => server.statements.keys())
      }),
      { numRuns: 400 },
    )
  })
}
