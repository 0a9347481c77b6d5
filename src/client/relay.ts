// The data path from the client: finds message boundaries, asks for a link when one is needed, and forwards contiguous messages in one write.
import type { Link } from '../server/link.ts'
import { lengthAt } from '../server/link.ts'
import {
  BIND,
  CLOSE,
  COPY_DATA,
  COPY_DONE,
  COPY_FAIL,
  DESCRIBE,
  EXECUTE,
  FLUSH,
  FUNCTION_CALL,
  HEADER_LENGTH,
  PARSE,
  QUERY,
  SYNC,
  TERMINATE,
} from '../wire/codes.ts'
import { ASKED } from '../wire/ledger.ts'
import { close } from '../wire/pgprotocol.ts'
import { KEPT_LIMIT, UnnamedStatement } from './unnamed.ts'

/** A message waits for its end up to here; a longer one is streamed. Also what a client may send ahead while it waits. */
export const HIGH_WATER_BYTES = 64 * 1024
const NOT_A_MESSAGE = -1
const STATEMENT = 0x53
const CLOSE_UNNAMED = close('S', '')

/** What the relay asks of its session. */
export interface RelayHost {
  /** A link, or null: `resume` is called when there is one. */
  checkout(): Link | null
  /** A session must give way before its next request. */
  mustYield(link: Link): boolean
  /** The link's side or our memory is full / has room again. */
  pauseClient(): void
  terminated(): void
  /** The client broke the protocol or used what is not supported. */
  refuse(code: 'protocol_violation' | 'message_too_large' | 'named_statement_refused', detail: string): void
}

export class Relay {
  link: Link | null = null
  readonly unnamed = new UnnamedStatement()
  readonly #host: RelayHost
  readonly #maxMessageBytes: number
  /** Whole or partial messages that were not forwarded yet; begins at a message. */
  #pending: Buffer | null = null
  /** Body bytes of a partly forwarded message that are still to come. */
  #streaming = 0
  #dropping = false
  /** Whole messages wait until the link's replies have come, see mustYield. */
  holding = false

  constructor(host: RelayHost, maxMessageBytes: number) {
    this.#host = host
    this.#maxMessageBytes = maxMessageBytes
  }

  /** No message is partly forwarded. */
  get atMessageBoundary(): boolean {
    return this.#streaming === 0
  }

  get pendingBytes(): number {
    return this.#pending === null ? 0 : this.#pending.length
  }

