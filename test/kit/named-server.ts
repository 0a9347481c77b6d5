// A model of how PostgreSQL keeps prepared statements, named and unnamed: one connection that answers message by message.
import { PLAN_CHANGED } from '../../src/wire/reply.ts'
import { MessageFeed } from './message-feed.ts'
import { int16, int32 } from './raw-messages.ts'
import { wireMessage } from './scripted-server.ts'
import { reply } from './session-world.ts'

/** What all texts read from: with its version the result's columns change, and PostgreSQL refuses plans from before. */
export interface Schema {
  version: number
}

interface Analysed {
  readonly text: string
  readonly version: number
}

/** Texts: `fail…` fails, '' is the empty query; Queries also `begin`, `commit`, `DEALLOCATE …` and `PREPARE "…" …`. */
export class NamedServer {
  readonly statements = new Map<string, Analysed>()
  /** Something runs, or a transaction is open: it holds locks. */
  busy = false
  readonly #schema: Schema
  #portal: Analysed | undefined
  #status = 'I'
  #skipping = false
  readonly #feed = new MessageFeed()

  constructor(schema: Schema = { version: 0 }) {
    this.#schema = schema
  }

  receive(bytes: Buffer): void {
    this.#feed.receive(bytes)
  }

  /** Carries out one message; its answer, or undefined when there is none. */
  step(): Buffer | undefined {
    const message = this.#feed.next()
    if (message === undefined) return undefined
    const answer = this.#answer(...message)
    this.busy = (message[0] !== 'S' && message[0] !== 'Q') || this.#status !== 'I'
    return answer
  }

  #answer(type: string, texts: readonly string[]): Buffer {
    if (type === 'S') {
      this.#skipping = false
      if (this.#status === 'I') this.#portal = undefined
      return reply(`Z${this.#status}`)
    }
    if (this.#skipping || type === 'X' || type === 'H') return Buffer.alloc(0)
    const [first = '', second = ''] = texts
    switch (type) {
      case 'Q':
        return this.#query(first)
      case 'P':
        return this.#parse(first, second)
      case 'B':
        return this.#use(second, (statement) => {
          this.#portal = statement
          return reply('2')
        })
      case 'D':
        if (first.startsWith('P')) return this.#portal === undefined ? this.#fail('34000') : columns(this.#portal)
        return this.#use(first.slice(1), (statement) => Buffer.concat([wireMessage('t', int16(0)), columns(statement)]))
      case 'C':
        if (first.startsWith('S')) this.statements.delete(first.slice(1))
        return reply('3')
      default:
        if (this.#portal === undefined) return this.#fail('34000')
        return this.#status === 'E' ? this.#fail('25P02') : Buffer.concat([row(this.#portal), this.#carryOut(this.#portal.text)])
    }
  }

  #parse(name: string, text: string): Buffer {
    if (name === '') this.statements.delete('')
    if (text.startsWith('fail')) return this.#fail('42601')
    if (this.#status === 'E' && text !== '') return this.#fail('25P02')
    if (this.statements.has(name)) return this.#fail('42P05')
    this.statements.set(name, { text, version: this.#schema.version })
    return reply('1')
  }

  #use(name: string, then: (statement: Analysed) => Buffer): Buffer {
    const statement = this.statements.get(name)
    if (statement === undefined) return this.#fail('26000')
    if (this.#status === 'E') return this.#fail('25P02')
    if (statement.version === this.#schema.version) return then(statement)
    this.#fail('0A000')
    return PLAN_CHANGED
  }

  #query(text: string): Buffer {
    this.#portal = undefined
    this.statements.delete('')
    const refused = text.startsWith('fail') || (this.#status === 'E' && text !== 'commit')
    const answer = refused ? reply('E') : this.#carryOut(text)
    if (answer[0] === 0x45 && this.#status === 'T') this.#status = 'E'
    return Buffer.concat([answer, reply(`Z${this.#status}`)])
  }

  /** The end of a statement's answer; an error's status is the caller's. */
  #carryOut(text: string): Buffer {
    const [word = '', name = ''] = text.split(' ')
    if (text === 'begin' && this.#status === 'I') this.#status = 'T'
    if (text === 'commit') this.#status = 'I'
    if (text === 'DEALLOCATE ALL') this.statements.clear()
    else if (word === 'DEALLOCATE' && !this.statements.delete(plain(name))) return reply('E', '26000')
    if (word === 'PREPARE') this.statements.set(plain(name), { text, version: this.#schema.version })
    return wireMessage('C', `${text === 'DEALLOCATE ALL' ? text : word}\0`)
  }

  #fail(sqlstate: string): Buffer {
    this.#skipping = true
    if (this.#status === 'T') this.#status = 'E'
    return reply('E', sqlstate)
  }
}

const plain = (name: string): string => name.replaceAll('"', '')
const row = ({ text, version }: Analysed): Buffer => {
  const value = version === 0 ? text : `${text} v${version}`
  return wireMessage('D', Buffer.concat([int16(1), int32(Buffer.byteLength(value)), Buffer.from(value)]))
}

/** One column, of type text. */
const columns = ({ version }: Analysed): Buffer =>
  wireMessage('T', Buffer.concat([int16(1), Buffer.from(`v${version}\0`), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]))
