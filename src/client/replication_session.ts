// A client of replication: waits for a server connection of its own, and from then on passes bytes both ways until one side ends.
import type { Clock } from '../clock.ts'
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Transport, TransportEnd, TransportHandler } from '../net/transport.ts'
import type { Replications, ReplicationWaiter } from '../pool/replication.ts'
import { ServerRefusal } from '../server/refusal.ts'
import type { ReplicationLink, ReplicationRequest, ReplicationUser } from '../server/replication_link.ts'
import { MessageBoundary } from '../wire/boundary.ts'
import { COMMAND_COMPLETE, ERROR_RESPONSE, TERMINATE } from '../wire/codes.ts'
import { errorResponse } from '../wire/reply.ts'
import type { SessionMeter } from './session_meter.ts'
import { detailBeside, failureReply, lostLinkFatal, recyclingNotice } from './session_replies.ts'

interface ReplicationSessionParts {
  readonly id: number
  readonly database: string
  readonly transport: Transport
  readonly request: ReplicationRequest
  readonly replications: Replications<ReplicationLink, ReplicationRequest>
  readonly clock: Clock
  readonly log: Log
  readonly meter: SessionMeter
  /** `log_pooler_errors`. */
  readonly logErrors: boolean
  /** The client has its server: what it is greeted with. */
  welcome(link: ReplicationLink): Buffer
  /** Called once. */
  closed(reason: CloseReason): void
}

type ReplicationState = 'waiting' | 'active' | 'closed'

const LINGER_MS = 2000
/** What a client may send ahead of its welcome; PostgreSQL's drivers send nothing. */
const AHEAD_LIMIT = 64 * 1024
/** After one of these the server's end says nothing new: it has told why, or that the stream is over. */
const LAST_WORDS: ReadonlySet<number> = new Set([ERROR_RESPONSE, COMMAND_COMPLETE])

interface Ending {
  readonly error: PgleaseError
  readonly reason: CloseReason
}

export class ReplicationSession implements TransportHandler, ReplicationUser, ReplicationWaiter<ReplicationLink, ReplicationRequest> {
  readonly parts: ReplicationSessionParts
  state: ReplicationState = 'waiting'
  link: ReplicationLink | null = null
  readonly #sinceMs: number
  #ahead: Buffer[] = []
  #aheadBytes = 0
  readonly #fromClient = new MessageBoundary()
  readonly #fromServer = new MessageBoundary()
  /** It ends with the message that the client gets just now. */
  #ending: Ending | undefined

  constructor(parts: ReplicationSessionParts) {
    this.parts = parts
    this.#sinceMs = parts.clock.monotonicMs()
  }

  get request(): ReplicationRequest {
    return this.parts.request
  }

  // The client's side (TransportHandler).

  data(chunk: Buffer): void {
    if (this.state === 'closed') return
    this.parts.meter.received(chunk.length)
    this.#fromClient.pass(chunk)
    if (this.#fromClient.broken) return this.fail(new PgleaseError('protocol_violation', 'invalid length'), 'client_protocol_violation')
    if (this.link !== null) {
      if (!this.link.write(chunk)) this.parts.transport.pause()
      return
    }
    this.#ahead.push(chunk)
    this.#aheadBytes += chunk.length
    if (this.#aheadBytes <= AHEAD_LIMIT) return
    this.fail(new PgleaseError('protocol_violation', 'too much was sent before the login was over'), 'client_protocol_violation')
  }

  drain(): void {
    this.link?.resume()
  }

  end(): void {
    this.#close(this.#terminated ? 'client_terminated' : 'client_lost')
  }

  close(_end: TransportEnd): void {
    this.end()
  }

  // The wait (ReplicationWaiter).

  linkReady(link: ReplicationLink): void {
    const { parts } = this
    parts.meter.waited(parts.clock.monotonicMs() - this.#sinceMs)
    this.state = 'active'
    this.link = link
    link.user = this
    parts.transport.write(parts.welcome(link))
    for (const chunk of this.#ahead.splice(0)) link.write(chunk)
  }

  linkRefused(error: PgleaseError): void {
    this.parts.meter.waited(this.parts.clock.monotonicMs() - this.#sinceMs)
    this.fail(error, error.code === 'query_wait_timeout' ? 'query_wait_timeout' : 'login_failed')
  }

  // The server's side (ReplicationUser).

  forward(chunk: Buffer): boolean {
    const { transport, meter } = this.parts
    if (this.#ending === undefined) {
      this.#fromServer.pass(chunk)
      if (this.#fromServer.broken) this.#close('server_protocol_violation')
      else {
        meter.sent(chunk.length)
        return transport.write(chunk)
      }
      return true
    }
    const end = this.#fromServer.rest(chunk)
    meter.sent(end)
    const more = transport.write(chunk.subarray(0, end))
    if (this.#fromServer.reached || this.#fromServer.broken) this.fail(this.#ending.error, this.#ending.reason)
    return more
  }

  serverDrained(): void {
    this.parts.transport.resume()
  }

  serverLost(): void {
    this.link = null
    if (this.#terminated) return this.#close('client_terminated')
    if (this.#fromServer.reached && !LAST_WORDS.has(this.#fromServer.type)) {
      this.parts.meter.clientError('server_lost')
      this.parts.transport.write(lostLinkFatal(undefined))
    }
    this.#close('server_lost_in_replication')
  }

  recycle(atOnce = false): boolean {
    const error = new PgleaseError('replication_recycled')
    if (!atOnce) return this.endSoon(error, 'replication_recycled')
    this.fail(error, 'replication_recycled')
    return true
  }

  /** Tells the client with FATAL and closes, as soon as it has the whole of the message that it gets. True = it is closed now. */
  endSoon(error: PgleaseError, reason: CloseReason): boolean {
    if (this.state === 'closed') return true
    this.#ending ??= { error, reason }
    if (this.#fromServer.reached) this.fail(error, reason)
    return this.#fromServer.reached
  }

  /** Closes at once; the client is told if it can be: not within a message. */
  fail(error: PgleaseError, reason: CloseReason): void {
    if (this.state === 'closed') return
    const { meter, transport, log, logErrors, database, id } = this.parts
    meter.clientError(error.code)
    if (this.#fromServer.reached) {
      if (reason === 'replication_recycled') transport.write(recyclingNotice())
      transport.write(replyTo(error))
    }
    const detail = detailBeside(error)
    const message = `replication: ${error.message}${detail === '' ? '' : ` (${detail})`}`
    if (logErrors) log.info('pooler_error', message, { database, client: id, code: error.code })
    this.#close(reason)
  }

  /** The client has said that it goes. */
  get #terminated(): boolean {
    return this.#fromClient.reached && this.#fromClient.type === TERMINATE
  }

  #close(reason: CloseReason): void {
    if (this.state === 'closed') return
    const { link, parts } = this
    if (this.state === 'waiting') parts.replications.leave(this)
    this.state = 'closed'
    this.link = null
    link?.shut(reason === 'replication_recycled' ? 'rotated' : reason, this.#fromClient.reached && !this.#terminated)
    if (reason === 'client_terminated') parts.transport.close()
    else parts.transport.end(LINGER_MS)
    parts.closed(reason)
  }
}

/** What the server said of this very login is passed on in its words: the client's parameters and its role's rights are its own business. */
function replyTo(error: PgleaseError): Buffer {
  if (!(error instanceof ServerRefusal)) return failureReply(error)
  return errorResponse({ severity: 'FATAL', sqlstate: error.serverSqlstate, message: error.serverMessage })
}
