// Named statements over shared links while the schema changes: no row is decoded by another description than the client has.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NamedServer, type Schema } from '../kit/named-server.ts'
import { bind, closeStatement, describePortal, describeStatement, execute, int16, int32, parse, query, sync } from '../kit/raw-messages.ts'
import { wireMessage } from '../kit/scripted-server.ts'
import { reply, SessionWorld, silent, type TestClient } from '../kit/session-world.ts'

const CLIENTS = 3
const LINKS = 2
const VERSIONS = 3

/** What a client sends together: what it does with the statement `s`, whose text is the same for all. */
const REQUESTS = {
  prepares: [closeStatement('s'), parse('s', 'text'), sync()],
  preparesAndUses: [closeStatement('s'), parse('s', 'text'), bind('', 's'), describePortal(''), execute(), sync()],
  preparesAndDescribes: [closeStatement('s'), parse('s', 'text'), describeStatement('s'), sync()],
  describes: [describeStatement('s'), sync()],
  uses: [bind('', 's'), execute(), sync()],
  usesTwice: [bind('', 's'), execute(), sync(), bind('', 's'), execute(), sync()],
  asks: [bind('', 's'), describePortal(''), execute(), sync()],
  asksAndUses: [bind('', 's'), describePortal(''), execute(), bind('', 's'), execute(), sync()],
  failsBefore: [execute('missing'), bind('', 's'), describePortal(''), execute(), sync()],
  failsBehind: [bind('', 's'), describePortal(''), execute('missing'), sync()],
  begins: [query('begin')],
  commits: [query('commit')],
} as const
type Request = keyof typeof REQUESTS

type Move =
  | { readonly what: 'request'; readonly who: number; readonly request: Request; readonly cut: number }
  | { readonly what: 'answer'; readonly who: number }
  | { readonly what: 'die'; readonly who: number }
  | { readonly what: 'alter'; readonly to: number }

/** A client that decodes rows by the last description that it was given. */
class Decoder {
  readonly client: TestClient
  /** The request whose answer is awaited. */
  asked: Request | null = null
  #owed = 0
  #failed = false
  #known: number | undefined
  /** The schema's changes so far when it prepared, or was refused. */
  #changes = 0
  readonly #changesNow: () => number

  constructor(client: TestClient, changesNow: () => number) {
    this.client = client
    this.#changesNow = changesNow
  }

  /** Unless the last request is not answered yet, or the client was ended. */
  send(request: Request, cut: number): void {
    if (this.asked !== null || this.client.closed !== undefined) return
    this.asked = request
    this.#failed = false
    const messages = REQUESTS[request]
    this.#owed = messages.filter((message) => 'SQ'.includes(String.fromCharCode(message[0] ?? 0))).length
    const bytes = Buffer.concat(messages)
    const at = cut % bytes.length
    if (at > 0) this.client.session.data(bytes.subarray(0, at))
    this.client.session.data(bytes.subarray(at))
    // its own Close and Parse: what it knew is over
    if (request.startsWith('prepares')) this.#known = undefined
  }

