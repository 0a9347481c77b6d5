// HTTP listeners for probes, metrics and the status page, on the runtime's own server.
import { codeOf, hostPort, transportError } from './address.ts'
import { bunRuntime } from './bun_types.ts'
import { denoRuntime } from './deno_types.ts'
import { TransportError } from './transport.ts'

/** Nothing that is served here takes a large body. */
const MAX_BODY_BYTES = 64 * 1024
const IDLE_TIMEOUT_S = 30

/** Bun has a code for every cause but this one: the machine has no IPv6 at all. */
const NO_IPV6 = 'EAFNOSUPPORT'

/** Codes with which an address is missing on this machine, as IPv6 often is in a container. */
const NO_SUCH_ADDRESS = new Set(['EADDRNOTAVAIL', NO_IPV6])

export type FetchHandler = (request: Request) => Response | Promise<Response>

export interface HttpAddress {
  /** '' or '*' = all addresses: IPv6 with IPv4, or IPv4 alone where there is no IPv6. */
  readonly host: string
  readonly port: number
}

export interface HttpListener {
  /** The real address: port 0 is resolved. */
  readonly address: HttpAddress
  /** Stops accepting; resolves when the requests in progress have been answered. */
  close(): Promise<void>
}

const failed = (): Response => new Response('internal error\n', { status: 500 })

/** `handler` with a bounded body, and without detail in what is said of its errors (`onError` gets them). */
function guarded(handler: FetchHandler, onError: (error: unknown) => void): FetchHandler {
  return async (request) => {
    if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) return new Response('too large\n', { status: 413 })
    // a body of undeclared length has no use here, and no bound
    if (request.headers.has('transfer-encoding')) return new Response('length required\n', { status: 411 })
    try {
      return await handler(request)
    } catch (error) {
      onError(error)
      return failed()
    }
  }
}

function bind(host: string, port: number, handler: FetchHandler): HttpListener {
  if (bunRuntime !== undefined) {
    const server = bunRuntime.serve({
      hostname: host,
      port,
      idleTimeout: IDLE_TIMEOUT_S,
      maxRequestBodySize: MAX_BODY_BYTES,
      development: false,
      // outside development Bun shares the port, and two processes would answer in turn
      reusePort: false,
      fetch: handler,
      error: failed,
    })
    return { address: { host, port: server.port ?? port }, close: () => server.stop() }
  }
  if (denoRuntime !== undefined) {
    const server = denoRuntime.serve({ hostname: host, port, onListen: () => {}, onError: failed }, handler)
    return { address: { host, port: server.addr.port }, close: () => server.shutdown() }
  }
  throw new TransportError('ENOTSUP', 'HTTP is served on Bun and Deno only')
}

/**
 * Listens on `address` and answers with `handler`. An error of the handler becomes a 500 without detail and goes to
 * `onError`. Rejects with a TransportError (EADDRINUSE, EACCES, ...).
 */
export async function serveHttp(
  address: HttpAddress,
  handler: FetchHandler,
  onError: (error: unknown) => void = () => {},
): Promise<HttpListener> {
  const all = address.host === '' || address.host === '*'
  const guard = guarded(handler, onError)
  try {
    return bind(all ? '::' : address.host, address.port, guard)
  } catch (error) {
    const failure = transportError(systemError(error), `listen on ${hostPort(address.host, address.port)}`, all ? NO_IPV6 : 'ELISTEN')
    if (!all || !NO_SUCH_ADDRESS.has(failure.code)) throw failure
  }
  try {
    return bind('0.0.0.0', address.port, guard)
  } catch (error) {
    throw transportError(systemError(error), `listen on ${hostPort(address.host, address.port)}`, 'ELISTEN')
  }
}

/** Deno names the kind of an error where Node gives a code. */
function systemError(error: unknown): unknown {
  if (!(error instanceof Error) || codeOf(error) !== '') return error
  const code = { AddrInUse: 'EADDRINUSE', AddrNotAvailable: 'EADDRNOTAVAIL', PermissionDenied: 'EACCES' }[error.name]
  return code === undefined ? error : new TransportError(code, error.message)
}
