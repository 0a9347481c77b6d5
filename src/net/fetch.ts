// A fetch function that trusts, presents and reaches what the settings say, for the HTTP client of Vault.
import type { Secret } from '../secret.ts'
import { bunRuntime } from './bun_types.ts'
import { type DenoHttpClient, denoRuntime } from './deno_types.ts'
import { TransportError } from './transport.ts'

export interface FetchOptions {
  /** PEM text of one or more authorities; undefined = the system's. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: Secret
  /** Verified in place of the URL's host name, and sent as SNI. */
  readonly serverName?: string
  readonly skipVerify?: boolean
  /** Past the proxies that the environment names (Bun only); undefined = as the environment says. */
  readonly direct?: boolean
  /** Path of a socket to connect to in place of the URL's host. */
  readonly unixSocket?: string
}

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** Each certificate of `pem` for itself, as the runtimes want them. */
function certificatesOf(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [pem]
}

/**
 * `fetch` under `options`. Redirects are never followed: a token goes to the configured origin only (`redirect: manual`).
 * Throws a TransportError for what this runtime cannot do, rather than verify less.
 */
export function makeFetch(options: FetchOptions): Fetch {
  if (bunRuntime !== undefined) return bunFetch(options)
  if (denoRuntime !== undefined) return denoFetch(options)
  throw new TransportError('ENOTSUP', 'HTTP requests are made on Bun and Deno only')
}

function bunFetch(options: FetchOptions): Fetch {
  const extra = {
    tls: {
      rejectUnauthorized: options.skipVerify !== true,
      ...(options.ca !== undefined && { ca: certificatesOf(options.ca) }),
      ...(options.cert !== undefined && { cert: options.cert }),
      ...(options.key !== undefined && { key: options.key.reveal() }),
      ...(options.serverName !== undefined && { serverName: options.serverName }),
    },
    ...(options.unixSocket !== undefined && { unix: options.unixSocket }),
    ...(options.direct === true && { proxy: false }),
    redirect: 'manual' as const,
  }
  return (input, init) => fetch(input, { ...init, ...extra })
}

function denoFetch(options: FetchOptions): Fetch {
  if (options.serverName !== undefined) throw new TransportError('ENOTSUP', 'another server name than the host cannot be verified on Deno')
  if (options.skipVerify === true) {
    throw new TransportError('ENOTSUP', 'on Deno only its flag --unsafely-ignore-certificate-errors turns the verification off')
  }
  const client: DenoHttpClient | undefined = denoRuntime?.createHttpClient({
    // on a connection that was used before, a request whose answer is lost would be repeated without a word
    poolMaxIdlePerHost: 0,
    ...(options.ca !== undefined && { caCerts: certificatesOf(options.ca) }),
    ...(options.cert !== undefined && options.key !== undefined && { cert: options.cert, key: options.key.reveal() }),
    ...(options.unixSocket !== undefined && { proxy: { transport: 'unix' as const, path: options.unixSocket } }),
  })
  const extra = { client, redirect: 'manual' as const }
  return (input, init) => fetch(input, { ...init, ...extra } as RequestInit)
}

/**
 * The body of `response` as text. Rejects with a TransportError ETOOLARGE once it is longer than `maxBytes`, without
 * reading the rest.
 */
export async function readCapped(response: Response, maxBytes: number): Promise<string> {
  if (response.body === null) return ''
  const reader = response.body.getReader()
  const chunks: Uint8Array[] = []
  let length = 0
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    length += part.value.length
    if (length > maxBytes) {
      await reader.cancel()
      throw new TransportError('ETOOLARGE', `the answer is longer than ${maxBytes} bytes`)
    }
    chunks.push(part.value)
  }
  return Buffer.concat(chunks).toString('utf8')
}