  /** Reads what came; every row has to be of the version that the client decodes it by. */
  receive(): void {
    const bytes = this.client.transport.take()
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + bytes.readInt32BE(at + 1)
      this.#read(String.fromCharCode(bytes[at] ?? 0), bytes.toString('latin1', at + 5, end))
      at = end
    }
  }

  #read(type: string, body: string): void {
    if (type === 'T') this.#known = Number(/v(\d)\0/.exec(body)?.[1])
    if (type === 'D' && this.#known !== undefined)
      assert.equal(Number(/ v(\d)$/.exec(body)?.[1] ?? 0), this.#known, `a row of ${this.asked}`)
    if (type === 'E') this.#failed = true
    if (type === 'E' && body.includes('C0A000')) this.#refused()
    if (type !== 'Z' || --this.#owed > 0) return
    // what a link that died did not confirm leaves the statement of before
    if (this.asked?.startsWith('prepares') && !this.#failed) this.#changes = this.#changesNow()
    this.asked = null
  }

  #refused(): void {
    const asked = this.asked ?? assert.fail()
    assert.ok(!asked.startsWith('prepares'), `a fresh statement was refused: ${asked}`)
    // who asks for a new description is told once of a change, if at all
    if (asked === 'asks' || asked === 'describes') assert.ok(this.#changes < this.#changesNow(), `${asked} was refused again`)
    this.#changes = this.#changesNow()
  }
}

async function play(moves: readonly Move[], most: number): Promise<void> {
  const world = await SessionWorld.ready({ pool_size: LINKS }, most)
  const schema: Schema = { version: 0 }
  let changes = 0
  const decoders = Array.from({ length: CLIENTS }, () => new Decoder(world.client(), () => changes))
  const servers: NamedServer[] = []
  const settle = async () => {
    await world.settle()
    for (const decoder of decoders) decoder.receive()
  }
  const answer = async (index: number): Promise<boolean> => {
    const backend = world.backends[index]
    if (backend === undefined || backend.link.closeReason !== undefined) return false
    servers[index] ??= new NamedServer(schema)
    servers[index].receive(backend.transport.take())
    const bytes = servers[index].step()
    if (bytes !== undefined) backend.link.data(bytes)
    await settle()
    return bytes !== undefined
  }
  const answerAll = async () => {
    for (let moved = true; moved; ) {
      moved = false
      for (let index = 0; index < world.backends.length; index++) while (await answer(index)) moved = true
    }
  }
  const linkOf = (who: number) => who % Math.max(1, world.backends.length)
  // a server that is busy holds locks, unless its link is gone
  const isBusy = (server: NamedServer, index: number) => server.busy && world.backends[index]?.link.closeReason === undefined
  for (const move of moves) {
    if (move.what === 'request') {
      const decoder = decoders[move.who % CLIENTS] ?? assert.fail()
      decoder.send(move.request, move.cut)
    } else if (move.what === 'answer') await answer(linkOf(move.who))
    else if (move.what === 'die') world.backends[linkOf(move.who)]?.link.close({ kind: 'closed' } as never)
    else if (!servers.some(isBusy) && schema.version !== move.to) {
      schema.version = move.to
      changes++
    }
    await settle()
  }
  // transactions that are open keep the links that others wait for
  for (let round = 0; round <= CLIENTS; round++) {
    await answerAll()
    for (const decoder of decoders) decoder.send('commits', 0)
  }
  await answerAll()
  for (const { client, asked } of decoders) if (client.closed === undefined) assert.deepEqual([client.session.state, asked], ['idle', null])
}

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('request' as const),
      who: fc.nat({ max: CLIENTS - 1 }),
      request: fc.constantFrom(...(Object.keys(REQUESTS) as Request[])),
      cut: fc.nat({ max: 60 }),
    }),
  },
  { weight: 12, arbitrary: fc.record({ what: fc.constant('answer' as const), who: fc.nat({ max: 11 }) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('die' as const), who: fc.nat({ max: 11 }) }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('alter' as const), to: fc.nat({ max: VERSIONS - 1 }) }) },
)

for (const most of [1, 100]) {
  test(`property: rows are decoded by what describes them, and fresh statements are never refused (max_prepared_statements ${most})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { maxLength: 120, size: 'max' }), (moves) => play(moves, most)),
      { numRuns: 2500 },
    )
  })
}

test('a Bind that waits while a COPY that failed has lost the link does not wait for ever', async () => {
  const { world, client } = await silent({ pool_size: 1 }, 10)
  client.send(parse('s', 'text'), describeStatement('s'), sync())
  world.answer(0, reply('1 t T Z'))
  // the link holds it by no description that is known
  const held = world.backend().link.statements?.get(world.registry.find(Buffer.from('text\0\0\0'))) ?? assert.fail()
  held.stale = true
  world.backend().transport.take()
  client.send(parse('', 'COPY t FROM STDIN'), bind('', ''), execute(), bind('', 's'), execute(), sync())
  assert.ok(world.backend().transport.take().includes('H\0\0\0\x04'))
  world.answer(0, reply('1 2'), wireMessage('G', '\0\0\0'), reply('E'))
  assert.ok(world.backend().transport.take().length > 0)
})

test('a description longer than what is looked into of other messages is waited for, and forwarded whole', async () => {
  const column = (index: number) =>
    Buffer.concat([Buffer.from(`${String(index).padStart(63, 'c')}\0`), int32(0), int16(index), int32(25), int16(-1), int32(-1), int16(0)])
  const answer = Buffer.concat([
    reply('1'),
    wireMessage('t', Buffer.concat([int16(-1), Buffer.alloc(0xffff * 4, 7)])),
    wireMessage('T', Buffer.concat([int16(1600), ...Array.from({ length: 1600 }, (_, index) => column(index))])),
    reply('Z'),
  ])
  const { world, client } = await silent({}, 10)
  client.send(parse('s', 'text'), describeStatement('s'), sync())
  for (let at = 0; at < answer.length; at += 50_000) world.backend().link.data(Buffer.from(answer.subarray(at, at + 50_000)))
  assert.deepEqual(client.transport.take(), answer)
  const held = world.backend().link.statements?.get(world.registry.find(Buffer.from('text\0\0\0')))
  assert.equal(held?.columns?.length, 1600 * (64 + 10))
})
