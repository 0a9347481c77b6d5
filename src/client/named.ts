// A session's named prepared statements: its names stand for statements of the pool, and each message goes out under the pool's name.
import {
  CLOSE_DUPLICATE,
  CLOSE_SPARE,
  DUPLICATE,
  type LinkStatements,
  PARSE_DUPLICATE,
  PARSE_SPARE,
  type Statement,
  type StatementRegistry,
  type StatementsUser,
} from '../server/statements.ts'
import { ASKED } from '../wire/asked.ts'
import { HEADER_LENGTH, STATUS_FAILED } from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import type { Ledger } from '../wire/ledger.ts'
import type { Assembly } from './assembly.ts'
import { asIs, nameAt, rename } from './statement_names.ts'
import { KEPT_LIMIT } from './unnamed.ts'

/** What a message changes once the server has carried it out; own: of a name in `#ownNames`. */
type Change = 'nothing' | 'use' | 'own' | 'name' | 'unname' | 'hold' | 'nameAndHold' | 'evict'

interface Step {
  change: Change
  readonly name: string
  readonly statement: Statement | null
}

const NOTHING: Step = { change: 'nothing', name: '', statement: null }

/**
 * Names and links are changed as soon as a message is sent, as if it succeeded: up to the next Sync the server skips whatever comes
 * behind a failure. What did fail is undone, the last first. Behind that Sync nothing is certain before the replies are there.
 */
export class NamedStatements implements StatementsUser {
  readonly #names = new Map<string, Statement>()
  /** Names that the server knows as the client says them: their texts are too long to be kept, and the link stays with the session. */
  readonly #ownNames = new Set<string>()
  /** Of the messages that are not answered, oldest first. */
  #steps: Step[] = []
  #failed: Step[] = []
  #link: LinkStatements | null = null
  #registry: StatementRegistry | null = null
  /** How many of the steps change something. */
  #changing = 0
  /** The step of each name's Bind and Describe, so that they allocate nothing. */
  readonly #uses = new Map<string, Step>()
  /** What was sent and is past its Sync, or a Query, may yet change names or links. */
  #unsure = false

  /** There are names, or what failed or is not answered yet may bring some back. */
  get any(): boolean {
    return this.#names.size > 0 || this.#failed.length > 0 || this.#ownNames.size > 0 || this.#changing > 0
  }

  has(name: string): boolean {
    this.#undo()
    return this.#names.has(name)
  }

  /** The Parse of the statement that `name` means. */
  textOf(name: string): Buffer | undefined {
    return this.#names.get(name)?.parse
  }

  /** SQL's DEALLOCATE of `name` is about to be forwarded and cannot fail. */
  drop(name: string): void {
    this.#undo()
    this.#unname(name)
  }

  /** The same where what went before may yet fail. The server gets a spare statement to deallocate. */
  dropInBatch(ledger: Ledger, name: string, out: Assembly): void {
    this.#undo()
    const statement = this.#names.get(name) ?? null
    this.#unname(name)
    this.#invent(ledger, ASKED.inventedCloseNamed, NOTHING, CLOSE_SPARE, out)
    this.#invent(ledger, ASKED.inventedParseNamed, { change: 'unname', name, statement }, PARSE_SPARE, out)
  }

  attach(link: LinkStatements | null): void {
    this.#link = link
    if (link === null) return
    link.user = this
    this.#registry = link.registry
  }

