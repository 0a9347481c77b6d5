// Opens a connection to a server, up to the point where the StartupMessage is due: TCP or unix socket, and TLS by sslmode.
import type { Clock } from '../clock.ts'
import { type ErrorCode, PgleaseError } from '../errors.ts'
import { addressText } from '../net/address.ts'
import { type Address, type Network, type TlsClientOptions, type Transport, TransportError } from '../net/transport.ts'
import type { Secret } from '../secret.ts'
import type { DatabaseSettings } from '../settings/settings.ts'
import { ERROR_RESPONSE } from '../wire/codes.ts'
import { sslRequest } from '../wire/pgprotocol.ts'

/** server_tls_sslmode. */
export type SslMode = DatabaseSettings['server_tls_sslmode']

export interface DialTarget {
  readonly address: Address
  readonly sslmode: SslMode
  /** PEM texts. `ca`: undefined = the system's certificates; with `require` it makes the chain verified, as in libpq. */
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: Secret | undefined
  /** The host name of the configuration, also when `address` is an IP address of it. */
  readonly serverName: string
}

/** The peer's name is proven or it is a unix socket: what a clear password asks for. */
export const isVerified = (target: DialTarget): boolean => target.address.kind === 'unix' || target.sslmode === 'verify-full'

const HOST_NOT_FOUND = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME', 'EAI_FAIL', 'ENODATA'])
const TIMED_OUT = new Set(['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'CONNECT_TIMEOUT'])
/** A handshake that ends so says nothing about certificates: the server went away. */
const WENT_AWAY = new Set(['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ECONNREFUSED'])

function asPgleaseError(error: unknown, where: string, during: 'connect' | 'handshake'): PgleaseError {
  if (error instanceof PgleaseError) return error
  if (!(error instanceof TransportError)) throw error
  const detail = error.message.includes(where) ? error.message : `${where}: ${error.message}`
  let code: ErrorCode = during === 'connect' || WENT_AWAY.has(error.code) ? 'connect_refused' : 'tls_failed'
  if (HOST_NOT_FOUND.has(error.code)) code = 'host_not_found'
  if (TIMED_OUT.has(error.code)) code = 'connect_timeout'
  return new PgleaseError(code, detail)
}

/** One signal that aborts on the deadline or the caller's wish, and says which. */
class Deadline {
  readonly #controller = new AbortController()
  readonly #end: () => void
  /** Rejects when the time is over. */
  readonly over: Promise<never>

  constructor(where: string, timeoutMs: number, clock: Clock, signal: AbortSignal | undefined) {
    let reject: (error: PgleaseError) => void = () => {}
    this.over = new Promise<never>((_, rejectPromise) => {
      reject = rejectPromise
    })
    // an attempt that ended in time leaves it unused
    this.over.catch(() => {})
    const stop = (error: PgleaseError) => {
      reject(error)
      this.#controller.abort()
    }
    const late = () => stop(new PgleaseError('connect_timeout', `${where}: no connection within ${timeoutMs} ms`))
    const timer = timeoutMs > 0 ? clock.after(timeoutMs, late) : undefined
    const given = () => stop(new PgleaseError('connect_refused', `${where}: given up`))
    if (signal?.aborted) given()
    signal?.addEventListener('abort', given, { once: true })
    this.#end = () => {
      timer?.cancel()
      signal?.removeEventListener('abort', given)
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(): void {
    this.#end()
  }
}

/**
 * Connects within `timeoutMs` (0 = no limit). TLS as in libpq and pgbouncer: disable never; prefer if the server will, unverified,
 * with no second attempt in clear text when the handshake fails; require always; verify-ca and verify-full also check. Never
 * on a unix socket. Rejects with a PgleaseError: connect_refused, connect_timeout, host_not_found, tls_failed. The caller sets
 * the transport's handler before it awaits anything else.
 */
export async function dial(
  network: Network,
  target: DialTarget,
  timeoutMs: number,
  clock: Clock,
  signal?: AbortSignal,
): Promise<Transport> {
  const where = addressText(target.address)
  const deadline = new Deadline(where, timeoutMs, clock, signal)
  try {
    const transport = await connect(network, target.address, deadline)
    if (target.address.kind === 'unix' || target.sslmode === 'disable') return transport
    try {
      await Promise.race([negotiateTls(transport, target, where), deadline.over])
    } catch (error) {
      transport.destroy()
      throw error
    }
    return transport
  } catch (error) {
    throw asPgleaseError(error, where, 'connect')
  } finally {
    deadline.end()
  }
}

function connect(network: Network, address: Address, deadline: Deadline): Promise<Transport> {
  const attempt = network.connect(address, deadline.signal)
  // one that comes too late has no owner
  const late = () => attempt.then((transport) => transport.destroy()).catch(() => {})
  deadline.over.catch(late)
  return Promise.race([attempt, deadline.over])
}

async function negotiateTls(transport: Transport, target: DialTarget, where: string): Promise<void> {
  const answer = await askForTls(transport, where)
  if (answer === 'N') {
    if (target.sslmode === 'prefer') return
    throw new PgleaseError('tls_failed', `${where}: the server does not support TLS, but server_tls_sslmode is ${target.sslmode}`)
  }
  try {
    await transport.startTls({ role: 'client', client: tlsOptions(target) })
  } catch (error) {
    throw asPgleaseError(error, where, 'handshake')
  }
}

function tlsOptions(target: DialTarget): TlsClientOptions {
  let verify: TlsClientOptions['verify'] = 'none'
  if (target.sslmode === 'verify-ca' || (target.sslmode === 'require' && target.ca !== undefined)) verify = 'ca'
  if (target.sslmode === 'verify-full') verify = 'full'
  return {
    serverName: target.serverName,
    verify,
    alpn: ['postgresql'],
    ...(target.ca !== undefined && { ca: target.ca }),
    ...(target.cert !== undefined && { cert: target.cert }),
    ...(target.key !== undefined && { key: target.key }),
  }
}

/** libpq's words. */
const INJECTED = 'received unencrypted data after SSL response'

/** Sends SSLRequest and takes exactly one byte: anything more was sent by somebody who wants it read as if it were encrypted. */
function askForTls(transport: Transport, where: string): Promise<'S' | 'N'> {
  return new Promise((resolve, reject) => {
    const refuse = (code: ErrorCode, detail: string) => {
      reject(new PgleaseError(code, `${where}: ${detail}`))
      transport.destroy()
    }
    const ended = (detail: string) => refuse('connect_refused', `the connection ended before the answer to SSLRequest${detail}`)
    let answered = false
    transport.setHandler({
      data(chunk) {
        const answer = String.fromCharCode(chunk[0] ?? 0)
        if (answered) refuse('tls_failed', INJECTED)
        else if (answer === 'E') refuse('connect_refused', 'the server answered SSLRequest with an error')
        else if (answer !== 'S' && answer !== 'N') refuse('server_misbehaved', 'an unknown answer to SSLRequest')
        else if (answer === 'N' && chunk[1] === ERROR_RESPONSE) refuse('connect_refused', 'the server declined TLS and ended with an error')
        else if (chunk.length > 1) refuse('tls_failed', INJECTED)
        else {
          answered = true
          resolve(answer)
        }
      },
      drain() {},
      end: () => ended(''),
      close: (end) => ended(end.code === '' ? '' : ` (${end.code})`),
    })
    transport.write(sslRequest())
  })
}

/** Tries the targets in turn, each with the whole of `timeoutMs`, and rejects with the last one's error. The list has one target at least. */
export async function dialFirst<T extends DialTarget>(
  network: Network,
  targets: readonly T[],
  timeoutMs: number,
  clock: Clock,
  signal?: AbortSignal,
): Promise<{ transport: Transport; target: T }> {
  let last: unknown = new PgleaseError('host_not_found', 'no host is configured')
  for (const target of targets) {
    if (signal?.aborted) throw new PgleaseError('connect_refused', `${addressText(target.address)}: given up`)
    try {
      return { transport: await dial(network, target, timeoutMs, clock, signal), target }
    } catch (error) {
      last = error
    }
  }
  throw last
}