  feed(chunk: Buffer): void {
    if (this.#pending === null) return this.#run(chunk)
    const buffer = Buffer.concat([this.#pending, chunk])
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

  /** The link is gone in the middle: what was partly forwarded has no receiver any more. */
  unlink(): void {
    this.link = null
    this.holding = false
    this.unnamed.reset()
  }

  /** Keeps what is not forwarded; beyond the high-water mark the client has to wait. */
  #keep(buffer: Buffer, position: number): void {
    if (position >= buffer.length) return
    this.#pending = position === 0 ? buffer : buffer.subarray(position)
    if (this.#pending.length >= HIGH_WATER_BYTES && (this.link === null || this.holding)) this.#host.pauseClient()
  }

  #run(buffer: Buffer): void {
    const end = buffer.length
    let position = 0
    let start = 0
    if (this.#streaming > 0) {
      position = Math.min(this.#streaming, end)
      this.#streaming -= position
      if (this.#dropping) start = position
    }
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
      if (available < total && available < HIGH_WATER_BYTES && !(type === COPY_DATA && this.link !== null)) break
      if (type === TERMINATE) {
        this.#flush(buffer, start, position)
        return this.#host.terminated()
      }
      if (this.link === null) {
        const dropped = type === COPY_DATA || type === COPY_DONE || type === COPY_FAIL || type === FLUSH
        if (!dropped && this.#kindOf(buffer, position, type, available) === NOT_A_MESSAGE) return this.#notAMessage(type)
        if (!dropped) {
          // kept before the checkout: the link may come at once or later, through resume
          const link = this.#host.checkout()
          if (link === null) return this.#keep(buffer, position)
          this.link = link
          start = position
        } else {
          start = position + Math.min(total, available)
        }
        this.#dropping = dropped
        if (dropped) {
          position = start
          if (total > available) this.#streaming = total - available
          continue
        }
      }
      const link = this.link as Link
      if (link.ledger.owed > 0 && link.ledger.atBoundary && this.#mustHold(link, type)) {
        this.#flush(buffer, start, position)
        this.holding = true
        return this.#keep(buffer, position)
      }
      const kind = this.#kindOf(buffer, position, type, available)
      if (kind === NOT_A_MESSAGE) {
        this.#flush(buffer, start, position)
        return this.#notAMessage(type)
      }
      if (kind === ASKED.parse) {
        this.#flush(buffer, start, position)
        return this.#host.refuse('named_statement_refused', 'use the unnamed statement, or simple queries')
      }
      if (kind >= ASKED.parseUnnamed && kind <= ASKED.closeUnnamed && kind !== ASKED.none) {
        start = this.#extended(link, kind, buffer, start, position, total > KEPT_LIMIT || total > available ? -1 : position + total)
      }
      if (kind !== ASKED.none) link.ledger.asked(kind)
      if (total > available) {
        this.#streaming = total - available
        position = end
      } else position += total
    }
    this.#flush(buffer, start, position)
    this.#keep(buffer, position)
  }

  #mustHold(link: Link, type: number): boolean {
    return type !== COPY_DATA && type !== COPY_DONE && type !== COPY_FAIL && type !== FLUSH && this.#host.mustYield(link)
  }

  /** What the ledger has to know of a message: an ASKED, ASKED.none for those without an answer, NOT_A_MESSAGE. */
  #kindOf(buffer: Buffer, position: number, type: number, available: number): number {
    switch (type) {
      case QUERY:
        return ASKED.query
      case SYNC:
        return ASKED.sync
      case PARSE:
        return available > HEADER_LENGTH && buffer[position + HEADER_LENGTH] === 0 ? ASKED.parseUnnamed : ASKED.parse
      case BIND:
        return ASKED.bind
      case DESCRIBE:
        return ASKED.describe
      case EXECUTE:
        return ASKED.execute
      case CLOSE:
        return available > HEADER_LENGTH + 1 && buffer[position + HEADER_LENGTH] === STATEMENT && buffer[position + HEADER_LENGTH + 1] === 0
          ? ASKED.closeUnnamed
          : ASKED.close
      case FUNCTION_CALL:
        return ASKED.functionCall
      case COPY_DONE:
      case COPY_FAIL:
        return ASKED.copyEnd
      case COPY_DATA:
      case FLUSH:
        return ASKED.none
      default:
        return NOT_A_MESSAGE
    }
  }

  /** Keeps a `Parse ""`, or sees to it at the begin of a batch that the server holds this session's own. Answers where the run begins now. */
  #extended(link: Link, kind: number, buffer: Buffer, start: number, position: number, end: number): number {
    if (kind === ASKED.parseUnnamed) {
      if (!link.ledger.skipping && !link.ledger.copyIn) this.unnamed.parse(link, buffer, position, end)
      return start
    }
    if (link.ledger.batchOpen || link.ledger.skipping || link.ledger.copyIn) return start
    const invented = this.unnamed.prepare(link)
    if (invented === ASKED.none) return start
    this.#flush(buffer, start, position)
    link.ledger.asked(invented)
    this.#write(invented === ASKED.inventedParse ? this.unnamed.bytes : CLOSE_UNNAMED)
    return position
  }

  #flush(buffer: Buffer, start: number, end: number): void {
    if (start >= end || this.link === null) return
    this.#write(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end))
  }

  #write(bytes: Buffer): void {
    if (this.link?.write(bytes) === false) this.#host.pauseClient()
  }

  #tooLarge(length: number): void {
    if (length < 4) this.#host.refuse('protocol_violation', `a message cannot be ${length} bytes long`)
    else this.#host.refuse('message_too_large', `${length} bytes, max_packet_size allows ${this.#maxMessageBytes}`)
  }

  #notAMessage(type: number): void {
    this.#host.refuse('protocol_violation', `unexpected message type 0x${type.toString(16).padStart(2, '0')}`)
  }
}
