// Messages of a client that lack the end of their bodies: they are the server's to refuse, and whole messages go out all the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HEADER_LENGTH } from '../../src/wire/codes.ts'
import {
  bind,
  closeStatement,
  describePortal,
  describeStatement,
  execute,
  flush,
  message,
  parse,
  query,
  sync,
} from '../kit/raw-messages.ts'
import { reply, silent } from '../kit/session-world.ts'
import { StillTransport } from '../kit/still-transport.ts'

/** One is as a message's type, one longer than other messages. */
const NAMES = ['', 'a', 'S', 'n'.repeat(300)]
const WHOLE = [
  ...NAMES.flatMap((name) => [
    parse(name, 'SELECT 1'),
    bind('', name),
    bind(name, name),
    describeStatement(name),
    describePortal(name),
    closeStatement(name),
  ]),
  execute(),
  flush(),
  query('DEALLOCATE a'),
  query('SELECT 1'),
]

/** As long as it says, but without the last `bytes` of its body. */
function cut(whole: Buffer, bytes: number): Buffer {
  const body = whole.subarray(HEADER_LENGTH, Math.max(HEADER_LENGTH, whole.length - bytes))
  return message(whole.toString('latin1', 0, 1), body)
}

/** How many strings a message of a type has; those with other things before them count the zeros of these. */
const STRINGS: Readonly<Record<string, number>> = { P: 2, B: 2, D: 1, C: 1, E: 1, Q: 1 }
const SUCCESS: Readonly<Record<string, string>> = { P: '1', B: '2', C: '3', E: 'C', Q: 'C Z', S: 'Z' }

/** Answers messages by their types, and refuses those whose strings have no end. Throws when what came is not made of whole messages. */
class Server {
  #skipping = false

  answers(bytes: Buffer): Buffer[] {
    const answers: Buffer[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + bytes.readUInt32BE(at + 1)
      assert.ok(end <= bytes.length, 'a message without its end')
      const answer = this.#answer(bytes.toString('latin1', at, at + 1), bytes.subarray(at + HEADER_LENGTH, end))
      if (answer !== '') answers.push(reply(answer))
      at = end
    }
    return answers
  }

  #answer(type: string, body: Buffer): string {
    assert.match(type, /[PBDCEQSHX]/)
    if (type === 'S') this.#skipping = false
    if (this.#skipping || type === 'H' || type === 'X') return ''
    const zeros = body.filter((byte) => byte === 0).length
    if (zeros < (STRINGS[type] ?? 0)) {
      this.#skipping = type !== 'Q'
      return type === 'Q' ? 'E Z' : 'E'
    }
    if (type === 'D') return body[0] === 0x53 ? 't n' : 'n'
    return SUCCESS[type] ?? ''
  }
}

const lettersOf = (bytes: Buffer): string => {
  const transport = new StillTransport()
  transport.write(bytes)
  return transport.letters()
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...WHOLE) },
  { weight: 2, arbitrary: fc.constant(sync()) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...WHOLE), fc.integer({ min: 1, max: 10 })).map(([whole, bytes]) => cut(whole, bytes)) },
)

test('property: messages that lack the end of their bodies go out whole, and their errors and ends are those of a direct connection', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 12 }), async (batches) => {
      const { world, client } = await silent({}, 10)
      const [{ link, transport }, server] = [world.backend(), new Server()]
      for (const batch of [...batches, [sync()]]) {
        client.send(...batch)
        for (let bytes = transport.take(); bytes.length > 0; bytes = transport.take())
          for (const answer of server.answers(bytes)) link.data(answer)
      }
      const direct = Buffer.concat(new Server().answers(Buffer.concat([...batches.flat(), sync()])))
      const ends = (letters: string) => letters.replaceAll(/[^EZ]/g, '')
      assert.equal(ends(client.transport.letters()), ends(lettersOf(direct)))
      assert.deepEqual([client.closed, client.session.state], [undefined, 'idle'])
    }),
    { numRuns: 2_000 },
  )
})
