// A session's named prepared statements: its names stand for statements of the pool, and what is sent changes names and links.
import type { Preparation } from '../server/preparation.ts'
import {
  CLOSE_SPARE,
  type LinkStatements,
  PARSE_SPARE,
  type Statement,
  type StatementRegistry,
  type StatementsUser,
} from '../server/statements.ts'
import { ASKED } from '../wire/asked.ts'
import { PARAMETER_DESCRIPTION } from '../wire/codes.ts'
import type { Ledger } from '../wire/ledger.ts'
import type { Assembly } from './assembly.ts'
import { type SessionStatement, type Step, stepBeside, stepOf } from './session_statement.ts'

/**
 * Names and links are changed as soon as a message is sent, as if it succeeded: up to the next Sync the server skips whatever comes
 * behind a failure. What did fail is undone, the last first. Behind that Sync nothing is certain before the replies are there.
 */
export class NamedStatements implements StatementsUser {
  readonly out: Assembly
  /** The link's; of the last link while there is none. */
  ledger: Ledger
  /** What waits until the server has described it. */
  awaited: Preparation | null = null
  /** A Bind was forwarded whose portal the next message asks for: the client learns what is held by the answer. */
  portal: { readonly entry: SessionStatement; readonly held: Preparation } | null = null
  readonly #names = new Map<string, SessionStatement>()
  /** Names that the server knows as the client says them: their texts are too long to be kept, and the link stays with the session. */
  readonly #ownNames = new Set<string>()
  /** Of the messages that are not answered, oldest first. */
  #steps: Step[] = []
  #failed: Step[] = []
  #link: LinkStatements | null = null
  #registry: StatementRegistry | null = null
  /** How many of the steps change something. */
  #changing = 0
  /** What was sent and is past its Sync, or a Query, may yet change names or links. */
  #unsure = false

  /** What is sent in front of the client's messages is put into `out`. */
  constructor(out: Assembly, ledger: Ledger) {
    this.out = out
    this.ledger = ledger
  }

  /** There are names, or what failed or is not answered yet may bring some back. */
  get any(): boolean {
    return this.#names.size > 0 || this.#failed.length > 0 || this.#ownNames.size > 0 || this.#changing > 0
  }

  has(name: string): boolean {
    this.undo()
    return this.#names.has(name)
  }

  get(name: string): SessionStatement | undefined {
    return this.#names.get(name)
  }

  /** The Parse of the statement that `name` means. */
  textOf(name: string): Buffer | undefined {
    return this.#names.get(name)?.statement.parse
  }

  isOwn(name: string): boolean {
    return this.#ownNames.has(name)
  }

  attach(statements: LinkStatements | null, ledger: Ledger): void {
    this.ledger = ledger
    this.#link = statements
    if (statements === null) return
    statements.user = this
    this.#registry = statements.registry
  }

