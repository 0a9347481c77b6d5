// Opens a server connection: chooses the host, resolves it, dials, logs in with one credential, tests the server, runs connect_query.
import { readFileSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import type { Credential } from '../credential.ts'
import { type CloseReason, type ErrorCode, PgleaseError } from '../errors.ts'
import { addressText } from '../net/address.ts'
import type { DnsCache } from '../net/dns_cache.ts'
import { type Network, type Transport, TransportError } from '../net/transport.ts'
import { Secret } from '../secret.ts'
import { hostText, type ServerHost } from '../settings/hosts.ts'
import type { DatabaseSettings } from '../settings/settings.ts'
import { type ParameterNames, Parameters } from '../wire/parameters.ts'
import { terminate } from '../wire/pgprotocol.ts'
import type { ScramCache } from '../wire/scram.ts'
import { type DialTarget, dialFirst, isVerified } from './dial.ts'
import type { Hosts } from './hosts.ts'
import { Link } from './link.ts'
import type { LinkFacts } from './link_facts.ts'
import type { LinkMeter } from './link_owner.ts'
import { type LoggedIn, login } from './login.ts'
import { simpleQuery } from './query.ts'
import { fitOf, unfitText } from './session_attributes.ts'

/** What a link needs of a database's settings. */
type OpenSettings = Pick<
  DatabaseSettings,
  | 'target_session_attrs'
  | 'dbname'
  | 'connect_query'
  | 'server_role'
  | 'server_tls_sslmode'
  | 'server_tls_ca_file'
  | 'server_tls_cert_file'
  | 'server_tls_key_file'
  | 'server_require_auth'
>

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

/** A server connection that is ready. */
interface Opened {
  readonly closeReason: CloseReason | undefined
  shut(reason: CloseReason): void
}

/** What a server connection is opened for. */
interface Purpose<T extends Opened> {
  /** More startup parameters. */
  readonly parameters: ReadonlyArray<readonly [string, string]>
  readonly connectQuery: string | undefined
  /** The server takes SQL. */
  readonly sql: boolean
  make(transport: Transport, facts: LinkFacts): T
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

/** A link for a pool. Rejects with a PgleaseError; the credential is never in it. */
export function openLink(parts: OpenParts, credential: Credential): Promise<Link> {
  const { server_role, connect_query } = parts.settings
  return openFor(parts, credential, {
    parameters: server_role === undefined ? [] : [['role', server_role]],
    connectQuery: connect_query,
    sql: true,
    make: (transport, facts) => new Link(transport, { ...facts, hasServerRole: server_role !== undefined }, parts.meter),
  })
}

/** Tries the hosts in their order. Rejects with a PgleaseError; the credential is never in it. */
export async function openFor<T extends Opened>(parts: OpenParts, credential: Credential, purpose: Purpose<T>): Promise<T> {
  const { hosts, dns } = parts
  const failures: PgleaseError[] = []
  /** Connections to the second best, which `prefer-standby` takes when there is no standby. */
  const spares: T[] = []
  const order = hosts.order()
  hosts.nextTurn()
  for (const host of order) {
    try {
      const opened = await openAt(parts, credential, purpose, host, spares)
      hosts.succeeded(host)
      if (opened !== undefined) return chosen(opened, spares)
    } catch (error) {
      if (!(error instanceof PgleaseError)) throw error
      hosts.failed(host, error)
      if (error.code !== 'host_not_found') dns.doubt(host.host)
      failures.push(error)
    }
  }
  const spare = spares.find(({ closeReason }) => closeReason === undefined)
  if (spare !== undefined) return chosen(spare, spares)
  throw hosts.verdict(failures)
}

function chosen<T extends Opened>(one: T, spares: readonly T[]): T {
  for (const spare of spares) if (spare !== one) spare.shut('host_unfit')
  return one
}

/** A connection to one host; undefined when it was only good enough for `spares`. */
async function openAt<T extends Opened>(
  parts: OpenParts,
  credential: Credential,
  purpose: Purpose<T>,
  host: ServerHost,
  spares: T[],
): Promise<T | undefined> {
  const timeoutMs = parts.hosts.timeoutMs(host, parts.timeoutMs)
  let rest = await targetsOf(parts, host, timeoutMs)
  for (;;) {
    const { transport, target } = await dialFirst(parts.network, rest, timeoutMs, parts.clock)
    rest = rest.slice(rest.indexOf(target) + 1)
    try {
      const dialled = { transport, target, timeoutMs, host: addressText(target.address), server: hostText(host) }
      const { opened, fitting } = await logIn(parts, credential, purpose, dialled)
      if (fitting) return opened
      spares.push(opened)
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
  readonly server: string
}

async function logIn<T extends Opened>(
  parts: OpenParts,
  credential: Credential,
  { parameters: startup, connectQuery, sql, make }: Purpose<T>,
  dialled: Dialled,
): Promise<{ opened: T; fitting: boolean }> {
  const { clock, settings } = parts
  const { transport, target, timeoutMs, host, server } = dialled
  const loggedIn = await login(transport, {
    credential,
    database: settings.dbname,
    parameters: startup,
    requireAuth: settings.server_require_auth,
    secure: isVerified(target),
    scramCache: parts.scramCache,
    timeoutMs,
    clock,
  })
  const attribute = settings.target_session_attrs
  const { fit, fitting } = await fitOf(transport, loggedIn.parameters, { attribute, host, timeoutMs, clock, sql })
  if (!fitting && attribute !== 'prefer-standby') {
    transport.write(terminate())
    transport.end()
    throw new PgleaseError('no_host_fits', `${addressText(target.address)}: ${unfitText(attribute)}`)
  }
  if (connectQuery !== undefined) await runConnectQuery(transport, connectQuery, parts, loggedIn)
  const parameters = new Parameters(parts.names)
  for (const [name, value] of loggedIn.parameters) parameters.set(name, value)
  const opened = make(transport, {
    id: parts.nextId(),
    generation: credential.generation,
    openedAtMs: clock.monotonicMs(),
    processId: loggedIn.processId,
    secretKey: loggedIn.secretKey,
    target,
    server,
    parameters,
    welcome: loggedIn.parameters,
    hasServerRole: false,
    fit,
  })
  return { opened, fitting }
}

async function runConnectQuery(transport: Transport, sql: string, parts: OpenParts, loggedIn: LoggedIn): Promise<void> {
  const answer = await simpleQuery(transport, sql, { timeoutMs: parts.timeoutMs, clock: parts.clock })
  for (const [name, value] of answer.parameters) loggedIn.parameters.set(name, value)
  if (answer.error === undefined && answer.status === 'I') return
  transport.end()
  throw new PgleaseError('connect_query_failed', answer.error?.message ?? 'it leaves a transaction open')
}