  detach(): void {
    this.#undo()
    if (this.#link !== null) this.#link.user = null
    this.#link = null
    this.#unsure = false
  }

  /** The link is gone: what it did not answer it has not done. */
  reset(): void {
    this.#failed.push(...this.#steps)
    this.#steps = []
    this.#ownNames.clear()
    this.#changing = 0
    this.detach()
  }

  /** The session is over. */
  end(): void {
    this.reset()
    for (const statement of this.#names.values()) this.#registry?.release(statement)
    this.#names.clear()
  }

  /** A Sync or Query is about to be forwarded. */
  passed(kind: number): void {
    if (kind === ASKED.query ? this.any : this.#changing > 0) this.#unsure = true
  }

  /** The next message of a named statement has to wait until nothing is owed. */
  mustWait(ledger: Ledger): boolean {
    if (ledger.owed === 0) this.#unsure = false
    return this.#unsure
  }

  /**
   * The message with a statement's name that begins at `position` is forwarded: what goes out in its place is put into `out`, and
   * `ledger` is told. Answers from where on the message goes out as it is.
   */
  forward(link: LinkStatements, ledger: Ledger, kind: number, buffer: Buffer, position: number, out: Assembly): number {
    this.#undo()
    // the server ignores it, whatever its name
    if (ledger.skipping || ledger.copyIn) return asIs(ledger, kind, position)
    const nameStart = nameAt(buffer, position)
    const nameEnd = buffer.indexOf(0, nameStart)
    if (nameEnd < 0) return asIs(ledger, kind, position)
    const name = buffer.toString('latin1', nameStart, nameEnd)
    if (this.#ownNames.has(name)) return asIs(ledger, kind, position)
    if (kind === ASKED.parse) return this.#parse(link, ledger, buffer, position, nameEnd, name, out)
    const statement = this.#names.get(name)
    if (kind === ASKED.close) return this.#close(ledger, kind, position, name, statement)
    // the server says that there is none
    if (statement === undefined) return asIs(ledger, kind, position)
    if (link.has(statement)) link.touch(statement)
    else if (!statement.retired) {
      this.#makeRoom(link, ledger, out)
      link.add(statement)
      this.#invent(ledger, ASKED.inventedParseNamed, { change: 'hold', name, statement }, statement.parse, out)
    }
    this.#steps.push(this.#use(name, statement))
    ledger.asked(kind === ASKED.bind ? ASKED.bindNamed : ASKED.describeNamed)
    rename(buffer, position, nameStart, nameEnd, statement.name, out)
    return nameEnd + 1
  }

  namedAnswered(succeeded: boolean): void {
    const step = this.#steps.shift()
    if (step === undefined || step.change === 'use') return
    this.#changing--
    if (!succeeded) this.#failed.push(step)
    if (this.#changing === 0 && succeeded) this.#undo()
  }

  allForgotten(): void {
    this.#undo()
    this.#link?.clear()
    this.#ownNames.clear()
    for (const name of [...this.#names.keys()]) this.#unname(name)
    // what was sent behind it is still to come
    for (const step of this.#steps) this.#replay(step)
  }

  /** This session has been told: its name means the successor from now on. Others that know the old description are told once too. */
  planChanged(): void {
    const step = this.#steps[0]
    if (step?.change !== 'use' || step.statement === null || this.#registry === null) return
    if (!step.statement.retired) this.#registry.retire(step.statement)
    if (this.#names.get(step.name) === step.statement) this.#name(step.name, this.#registry.successor(step.statement))
  }

  #use(name: string, statement: Statement): Step {
    let use = this.#uses.get(name)
    if (use === undefined || use.statement !== statement) {
      use = { change: 'use', name, statement }
      this.#uses.set(name, use)
    }
    return use
  }

  #replay(step: Step): void {
    const { change, name, statement } = step
    if (change === 'own') {
      this.#ownNames.add(name)
      this.#link?.pin()
    }
    if (statement === null) return
    if (change === 'name' || change === 'nameAndHold') this.#name(name, statement)
    if (change === 'hold' || change === 'nameAndHold') this.#link?.add(statement)
    const gone = (change === 'evict' && !this.#link?.has(statement)) || (change === 'unname' && !this.#names.has(name))
    if (gone) step.change = 'nothing'
    else if (change === 'evict') this.#link?.remove(statement)
    else if (change === 'unname') this.#unname(name)
  }

  #parse(link: LinkStatements, ledger: Ledger, buffer: Buffer, position: number, nameEnd: number, name: string, out: Assembly): number {
    const end = position + 1 + lengthAt(buffer, position + 1)
    if (this.#names.has(name)) return this.#refuseDuplicate(ledger, buffer, position, nameEnd, out)
    if (end > buffer.length || end - position > KEPT_LIMIT) {
      link.pin()
      this.#ownNames.add(name)
      this.#steps.push({ change: 'own', name, statement: null })
      this.#changing++
      return asIs(ledger, ASKED.parseNamed, position)
    }
    const statement = link.registry.find(buffer.subarray(nameEnd + 1, end))
    const held = link.has(statement)
    this.#name(name, statement)
    if (held && ledger.owed === 0 && ledger.status !== STATUS_FAILED) {
      link.touch(statement)
      this.#invent(ledger, ASKED.parseHeld, { change: 'name', name, statement }, CLOSE_SPARE, out)
      return end
    }
    // whether the server refuses it (in a failed transaction) only the server knows
    if (held) this.#evict(link, ledger, statement, out)
    else this.#makeRoom(link, ledger, out)
    link.add(statement)
    this.#invent(ledger, ASKED.parseNamed, { change: 'nameAndHold', name, statement }, statement.parse, out)
    return end
  }

  /** Goes out under a name that the server knows by then, so that it is the server that refuses it, for whichever reason comes first. */
  #refuseDuplicate(ledger: Ledger, buffer: Buffer, position: number, nameEnd: number, out: Assembly): number {
    this.#invent(ledger, ASKED.inventedCloseNamed, NOTHING, CLOSE_DUPLICATE, out)
    this.#invent(ledger, ASKED.inventedParseNamed, NOTHING, PARSE_DUPLICATE, out)
    ledger.asked(ASKED.parse)
    rename(buffer, position, position + HEADER_LENGTH, nameEnd, DUPLICATE, out)
    return nameEnd + 1
  }

  /** Goes out as it is: the server has no statement of that name, and a Close of it succeeds all the same. */
  #close(ledger: Ledger, kind: number, position: number, name: string, statement: Statement | undefined): number {
    if (statement === undefined) return asIs(ledger, kind, position)
    this.#unname(name)
    this.#steps.push({ change: 'unname', name, statement })
    this.#changing++
    return asIs(ledger, ASKED.closeNamed, position)
  }

  #makeRoom(link: LinkStatements, ledger: Ledger, out: Assembly): void {
    for (let oldest = link.surplus; oldest !== null; oldest = link.surplus) this.#evict(link, ledger, oldest, out)
  }

  #evict(link: LinkStatements, ledger: Ledger, statement: Statement, out: Assembly): void {
    link.remove(statement)
    this.#invent(ledger, ASKED.inventedCloseNamed, { change: 'evict', name: '', statement }, statement.close, out)
  }

  #invent(ledger: Ledger, kind: number, step: Step, message: Buffer, out: Assembly): void {
    this.#steps.push(step)
    this.#changing++
    ledger.asked(kind)
    out.addAll(message)
  }

  #name(name: string, statement: Statement): void {
    this.#unname(name)
    this.#names.set(name, statement)
    this.#registry?.retain(statement)
  }

  #unname(name: string): void {
    const statement = this.#names.get(name)
    if (statement === undefined) return
    this.#names.delete(name)
    this.#uses.delete(name)
    this.#registry?.release(statement)
  }

  #undo(): void {
    for (let step = this.#failed.pop(); step !== undefined; step = this.#failed.pop()) {
      const { change, name, statement } = step
      if (change === 'own') this.#ownNames.delete(name)
      if (statement === null) continue
      if (change === 'name' || change === 'nameAndHold') this.#unname(name)
      if (change === 'hold' || change === 'nameAndHold') this.#link?.remove(statement)
      if (change === 'evict') this.#link?.add(statement)
      if (change === 'unname') this.#name(name, statement)
    }
  }
}
