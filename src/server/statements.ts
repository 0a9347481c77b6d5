// Named prepared statements under pglease's own names: one per text and parameter types in a pool, and those that a link holds.
import { HEADER_LENGTH, PARSE } from '../wire/codes.ts'
import type { NamedListener } from '../wire/ledger_listener.ts'
import { close, describe } from '../wire/pgprotocol.ts'
import type { Descriptions, Preparation } from './preparation.ts'

const PREFIX = 'PGLEASE_'
/** Never the name of a statement: their numbers begin with 1. */
export const SPARE_NAME = `${PREFIX}0`
const SPARE = Buffer.from(`${SPARE_NAME}\0`)

/** Parse of `name`, a text with its zero; `rest` is the body behind the name: text and parameter types. */
function parseMessage(name: Buffer, rest: Buffer): Buffer {
  const whole = Buffer.allocUnsafeSlow(HEADER_LENGTH + name.length + rest.length)
  whole[0] = PARSE
  whole.writeUInt32BE(whole.length - 1, 1)
  name.copy(whole, HEADER_LENGTH)
  rest.copy(whole, HEADER_LENGTH + name.length)
  return whole
}

const EMPTY_TEXT = Buffer.from([0, 0, 0])

const closeNamed = (name: string): Buffer => close('S', name)
export const CLOSE_SPARE = closeNamed(SPARE_NAME)
/** Never the name of a statement either: the server refuses it with 26000, and its log says why it was asked. */
export const DESCRIBE_STALE = describe('S', `${PREFIX}result_type_changed`)
export const PARSE_SPARE = parseMessage(SPARE, EMPTY_TEXT)

/** What a client parses under a name that it has already goes out under this one, of an empty query: the error tells the name. */
const DUPLICATE_NAME = `${PREFIX}duplicate`
/** With its zero. */
export const DUPLICATE = Buffer.from(`${DUPLICATE_NAME}\0`)
export const CLOSE_DUPLICATE = closeNamed(DUPLICATE_NAME)
/** No server refuses it, in a failed transaction neither. */
export const PARSE_DUPLICATE = parseMessage(DUPLICATE, EMPTY_TEXT)

/** One text with its parameter types, shared by the sessions and links of a pool. */
export class Statement implements Descriptions {
  readonly key: string
  /** On the server, with its zero. */
  readonly name: Buffer
  readonly parse: Buffer
  readonly close: Buffer
  readonly describe: Buffer
  /** How often PostgreSQL refused a plan of it: what was prepared before is prepared again, on every link. */
  refusals = 0
  parameters: string | null = null
  columns: string | null = null
  /** How many names of sessions and how many links have it. */
  users = 0

  constructor(key: string, number: number, rest: Buffer) {
    this.key = key
    this.name = Buffer.from(`${PREFIX}${number}\0`)
    this.parse = parseMessage(this.name, rest)
    this.close = closeNamed(`${PREFIX}${number}`)
    this.describe = describe('S', `${PREFIX}${number}`)
  }
}

/** The statements of one pool that a session or a link has. */
export class StatementRegistry {
  readonly #byKey = new Map<string, Statement>()
  #last = 0

  get size(): number {
    return this.#byKey.size
  }

  /** The statement whose Parse has `rest` behind its name. */
  find(rest: Buffer): Statement {
    const key = rest.toString('latin1')
    let statement = this.#byKey.get(key)
    if (statement === undefined) {
      statement = new Statement(key, ++this.#last, rest)
      this.#byKey.set(key, statement)
    }
    return statement
  }

  retain(statement: Statement): void {
    statement.users++
  }

  release(statement: Statement): void {
    statement.users--
    if (statement.users <= 0 && this.#byKey.get(statement.key) === statement) this.#byKey.delete(statement.key)
  }
}

/** Who holds the link: its messages of named statements are answered in order. */
export interface StatementsUser extends NamedListener {
  /** The server forgot all prepared statements: the link is to be cleared, but for what was sent behind. */
  allForgotten(): void
  /** The oldest message of a named statement fails: the plan's result type is not what it was described as. */
  planChanged(): void
  /**
   * The server describes the statement of the oldest: ParameterDescription, RowDescription or NoData, with its body between `start`
   * and `end`. True = what is held waits for it.
   */
  described(type: number, buffer: Buffer, start: number, end: number): boolean
}

/** What counts. */
export interface StatementsMeter {
  /** A link has to stay with its session. */
  pinned(): void
  /** A client is told that the result of its statement has changed. */
  planChanged(): void
}

/** What one link holds, as it will be when the server has carried out all that was sent; the longest unused comes first. */
export class LinkStatements implements NamedListener {
  readonly registry: StatementRegistry
  readonly #most: number
  readonly #held = new Map<Statement, Preparation>()
  #newest: Statement | null = null
  user: StatementsUser | null = null
  /** There are statements under other names (SQL's PREPARE, a text too long to be kept): the link stays with its session. */
  pinned = false
  /** Its session has been asked about that. */
  pinNoted = false
  readonly #meter: StatementsMeter

  /** `most`: max_prepared_statements, above 0. */
  constructor(registry: StatementRegistry, most: number, meter: StatementsMeter) {
    this.registry = registry
    this.#most = most
    this.#meter = meter
  }

  /** The link has to stay with its session. */
  pin(): void {
    if (this.pinned) return
    this.pinned = true
    this.pinNoted = false
    this.#meter.pinned()
  }

  get size(): number {
    return this.#held.size
  }

  get(statement: Statement): Preparation | undefined {
    return this.#held.get(statement)
  }

  /** It is used now. */
  touch(statement: Statement): void {
    if (statement === this.#newest) return
    const preparation = this.#held.get(statement)
    if (preparation === undefined) return
    this.#held.delete(statement)
    this.#held.set(statement, preparation)
    this.#newest = statement
  }

  /** The one to be closed before another is prepared; null while there is room. */
  get surplus(): Statement | null {
    if (this.#held.size < this.#most) return null
    for (const oldest of this.#held.keys()) return oldest
    return null
  }

  add(statement: Statement, preparation: Preparation): void {
    if (!this.#held.has(statement)) this.registry.retain(statement)
    this.#held.set(statement, preparation)
    this.#newest = statement
  }

  remove(statement: Statement): void {
    if (!this.#held.delete(statement)) return
    if (this.#newest === statement) this.#newest = null
    this.registry.release(statement)
  }

  namedAnswered(succeeded: boolean): void {
    this.user?.namedAnswered(succeeded)
  }

  planChanged(): void {
    this.#meter.planChanged()
    this.user?.planChanged()
  }

  /** The server dropped all (DEALLOCATE ALL, DISCARD ALL). */
  forgetAll(): void {
    this.pinned = false
    if (this.user === null) this.clear()
    else this.user.allForgotten()
  }

  /** The link is over, or the server dropped all. */
  clear(): void {
    this.pinned = false
    for (const statement of this.#held.keys()) this.registry.release(statement)
    this.#held.clear()
    this.#newest = null
  }
}
