// The messages with a statement's name: each goes out under the pool's name, behind what the link needs first.
import { Preparation } from '../server/preparation.ts'
import { CLOSE_DUPLICATE, DESCRIBE_STALE, DUPLICATE, type LinkStatements, PARSE_DUPLICATE } from '../server/statements.ts'
import { ASKED } from '../wire/asked.ts'
import { HEADER_LENGTH } from '../wire/codes.ts'
import { lengthAt } from '../wire/frame.ts'
import { flush } from '../wire/pgprotocol.ts'
import type { NamedStatements } from './named.ts'
import { SessionStatement, stepBeside, stepOf } from './session_statement.ts'
import { asIs, describesNext, followingDescribe, nameAt, rename } from './statement_names.ts'
import { KEPT_LIMIT, STATEMENT } from './unnamed.ts'

/** What is answered in place of a position: wait until nothing is owed; wait for the client's next message. */
export const WAIT = { answers: -1, more: -2 } as const

const FLUSH = flush()
/** What `bind` answers beside a WAIT. */
const GO = 0
const REFUSED = 1

/**
 * The message with a statement's name, or the Describe of `named.portal`, that begins at `position` is forwarded: what goes out in its place is put into the
 * assembly, and the ledger is told. Answers from where on the message goes out as it is, or that it has to WAIT.
 */
export function forwardNamed(named: NamedStatements, statements: LinkStatements, kind: number, buffer: Buffer, position: number): number {
  named.undo()
  const { ledger, portal } = named
  named.portal = null
  // the server ignores it, whatever its name, or the link serves nobody any more
  if (ledger.skipping || ledger.copyIn || ledger.lost) return asIs(ledger, kind, position)
  if (portal !== null) {
    // not before it is answered does the client know
    named.sent(ASKED.describeNamed, portal.entry.learn(portal.held, false))
    return position
  }
  const nameStart = nameAt(buffer, position)
  const nameEnd = buffer.indexOf(0, nameStart)
  // a name that does not end within its message is the server's to refuse
  if (nameEnd < 0 || nameEnd > position + lengthAt(buffer, position + 1)) return asIs(ledger, kind, position)
  const name = buffer.toString('latin1', nameStart, nameEnd)
  if (named.isOwn(name)) return asIs(ledger, kind, position)
  if (kind === ASKED.parse) return parse(named, statements, buffer, position, nameStart, nameEnd, name)
  const entry = named.get(name)
  // the server says that there is none
  if (entry === undefined) return asIs(ledger, kind, position)
  if (kind === ASKED.close) {
    // as it is: the server has no statement of that name, and a Close of it succeeds all the same
    named.close(entry)
    return position
  }
  if (kind === ASKED.describe) describe(named, statements, entry)
  else {
    const answer = bind(named, statements, entry, buffer, position)
    if (answer < 0) return answer
    if (answer === REFUSED) return position + 1 + lengthAt(buffer, position + 1)
  }
  rename(buffer, position, nameStart, nameEnd, entry.statement.name, named.out)
  return nameEnd + 1
}

/** Whatever is described, the client knows it from now on. */
function describe(named: NamedStatements, statements: LinkStatements, entry: SessionStatement): void {
  let held = statements.get(entry.statement)
  if (held === undefined || !entry.isCurrent(held)) held = prepare(named, statements, entry, ASKED.inventedParseNamed)
  else statements.touch(entry.statement)
  named.sent(ASKED.describeNamed, entry.learn(held, true))
}

/** GO when the Bind may meet what the link holds then; REFUSED when another message took its place; or a WAIT. */
function bind(named: NamedStatements, statements: LinkStatements, entry: SessionStatement, buffer: Buffer, position: number): number {
  let held = statements.get(entry.statement)
  let asks = false
  if (held === undefined || !entry.isCurrent(held) || !entry.serves(held, false)) {
    const following = entry.columns === null ? 'other' : followingDescribe(buffer, position)
    if (following === 'more') return WAIT.more
    asks = following === 'asks'
    if (held === undefined || !entry.isCurrent(held)) {
      held = prepare(named, statements, entry, ASKED.inventedParseNamed)
      inventDescribe(named, entry, held)
    }
    if (!entry.serves(held, asks)) return held.columns === null ? awaitDescription(named, held) : refuse(named, entry)
  }
  statements.touch(entry.statement)
  if (asks) named.portal = { entry, held }
  // who was never told may yet ask for the portal: it counts as told
  named.sent(ASKED.bindNamed, entry.columns === null ? entry.learn(held, false) : entry.use)
  return GO
}

/** What the server describes it as decides. */
function awaitDescription(named: NamedStatements, held: Preparation): number {
  if (named.awaited !== held) named.out.addAll(FLUSH)
  named.awaited = held
  return WAIT.answers
}

/** In place of a Bind the server gets what it refuses, so that it skips what follows; its error is told in PostgreSQL's other words. */
function refuse(named: NamedStatements, entry: SessionStatement): number {
  named.invent(ASKED.refusedNamed, stepOf('refuse', entry), DESCRIBE_STALE)
  return REFUSED
}

function parse(
  named: NamedStatements,
  statements: LinkStatements,
  buffer: Buffer,
  position: number,
  nameStart: number,
  nameEnd: number,
  name: string,
): number {
  const end = position + 1 + lengthAt(buffer, position + 1)
  if (named.get(name) !== undefined) return refuseDuplicate(named, buffer, position, nameEnd)
  if (end > buffer.length || end - position > KEPT_LIMIT) {
    named.own(name)
    return position
  }
  // what the client asks itself is not asked for it
  const following = describesNext(buffer, end, STATEMENT, nameStart, nameEnd + 1)
  if (following === 'more') return WAIT.more
  const entry = new SessionStatement(name, statements.registry.find(buffer.subarray(nameEnd + 1, end)))
  named.set(entry)
  const held = prepare(named, statements, entry, ASKED.parseNamed)
  if (following === 'other') inventDescribe(named, entry, held)
  return end
}

/** The server analyses the text now, also where the link holds it: a plan of then may be one that PostgreSQL refuses now. */
function prepare(named: NamedStatements, statements: LinkStatements, entry: SessionStatement, kind: number): Preparation {
  const { statement } = entry
  if (statements.get(statement) !== undefined) named.evict(statement)
  else for (let oldest = statements.surplus; oldest !== null; oldest = statements.surplus) named.evict(oldest)
  const preparation = new Preparation(statement.refusals)
  statements.add(statement, preparation)
  entry.latest = preparation
  named.invent(kind, stepOf(kind === ASKED.parseNamed ? 'nameAndHold' : 'hold', entry, preparation), statement.parse)
  return preparation
}

function inventDescribe(named: NamedStatements, entry: SessionStatement, preparation: Preparation): void {
  named.invent(ASKED.inventedDescribeNamed, stepOf('describe', entry, preparation), entry.statement.describe)
}

/** Goes out under a name that the server knows by then, so that it is the server that refuses it, for whichever reason comes first. */
function refuseDuplicate(named: NamedStatements, buffer: Buffer, position: number, nameEnd: number): number {
  named.invent(ASKED.inventedCloseNamed, stepBeside('nothing'), CLOSE_DUPLICATE)
  named.invent(ASKED.inventedParseNamed, stepBeside('nothing'), PARSE_DUPLICATE)
  named.ledger.asked(ASKED.parse)
  rename(buffer, position, position + HEADER_LENGTH, nameEnd, DUPLICATE, named.out)
  return nameEnd + 1
}
