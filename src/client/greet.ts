// A client's first bytes, up to the point where it may send queries: SSLRequest, cancel, startup, authentication, welcome.
import type { Timer } from '../clock.ts'
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Identity } from '../identity.ts'
import type { Transport, TransportEnd, TransportHandler } from '../net/transport.ts'
import type { WelcomeWaiter } from '../pool/welcome.ts'
import { errorResponse } from '../wire/reply.ts'
import type { StartupMessage } from '../wire/startup.ts'
import type { Admission } from './admission.ts'
import { beginReplication, beginSession, type Guest } from './begin.ts'
import type { Destination, GreetParts } from './greet_parts.ts'
import type { CancelKey, Newcomer } from './registry.ts'
import type { Wishes } from './startup_parameters.ts'

const LINGER_MS = 2000
/** What a client may send ahead of its welcome; PostgreSQL's drivers send nothing. */
const AHEAD_LIMIT = 64 * 1024

const NO_BYTES = Buffer.alloc(0)
const DECLINED = Buffer.from('N')
/** Connections that have not said who they are: this many times max_client_conn, as PostgreSQL allows. */
const SILENT_SHARE = 2

/** first: bytes of a first packet; deciding: authentication; waiting: for what the server says at login; over: done or closed. */
type GreetingState = 'first' | 'deciding' | 'waiting' | 'over'

export class Greeting implements TransportHandler, WelcomeWaiter, Newcomer {
  readonly #parts: GreetParts
  readonly #transport: Transport
  #state: GreetingState = 'first'
  #received: Buffer = NO_BYTES
  #requests = 0
  #counted = false
  /** The place that this client has taken, until its session has it. */
  #place: Admission | undefined
  #silent = true
  #timer: Timer | undefined
  #startup: StartupMessage | undefined
  #destination: Destination | undefined
  #parameters: Wishes = []

  constructor(transport: Transport, parts: GreetParts) {
    this.#parts = parts
    this.#transport = transport
    const { client_login_timeout: timeoutMs, max_client_conn } = parts.settings()
    parts.registry.silent++
    transport.setHandler(this)
    // cancel requests come here too, and must get through when the limit on clients is reached
    if (max_client_conn > 0 && parts.registry.silent > SILENT_SHARE * max_client_conn) this.#leave('client_limit')
    else if (timeoutMs > 0) this.#timer = parts.clock.after(timeoutMs, () => this.#timedOut())
  }

