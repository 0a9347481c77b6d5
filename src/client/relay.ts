// The data path from the client: finds message boundaries, asks for a link when one is needed, and forwards contiguous messages in one write.
import type { Link } from '../server/link.ts'
import { ASKED } from '../wire/asked.ts'
import { COPY_DATA, HEADER_LENGTH, TERMINATE } from '../wire/codes.ts'
import { endOfRun, lengthAt } from '../wire/frame.ts'
import { close } from '../wire/pgprotocol.ts'
import { Assembly } from './assembly.ts'
import { canDrop, DEALLOCATE_SPARE, droppedName, PARSE_DEALLOCATE, PREPARE_SPARE } from './deallocate.ts'
import { NamedStatements } from './named.ts'
import { forwardNamed, WAIT } from './named_messages.ts'
import { endOfRequest, isDropped, isMessage, kindOf, NO_END, NOT_A_MESSAGE, saysTerminate } from './requests.ts'
import { usesName } from './statement_names.ts'
import { canSeed, maySayUnlisten } from './unlisten.ts'
import { HOLD, KEPT_LIMIT, UnnamedStatement } from './unnamed.ts'

/** A message waits for its end up to here; a longer one is streamed. Also what a client may send ahead while it waits. */
export const HIGH_WATER_BYTES = 64 * 1024
const CLOSE_UNNAMED = close('S', '')

/** What the relay asks of its session. */
export interface RelayHost {
  /** A link, or null: `resume` is called when there is one. */
  checkout(): Link | null
  /** A session must give way before its next request. */
  mustYield(link: Link): boolean
  /** The link takes no more until it has drained. */
  linkFull(): void
  /** As much was kept as may be: read no more of the client until `resume`. */
  clientAhead(): void
  /** The last bytes of a message went to a link that is settled already: it failed early. */
  answered(): void
  /** What is held may end what the session listens to: `resume` is called when its channels were put on the link. */
  seed(link: Link): void
  terminated(): void
  /** The link stays with the session: its named statements do too. */
  readonly keepsLink: boolean
  /** The client broke the protocol or used what is not supported. */
  refuse(code: 'protocol_violation' | 'message_too_large' | 'named_statement_refused', detail: string): void
}

export class Relay {
  link: Link | null = null
  readonly unnamed = new UnnamedStatement()
  /** Null until the session names a statement. */
  named: NamedStatements | null = null
  /** What comes is kept: there is no link yet, or the link's replies are awaited first. */
  holding = false
  /** The session listens. */
  listens = false
  readonly #host: RelayHost
  readonly #maxMessageBytes: number
  /** Rewritten messages that go out with what follows them. */
  readonly #assembly = new Assembly((bytes) => this.#write(bytes))
  /** Whole or partial messages that were not forwarded yet; begins at a message. */
  #pending: Buffer | null = null
  /** Body bytes of a partly forwarded message that are still to come. */
  #streaming = 0
  /** They have no receiver. */
  #dropping = false

  constructor(host: RelayHost, maxMessageBytes: number) {
    this.#host = host
    this.#maxMessageBytes = maxMessageBytes
  }

  /** No message is partly forwarded. */
  get atMessageBoundary(): boolean {
    return this.#streaming === 0 || this.#dropping
  }

  get pendingBytes(): number {
    return this.#pending === null ? 0 : this.#pending.length
  }

  /** What is kept ends with the client's goodbye: it need not be there any more. */
  get saysTerminate(): boolean {
    return this.#streaming === 0 && this.#pending !== null && saysTerminate(this.#pending)
  }

