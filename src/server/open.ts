// Opens a link: resolves the host, dials, logs in with one credential, runs connect_query.
import { readFileSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import type { Credential } from '../credential.ts'
import { PgleaseError } from '../errors.ts'
import { resolveHost } from '../net/dns.ts'
import { type Network, type Transport, TransportError } from '../net/transport.ts'
import { Secret } from '../secret.ts'
import { type ParameterNames, Parameters } from '../wire/parameters.ts'
import type { ScramCache } from '../wire/scram.ts'
import { type DialTarget, dialFirst, isVerified, type SslMode } from './dial.ts'
import { Link, type LinkMeter } from './link.ts'
import { type AuthMethod, type LoggedIn, login } from './login.ts'
import { simpleQuery } from './query.ts'

/** What a link needs of a database's settings; see settings/settings.ts. */
export interface OpenSettings {
  readonly host: string
  readonly port: number
  readonly dbname: string
  readonly connect_query: string | undefined
  readonly server_role: string | undefined
  readonly server_tls_sslmode: SslMode
  readonly server_tls_ca_file: string | undefined
  readonly server_tls_cert_file: string | undefined
  readonly server_tls_key_file: string | undefined
  readonly server_require_auth: readonly AuthMethod[]
}

export interface OpenParts {
  readonly network: Network
  readonly clock: Clock
  readonly settings: OpenSettings
  /** Milliseconds for the connection, and again for the login. */
  readonly timeoutMs: number
  readonly names: ParameterNames
  readonly scramCache: ScramCache
  readonly meter: LinkMeter
  readonly nextId: () => number
}

/** Read at each login, so that certificates may be replaced while pglease runs. */
function readPem(file: string | undefined, setting: string): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch {
    throw new PgleaseError('tls_failed', `${setting}: ${file} cannot be read`)
  }
}

/** The addresses of a database, in the order in which they are tried. Rejects with host_not_found or connect_timeout. */
export async function targetsOf(settings: OpenSettings, timeoutMs: number, clock: Clock): Promise<DialTarget[]> {
  const key = readPem(settings.server_tls_key_file, 'server_tls_key_file')
  const tls = {
    sslmode: settings.server_tls_sslmode,
    ca: readPem(settings.server_tls_ca_file, 'server_tls_ca_file'),
    cert: readPem(settings.server_tls_cert_file, 'server_tls_cert_file'),
    key: key === undefined ? undefined : new Secret(key),
    serverName: settings.host,
  }
  if (settings.host.startsWith('/')) return [{ ...tls, address: { kind: 'unix', path: `${settings.host}/.s.PGSQL.${settings.port}` } }]
  try {
    const addresses = await resolveHost(settings.host, timeoutMs > 0 ? timeoutMs : undefined, clock)
    return addresses.map((host) => ({ ...tls, address: { kind: 'tcp', host, port: settings.port } }))
  } catch (error) {
    if (!(error instanceof TransportError)) throw error
    throw new PgleaseError(error.code === 'ETIMEDOUT' ? 'connect_timeout' : 'host_not_found', `${settings.host}: ${error.message}`)
  }
}

/** Rejects with a PgleaseError; the credential is never in it. */
export async function openLink(parts: OpenParts, credential: Credential): Promise<Link> {
  const { clock, settings, timeoutMs } = parts
  const targets = await targetsOf(settings, timeoutMs, clock)
  const { transport, target } = await dialFirst(parts.network, targets, timeoutMs, clock)
  const loggedIn = await login(transport, {
    credential,
    database: settings.dbname,
    parameters: settings.server_role === undefined ? [] : [['role', settings.server_role]],
    requireAuth: settings.server_require_auth,
    secure: isVerified(target),
    scramCache: parts.scramCache,
    timeoutMs,
    clock,
  })
  if (settings.connect_query !== undefined) await runConnectQuery(transport, settings.connect_query, parts, loggedIn)
  const parameters = new Parameters(parts.names)
  for (const [name, value] of loggedIn.parameters) parameters.set(name, value)
  return new Link(
    transport,
    {
      id: parts.nextId(),
      generation: credential.generation,
      openedAtMs: clock.monotonicMs(),
      processId: loggedIn.processId,
      secretKey: loggedIn.secretKey,
      target,
      parameters,
      welcome: loggedIn.parameters,
      hasServerRole: settings.server_role !== undefined,
    },
    parts.meter,
  )
}

async function runConnectQuery(transport: Transport, sql: string, parts: OpenParts, loggedIn: LoggedIn): Promise<void> {
  const answer = await simpleQuery(transport, sql, { timeoutMs: parts.timeoutMs, clock: parts.clock })
  for (const [name, value] of answer.parameters) loggedIn.parameters.set(name, value)
  if (answer.error === undefined && answer.status === 'I') return
  transport.end()
  throw new PgleaseError('connect_query_failed', answer.error?.message ?? 'it leaves a transaction open')
}
