// A model of how PostgreSQL keeps unnamed statements and portals: one connection that answers message by message.
import { MessageFeed } from './message-feed.ts'
import { int16, int32 } from './raw-messages.ts'
import { wireMessage } from './scripted-server.ts'
import { reply } from './session-world.ts'

/** The server's side of one connection, as far as unnamed statements matter. Texts: `fail…` fails, `garbled…` fails before anything is dropped. */
export class StatementServer {
  #statement: string | undefined
  #portal: string | undefined
  #status = 'I'
  #skipping = false
  readonly #feed = new MessageFeed()

  receive(bytes: Buffer): void {
    this.#feed.receive(bytes)
  }

  /** Carries out one message; its answer, or undefined when there is none. */
  step(): Buffer | undefined {
    const message = this.#feed.next()
    return message && this.#answer(...message)
  }

  #answer(type: string, texts: readonly string[]): Buffer {
    if (type === 'S') {
      this.#skipping = false
      if (this.#status === 'I') this.#portal = undefined
      return reply(`Z${this.#status}`)
    }
    if (this.#skipping || type === 'X') return Buffer.alloc(0)
    if (type === 'Q') return this.#query(texts[0] ?? '')
    const [first = '', second = ''] = texts
    switch (type) {
      case 'P':
        if (second.startsWith('garbled')) return this.#fail('22021')
        this.#statement = undefined
        if (second.startsWith('fail')) return this.#fail('42601')
        this.#statement = second
        return reply('1')
      case 'B':
        if (this.#statement === undefined) return this.#fail('26000')
        this.#portal = this.#statement
        return reply('2')
      case 'D':
        return first === 'S' && this.#statement !== undefined
          ? Buffer.concat([reply('t n'), row(this.#statement)]).subarray(0, 10)
          : this.#fail('26000')
      case 'C':
        if (first === 'S') this.#statement = undefined
        return reply('3')
      default:
        return this.#portal === undefined ? this.#fail('34000') : Buffer.concat([row(this.#portal), reply('C')])
    }
  }

  #query(text: string): Buffer {
    this.#portal = undefined
    if (!text.startsWith('garbled')) this.#statement = undefined
    if (text.startsWith('garbled') || text.startsWith('fail')) {
      if (this.#status === 'T') this.#status = 'E'
      return reply(`E Z${this.#status}`)
    }
    if (text === 'begin' && this.#status === 'I') this.#status = 'T'
    if (text === 'commit') this.#status = 'I'
    return reply(`C Z${this.#status}`)
  }

  #fail(sqlstate: string): Buffer {
    this.#skipping = true
    if (this.#status === 'T') this.#status = 'E'
    return reply('E', sqlstate)
  }
}

const row = (text: string): Buffer => wireMessage('D', Buffer.concat([int16(1), int32(Buffer.byteLength(text)), Buffer.from(text)]))