  feed(chunk: Buffer): void {
    // at most HIGH_WATER_BYTES and what was read before the pause are copied again
    const buffer = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk])
    this.#pending = null
    if (this.holding) return this.#keep(buffer, 0)
    this.#run(buffer)
  }

  /** Goes on with what was kept: a link is there, or the held requests may go on. */
  resume(): void {
    this.holding = false
    const buffer = this.#pending
    if (buffer === null) return
    this.#pending = null
    this.#run(buffer)
  }

  /** Takes back the oldest request of those that wait for a link. False: its end has not come yet. */
  takeBack(): boolean {
    const buffer = this.#pending
    const end = buffer === null || this.#streaming > 0 ? NO_END : endOfRequest(buffer)
    if (buffer === null || end === NO_END) return false
    this.#pending = end === buffer.length ? null : buffer.subarray(end)
    return true
  }

  /** The link is gone in the middle: what was partly forwarded has no receiver any more. */
  unlink(): void {
    this.link = null
    this.holding = false
    this.unnamed.reset()
    this.named?.reset()
  }

  /** Keeps what is not forwarded; beyond the high-water mark the client has to wait. */
  #keep(buffer: Buffer, position: number): void {
    if (position >= buffer.length) return
    this.#pending = position === 0 ? buffer : buffer.subarray(position)
    if (this.#pending.length >= HIGH_WATER_BYTES && (this.link === null || this.holding)) this.#host.clientAhead()
  }

  /** The rest of a message whose begin was forwarded or dropped. Answers where the next one begins. */
  #stream(buffer: Buffer): number {
    const position = Math.min(this.#streaming, buffer.length)
    this.#streaming -= position
    if (this.#dropping) return position
    this.#flush(buffer, 0, position)
    if (this.#streaming === 0 && this.link?.ledger.settled) this.#host.answered()
    return position
  }

  #run(buffer: Buffer): void {
    const end = buffer.length
    let position = this.#streaming > 0 ? this.#stream(buffer) : 0
    let start = position
    while (end - position >= HEADER_LENGTH) {
      const type = buffer[position] as number
      const length = lengthAt(buffer, position + 1)
      const available = end - position
      const total = length + 1
      if (length < 4 || length > this.#maxMessageBytes) {
        this.#flush(buffer, start, position)
        return this.#tooLarge(length)
      }
      // CopyData streams at once: its receiver is there already
      if (available < total && available < HIGH_WATER_BYTES && !(type === COPY_DATA && this.link !== null)) {
        if (!isMessage(type)) return this.#notAMessage(buffer, start, position)
        break
      }
      if (type === TERMINATE) {
        this.#flush(buffer, start, position)
        return this.#host.terminated()
      }
      const kind = kindOf(buffer, position, type)
      if (kind === NOT_A_MESSAGE) return this.#notAMessage(buffer, start, position)
      if (this.link === null) {
        start = position
        if (isDropped(type)) {
          position += Math.min(total, available)
          this.#startStreaming(total - available, true)
          start = position
          continue
        }
        this.link = this.#host.checkout()
        // kept: the link comes later, through resume
        if (this.link === null) return this.#hold(buffer, start, position)
      }
      const link = this.link
      if (link.ledger.owed > 0 && link.ledger.atBoundary && this.#mustHold(link, type)) return this.#hold(buffer, start, position)
      if (this.listens && this.#waitsForSeed(link, kind, buffer, start, position)) return
      const { named } = this
      if (named?.any && (kind === ASKED.query || kind === ASKED.parseUnnamed)) {
        const name = droppedName(kind, buffer, position)
        if (name !== undefined && link.ledger.owed > 0) return this.#hold(buffer, start, position)
        if (name !== undefined && canDrop(link.ledger) && named.has(name)) {
          this.#assembly.add(buffer, start, position)
          this.#drop(link, named, kind, name)
          position += total
          start = position
          continue
        }
      }
      const { statements } = link
      const names = statements !== null && (usesName(kind, buffer, position + HEADER_LENGTH) || named?.portal != null)
      if (names) {
        const session = named ?? this.#nameFirst(link)
        if (session.mustWait(link.ledger)) return this.#hold(buffer, start, position)
        this.#assembly.add(buffer, start, position)
        const from = forwardNamed(session, statements, kind, buffer, position)
        start = Math.max(position, from)
        if (from === WAIT.answers) return this.#hold(buffer, position, position)
        if (from === WAIT.more) break
      } else if (kind === ASKED.parse && !this.#host.keepsLink) {
        this.#flush(buffer, start, position)
        return this.#host.refuse('named_statement_refused', 'use the unnamed statement, or simple queries')
      } else if (kind === ASKED.parseUnnamed) {
        const kept = total <= KEPT_LIMIT && total <= available
        if (!link.ledger.skipping && !link.ledger.copyIn) this.unnamed.parse(buffer, position, kept ? position + total : -1)
      } else if (this.unnamed.careful) {
        const first = this.unnamed.before(link.ledger, kind, buffer, position + HEADER_LENGTH)
        if (first === HOLD) return this.#hold(buffer, start, position)
        if (first !== ASKED.none) {
          this.#flush(buffer, start, position)
          this.#invent(link, first)
          start = position
        }
      }
      if (named !== null && (kind === ASKED.sync || kind === ASKED.query)) named.passed(kind)
      if (kind !== ASKED.none && !names) link.ledger.asked(kind)
      position += total
      if (type === COPY_DATA) position = endOfRun(buffer, position, type, this.#maxMessageBytes)
      if (position > end) {
        // what is not sent has no receiver for its rest either
        this.#startStreaming(position - end, start > end)
        position = end
      }
    }
    this.#flush(buffer, start, position)
    this.#keep(buffer, position)
  }

  #startStreaming(bytes: number, dropping: boolean): void {
    this.#streaming = Math.max(0, bytes)
    this.#dropping = dropping
  }

  #mustHold(link: Link, type: number): boolean {
    return !isDropped(type) && this.#host.mustYield(link)
  }

  /** The message may end what the session listens to: its channels are put on the link first. */
  #waitsForSeed(link: Link, kind: number, buffer: Buffer, start: number, position: number): boolean {
    const { channels, ledger } = link
    if (channels?.needsSeed !== true || !canSeed(ledger) || !maySayUnlisten(kind, buffer, position, this.named, this.unnamed)) return false
    this.#hold(buffer, start, position)
    if (ledger.owed === 0) this.#host.seed(link)
    return true
  }

  /** Forwards what comes before `position` and keeps the rest until `resume`. */
  #hold(buffer: Buffer, start: number, position: number): void {
    this.#flush(buffer, start, position)
    this.holding = true
    this.#keep(buffer, position)
  }

  /** Sends a message of ours in front of the client's. */
  #invent(link: Link, kind: number): void {
    link.ledger.asked(kind)
    // a copy: the statement's own memory is written anew by the next Parse, when this may still wait to be sent
    this.#write(kind === ASKED.inventedParse ? Buffer.from(this.unnamed.bytes) : CLOSE_UNNAMED)
  }

  #nameFirst(link: Link): NamedStatements {
    const named = new NamedStatements(this.#assembly, link.ledger)
    named.attach(link.statements, link.ledger)
    this.named = named
    return named
  }

  /** A DEALLOCATE of the session's own statement. */
  #drop(link: Link, named: NamedStatements, kind: number, name: string): void {
    const { ledger } = link
    if (kind === ASKED.query) {
      if (ledger.batchOpen) named.dropInBatch(name)
      else {
        named.drop(name)
        ledger.asked(ASKED.inventedQuery)
        this.#assembly.addAll(PREPARE_SPARE)
      }
      named.passed(kind)
      if (this.unnamed.careful) this.unnamed.before(ledger, kind, DEALLOCATE_SPARE, HEADER_LENGTH)
      this.#assembly.addAll(DEALLOCATE_SPARE)
    } else {
      named.dropInBatch(name)
      this.unnamed.parse(PARSE_DEALLOCATE, 0, PARSE_DEALLOCATE.length)
      this.#assembly.addAll(PARSE_DEALLOCATE)
    }
    ledger.asked(kind)
  }

  #flush(buffer: Buffer, start: number, end: number): void {
    if (this.#assembly.size > 0) {
      this.#assembly.add(buffer, start, end)
      return this.#assembly.flush()
    }
    if (start >= end || this.link === null) return
    this.#write(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end))
  }

  #write(bytes: Buffer): void {
    if (this.link?.write(bytes) === false) this.#host.linkFull()
  }

  #tooLarge(length: number): void {
    if (length < 4) this.#host.refuse('protocol_violation', `a message cannot be ${length} bytes long`)
    else this.#host.refuse('message_too_large', `${length} bytes, max_packet_size allows ${this.#maxMessageBytes}`)
  }

  #notAMessage(buffer: Buffer, start: number, position: number): void {
    this.#flush(buffer, start, position)
    const type = buffer[position] as number
    this.#host.refuse('protocol_violation', `unexpected message type 0x${type.toString(16).padStart(2, '0')}`)
  }
}
