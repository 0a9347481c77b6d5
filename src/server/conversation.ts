// Takes turns with a server on a transport: one message at a time, within a deadline and a budget of bytes.
import type { Clock, Timer } from '../clock.ts'
import { type ErrorCode, PgleaseError } from '../errors.ts'
import type { Transport, TransportEnd, TransportHandler } from '../net/transport.ts'
import { AUTHENTICATION_MESSAGE_LIMIT, ERROR_RESPONSE } from '../wire/codes.ts'
import { MessageReader } from '../wire/message_reader.ts'
import { parseFields } from '../wire/reply.ts'
import { ServerRefusal, safeText } from './refusal.ts'

/** Of TransportEnd, for an alert or a broken record: Bun says EPROTO, Node ERR_SSL_... */
const TLS_CODES = /^(EPROTO|ERR_SSL_)/

export interface Message {
  readonly type: number
  readonly body: Buffer
  /** Header included. */
  readonly whole: Buffer
}

interface ConversationOptions {
  readonly clock: Clock
  /** 0 = no limit. */
  readonly timeoutMs: number
  /** All that the server may send during the conversation. */
  readonly budgetBytes: number
  /** For error texts, e.g. 'the login'. */
  readonly what: string
  /** The error when the connection ends on the way. */
  readonly lost: ErrorCode
  /** Longest single message; 65,535 unless told. */
  readonly messageLimit?: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The transport's handler for as long as it lasts. Every failure destroys the transport and is one PgleaseError for the caller.
 * After finish() the caller sets its own handler before it awaits anything else: no event can come in between.
 */
export class Conversation implements TransportHandler {
  readonly #transport: Transport
  readonly #options: ConversationOptions
  readonly #reader: MessageReader
  readonly #timer: Timer | undefined
  readonly #abort: () => void
  #received = 0
  /** Set when the server has closed its side, or the connection broke. */
  #ended: PgleaseError | undefined
  #failure: PgleaseError | undefined
  #finished = false
  #wake: (() => void) | undefined

  constructor(transport: Transport, options: ConversationOptions) {
    this.#transport = transport
    this.#options = options
    this.#reader = new MessageReader(options.messageLimit ?? AUTHENTICATION_MESSAGE_LIMIT)
    const late = () => this.fail(this.error('connect_timeout', `${options.what} took more than ${options.timeoutMs} ms`))
    this.#timer = options.timeoutMs > 0 ? options.clock.after(options.timeoutMs, late) : undefined
    this.#abort = () => this.fail(this.error(options.lost, `${options.what} was given up`))
    transport.setHandler(this)
    if (options.signal?.aborted) this.#abort()
    else options.signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** An error whose detail begins with the server's address. */
  error(code: ErrorCode, detail: string): PgleaseError {
    return new PgleaseError(code, `${this.#transport.remoteAddress}: ${detail}`)
  }

  violation(detail: string): PgleaseError {
    return this.error('server_misbehaved', detail)
  }

  write(bytes: Uint8Array): void {
    this.#transport.write(bytes)
  }

  /** The next message. Rejects with a PgleaseError; what came before the connection's end is still delivered. */
  async next(): Promise<Message> {
    for (;;) {
      if (this.#failure) throw this.#failure
      const read = this.#reader.next()
      if (read.kind === 'message') return read
      if (read.kind === 'invalid') {
        this.fail(this.violation(read.detail))
      } else if (this.#ended !== undefined) {
        this.fail(this.#ended)
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }

  /** Received bytes that next() has not returned yet. */
  get pending(): number {
    return this.#reader.pending
  }

  /** The conversation is over and the transport lives on, with nothing left over. */
  finish(): void {
    this.#finished = true
    this.#timer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#abort)
  }

  /** Destroys the transport; the first failure is what next() reports. */
  fail(error: PgleaseError): void {
    if (this.#finished) return
    this.#failure ??= error
    this.finish()
    this.#transport.destroy()
    this.#resume()
  }

  #resume(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  data(chunk: Buffer): void {
    if (this.#finished) return
    this.#received += chunk.length
    if (this.#received > this.#options.budgetBytes) {
      this.fail(this.violation(`more than ${this.#options.budgetBytes} bytes during ${this.#options.what}`))
      return
    }
    this.#reader.push(chunk)
    this.#resume()
  }

  drain(): void {}

  end(): void {
    this.#ended ??= this.#endedError(this.#options.lost, '')
    this.#resume()
  }

  close(end: TransportEnd): void {
    const broken = end.kind === 'error'
    // under TLS 1.3 a server refuses the client's certificate after the handshake: no retry will help
    const code = broken && this.#transport.secure && TLS_CODES.test(end.code) ? 'tls_failed' : this.#options.lost
    this.#ended ??= this.#endedError(code, broken ? ` (${safeText(end.message) || end.code})` : '')
    this.#resume()
  }

  #endedError(code: ErrorCode, how: string): PgleaseError {
    return this.error(code, `the connection ended during ${this.#options.what}${how}`)
  }
}

/** What an ErrorResponse says, as an error; undefined for other messages. */
export function refusalIn(message: Message, transport: Transport, secret: string, code?: ErrorCode): ServerRefusal | undefined {
  if (message.type !== ERROR_RESPONSE) return undefined
  return new ServerRefusal(transport.remoteAddress, parseFields(message.body), secret, code)
}