  detach(): void {
    this.undo()
    if (this.#link !== null) this.#link.user = null
    this.#link = null
    this.#unsure = false
    this.awaited = null
    this.portal = null
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
    for (const { statement } of this.#names.values()) this.#registry?.release(statement)
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

  // What messages change, as they are sent.

  /** A message of `kind` (an ASKED) is about to be forwarded. */
  sent(kind: number, sent: Step): void {
    this.#steps.push(sent)
    if (sent.change !== 'use') this.#changing++
    this.ledger.asked(kind)
  }

  /** A message of ours in front of the client's, or in its place. */
  invent(kind: number, invented: Step, message: Buffer): void {
    this.sent(kind, invented)
    this.out.addAll(message)
  }

  set(entry: SessionStatement): void {
    this.#unname(entry.name)
    this.#names.set(entry.name, entry)
    this.#registry?.retain(entry.statement)
  }

  /** A Close of the statement is about to be forwarded. */
  close(entry: SessionStatement): void {
    this.#unname(entry.name)
    this.sent(ASKED.closeNamed, stepOf('unname', entry))
  }

  /** A Parse of `name` is about to be forwarded that is too long to be kept. */
  own(name: string): void {
    this.#link?.pin()
    this.#ownNames.add(name)
    this.sent(ASKED.parseNamed, stepBeside('own', name))
  }

  /** The link closes `statement`. */
  evict(statement: Statement): void {
    const preparation = this.#link?.get(statement) ?? null
    this.#link?.remove(statement)
    this.invent(ASKED.inventedCloseNamed, stepBeside('evict', '', statement, preparation), statement.close)
  }

  /** SQL's DEALLOCATE of `name` is about to be forwarded and cannot fail. */
  drop(name: string): void {
    this.undo()
    this.#unname(name)
  }

  /** The same where what went before may yet fail. The server gets a spare statement to deallocate. */
  dropInBatch(name: string): void {
    this.undo()
    const entry = this.#names.get(name) ?? null
    this.#unname(name)
    this.invent(ASKED.inventedCloseNamed, stepBeside('nothing'), CLOSE_SPARE)
    this.invent(ASKED.inventedParseNamed, entry === null ? stepBeside('nothing') : stepOf('unname', entry), PARSE_SPARE)
  }

  // What becomes of them.

  namedAnswered(succeeded: boolean): void {
    const answered = this.#steps.shift()
    if (answered === undefined || answered.change === 'use') return
    this.#changing--
    if (!succeeded) this.#failed.push(answered)
    if (this.#changing === 0 && succeeded) this.undo()
  }

  described(type: number, buffer: Buffer, start: number, end: number): boolean {
    const [asked] = this.#steps
    if (!asked?.statement || !asked.preparation) return false
    asked.preparation.described(asked.statement, type, buffer, start, end)
    return asked.preparation === this.awaited && type !== PARAMETER_DESCRIPTION
  }

  /** The client is told now: what it asks for next is prepared anew, and compared with what it knows. */
  planChanged(): void {
    const [refused] = this.#steps
    if (!refused?.entry) return
    refused.entry.latest = null
    if (refused.change !== 'refuse') refused.entry.statement.refusals++
  }

  allForgotten(): void {
    this.undo()
    this.#link?.clear()
    this.#ownNames.clear()
    for (const name of [...this.#names.keys()]) this.#unname(name)
    // what was sent behind it is still to come
    for (const sent of this.#steps) this.#replay(sent)
  }

  #replay(sent: Step): void {
    const { change, name, entry, statement, preparation } = sent
    if (change === 'own') {
      this.#ownNames.add(name)
      this.#link?.pin()
    }
    if (change === 'nameAndHold' && entry !== null) this.set(entry)
    if (change === 'unname') {
      if (this.#names.has(name)) this.#unname(name)
      else sent.change = 'nothing'
    }
    if (statement === null || preparation === null) return
    if (change === 'hold' || change === 'nameAndHold') this.#link?.add(statement, preparation)
    if (change !== 'evict') return
    if (this.#link?.get(statement) === undefined) sent.change = 'nothing'
    else this.#link.remove(statement)
  }

  /** Takes back what failed. */
  undo(): void {
    for (let failed = this.#failed.pop(); failed !== undefined; failed = this.#failed.pop()) {
      const { change, name, entry, statement, preparation, before } = failed
      if (change === 'own') this.#ownNames.delete(name)
      if (entry !== null && before !== null) entry.forget(before)
      if (change === 'nameAndHold') this.#unname(name)
      if (change === 'unname' && entry !== null) this.set(entry)
      if (statement === null || preparation === null) continue
      if (change === 'hold' || change === 'nameAndHold') this.#link?.remove(statement)
      if (change === 'evict') this.#link?.add(statement, preparation)
      // it is prepared, but nobody knows as what
      if ((change === 'describe' || change === 'learn') && preparation.columns === null) preparation.stale = true
    }
  }

  #unname(name: string): void {
    const entry = this.#names.get(name)
    if (entry === undefined) return
    this.#names.delete(name)
    this.#registry?.release(entry.statement)
  }
}
