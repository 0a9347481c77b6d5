// Opens a link: chooses the host, resolves it, dials, logs in with one credential, tests the server, runs connect_query.
import { readFileSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import type { Credential } from '../credential.ts'
import { type ErrorCode, PgleaseError } from '../errors.ts'
import { addressText } from '../net/address.ts'
import type { DnsCache } from '../net/dns_cache.ts'
import { type Network, type Transport, TransportError } from '../net/transport.ts'
import { Secret } from '../secret.ts'
import { type ParameterNames, Parameters } from '../wire/parameters.ts'
import { terminate } from '../wire/pgprotocol.ts'
import type { ScramCache } from '../wire/scram.ts'
import { type DialTarget, dialFirst, isVerified, type SslMode } from './dial.ts'
import type { Hosts, ServerHost } from './hosts.ts'
import { Link, type LinkMeter } from './link.ts'
import { type AuthMethod, type LoggedIn, login } from './login.ts'
import { simpleQuery } from './query.ts'
import { fitOf, type SessionAttribute, unfitText } from './session_attributes.ts'

/** What a link needs of a database's settings; see settings/settings.ts. */
export interface OpenSettings {
  readonly target_session_attrs: SessionAttribute
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
  readonly hosts: Hosts
  readonly dns: DnsCache
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

/** The addresses of a host, in the order in which they are tried. Rejects with host_not_found or connect_timeout. */
async function targetsOf({ settings, hosts, dns }: OpenParts, { host, port }: ServerHost, timeoutMs: number): Promise<DialTarget[]> {
  const key = readPem(settings.server_tls_key_file, 'server_tls_key_file')
  const tls = {
    sslmode: settings.server_tls_sslmode,
    ca: readPem(settings.server_tls_ca_file, 'server_tls_ca_file'),
    cert: readPem(settings.server_tls_cert_file, 'server_tls_cert_file'),
    key: key === undefined ? undefined : new Secret(key),
    serverName: host,
  }
  if (host.startsWith('/')) return [{ ...tls, address: { kind: 'unix', path: `${host}/.s.PGSQL.${port}` } }]
  try {
    const addresses = await dns.resolve(host, timeoutMs > 0 ? timeoutMs : undefined)
    return hosts.addressOrder(addresses).map((address) => ({ ...tls, address: { kind: 'tcp', host: address, port } }))
  } catch (error) {
    if (!(error instanceof TransportError)) throw error
    throw new PgleaseError(error.code === 'ETIMEDOUT' ? 'connect_timeout' : 'host_not_found', `${host}: ${error.message}`)
  }
}

/** A server that was reached and is not what was asked for leaves the other addresses of its name, as in libpq. */
const NEXT_ADDRESS: ReadonlySet<ErrorCode> = new Set(['no_host_fits', 'server_starting'])

/** Tries the hosts in their order. Rejects with a PgleaseError; the credential is never in it. */
export async function openLink(parts: OpenParts, credential: Credential): Promise<Link> {
  const { hosts, dns } = parts
  const failures: PgleaseError[] = []
  /** Links to the second best, which `prefer-standby` takes when there is no standby. */
  const spares: Link[] = []
  const order = hosts.order()
  hosts.nextTurn()
  for (const host of order) {
    try {
      const link = await openAt(parts, credential, host, spares)
      hosts.succeeded(host)
      if (link !== undefined) return chosen(link, spares)
    } catch (error) {
      if (!(error instanceof PgleaseError)) throw error
      hosts.failed(host, error)
      if (error.code !== 'host_not_found') dns.doubt(host.host)
      failures.push(error)
    }
  }
  const spare = spares.find((link) => link.closeReason === undefined)
  if (spare !== undefined) return chosen(spare, spares)
  throw hosts.verdict(failures)
}

function chosen(link: Link, spares: readonly Link[]): Link {
  for (const spare of spares) if (spare !== link) spare.shut('host_unfit')
  return link
}

/** A link to one host; undefined when it was only good enough for `spares`. */
async function openAt(parts: OpenParts, credential: Credential, host: ServerHost, spares: Link[]): Promise<Link | undefined> {
  const timeoutMs = parts.hosts.timeoutMs(host, parts.timeoutMs)
  let rest = await targetsOf(parts, host, timeoutMs)
  for (;;) {
    const { transport, target } = await dialFirst(parts.network, rest, timeoutMs, parts.clock)
    rest = rest.slice(rest.indexOf(target) + 1)
    try {
      const { link, fitting } = await logIn(parts, credential, { transport, target, timeoutMs, host: addressText(target.address) })
      if (fitting) return link
      spares.push(link)
      if (rest.length === 0) return undefined
    } catch (error) {
      if (rest.length === 0 || !(error instanceof PgleaseError) || !NEXT_ADDRESS.has(error.code)) throw error
    }
  }
}

interface Dialled {
  readonly transport: Transport
  readonly target: DialTarget
  readonly timeoutMs: number
  /** The server, for comparison with other links. */
  readonly host: string
}

async function logIn(parts: OpenParts, credential: Credential, dialled: Dialled): Promise<{ link: Link; fitting: boolean }> {
  const { clock, settings } = parts
  const { transport, target, timeoutMs, host } = dialled
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
  const attribute = settings.target_session_attrs
  const { fit, fitting } = await fitOf(transport, loggedIn.parameters, { attribute, host, timeoutMs, clock })
  if (!fitting && attribute !== 'prefer-standby') {
    transport.write(terminate())
    transport.end()
    throw new PgleaseError('no_host_fits', `${addressText(target.address)}: ${unfitText(attribute)}`)
  }
  if (settings.connect_query !== undefined) await runConnectQuery(transport, settings.connect_query, parts, loggedIn)
  const parameters = new Parameters(parts.names)
  for (const [name, value] of loggedIn.parameters) parameters.set(name, value)
  const link = new Link(
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
      fit,
    },
    parts.meter,
  )
  return { link, fitting }
}

async function runConnectQuery(transport: Transport, sql: string, parts: OpenParts, loggedIn: LoggedIn): Promise<void> {
  const answer = await simpleQuery(transport, sql, { timeoutMs: parts.timeoutMs, clock: parts.clock })
  for (const [name, value] of answer.parameters) loggedIn.parameters.set(name, value)
  if (answer.error === undefined && answer.status === 'I') return
  transport.end()
  throw new PgleaseError('connect_query_failed', answer.error?.message ?? 'it leaves a transaction open')
}