  data(chunk: Buffer): void {
    if (this.#state === 'over') return
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (this.#state === 'first') this.#read()
    const waits = this.#state === 'deciding' || this.#state === 'waiting'
    if (waits && this.#received.length > AHEAD_LIMIT)
      this.#fail(new PgleaseError('protocol_violation', 'too much was sent before the login was over'))
  }

  drain(): void {}

  end(): void {
    this.#leave(this.#received.length === 0 && this.#requests === 0 ? 'probe' : 'client_lost')
  }

  close(_end: TransportEnd): void {
    this.end()
  }

  #read(): void {
    const packet = this.#parts.startups.parse(this.#received)
    switch (packet.kind) {
      case 'need_more':
        return
      case 'invalid':
        return this.#fail(new PgleaseError(packet.code, packet.detail))
      case 'ssl_request':
      case 'gss_request':
        return this.#declineEncryption(packet.length)
      case 'cancel_request':
        return this.#cancel(packet)
      case 'startup':
        this.#received = this.#received.length === packet.length ? NO_BYTES : this.#received.subarray(packet.length)
        this.#startup = packet
        return this.#begin(packet)
    }
  }

  #declineEncryption(length: number): void {
    // one SSLRequest and one GSSENCRequest at most, as PostgreSQL allows
    if (++this.#requests > 2) return this.#fail(new PgleaseError('bad_startup_packet', 'too many requests for encryption'))
    // as PostgreSQL: what came before the answer could have been slipped in by someone on the way
    if (this.#received.length > length)
      return this.#fail(new PgleaseError('bad_startup_packet', 'received unencrypted data after a request for encryption'))
    this.#received = NO_BYTES
    this.#transport.write(DECLINED)
  }

  #cancel(request: CancelKey): void {
    this.#over()
    // answered by the end of the connection, when the server has taken the request
    const done = () => {
      this.#transport.end(LINGER_MS)
      this.#parts.greetingFailed(undefined, 'cancel_request')
    }
    this.#parts.cancelRequest(request).then(done, done)
  }

  #begin(startup: StartupMessage): void {
    const { settings, registry } = this.#parts
    if (this.#parts.refusing()) return this.#fail(new PgleaseError('shutting_down'))
    const limit = settings().max_client_conn
    if (limit > 0 && registry.size >= limit) return this.#fail(new PgleaseError('too_many_clients'), 'client_limit')
    this.#spoke()
    registry.beginGreeting(this)
    this.#counted = true
    this.#state = 'deciding'
    this.#parts.authenticate({ user: startup.user, database: startup.database }).then(
      (identity) => this.#authenticated(startup, identity),
      (error: unknown) => this.#fail(error instanceof PgleaseError ? error : new PgleaseError('protocol_violation', 'the login failed')),
    )
  }

  #authenticated(startup: StartupMessage, identity: Identity): void {
    if (this.#state !== 'deciding') return
    const { replication } = startup
    const destination = this.#parts.route(identity, replication === 'physical')
    if (destination === undefined) return this.#fail(new PgleaseError('no_such_database', startup.database))
    const ignored = this.#parts.settings().ignore_startup_parameters
    const parameters = replication === undefined ? this.#parts.startups.tracked(startup, ignored) : []
    if (parameters instanceof PgleaseError) return this.#fail(parameters)
    const full = destination.admission.enter()
    if (full !== undefined) return this.#fail(full, 'client_limit')
    this.#place = destination.admission
    this.#parameters = parameters
    this.#destination = destination
    this.#state = 'waiting'
    if (replication !== undefined) return beginReplication(this.#parts, replication, this.#handOver(startup, destination))
    destination.pool.welcome.tell(this)
  }

  welcome(server: ReadonlyMap<string, string>): void {
    const startup = this.#startup
    const destination = this.#destination
    if (this.#state !== 'waiting' || startup === undefined || destination === undefined) return
    beginSession(this.#parts, this.#handOver(startup, destination), server, this.#parameters)
  }

  /** The greeting is over, and the client's place is that of what follows. */
  #handOver(startup: StartupMessage, destination: Destination): Guest {
    this.#place = undefined
    this.#over()
    return { transport: this.#transport, startup, destination, ahead: this.#received }
  }

  turnAway(reason: CloseReason): void {
    this.#fail(new PgleaseError('shutting_down'), reason)
  }

  welcomeRefused(error: PgleaseError): void {
    this.#fail(error, 'login_failed')
  }

  #timedOut(): void {
    const waiting = this.#state === 'waiting'
    const cause = this.#destination?.pool.cause ?? ''
    // a connection that never sent a byte is a probe that forgot to close
    if (this.#received.length === 0 && this.#startup === undefined && this.#requests === 0) return this.#leave('probe')
    this.#fail(new PgleaseError(waiting ? 'client_login_timeout_server_down' : 'client_login_timeout', cause), 'client_login_timeout')
  }

  #fail(error: PgleaseError, reason: CloseReason = 'client_login_failed'): void {
    if (this.#state === 'over') return
    this.#over()
    const { sqlstate, message, hint } = error
    const detail = message.includes(error.detail) ? '' : error.detail
    this.#transport.write(errorResponse({ severity: 'FATAL', sqlstate, message, detail, hint }))
    this.#transport.end(LINGER_MS)
    this.#parts.greetingFailed(error, reason)
  }

  #leave(reason: CloseReason): void {
    if (this.#state === 'over') return
    this.#over()
    this.#transport.close()
    this.#parts.greetingFailed(undefined, reason)
  }

  /** The connection counts among the silent ones no more. */
  #spoke(): void {
    if (this.#silent) this.#parts.registry.silent--
    this.#silent = false
  }

  #over(): void {
    this.#spoke()
    this.#destination?.pool.welcome.leave(this)
    this.#state = 'over'
    this.#timer?.cancel()
    if (this.#counted) this.#parts.registry.endGreeting(this)
    this.#counted = false
    this.#place?.leave()
    this.#place = undefined
  }
}
