// Builds what serves each configured database: its credential source, its pool, its counters.

import { SharedLimits } from './app_limits.ts'
import type { Destination } from './client/greet_parts.ts'
import type { SessionMeter } from './client/session_meter.ts'
import type { Clock } from './clock.ts'
import { type Credential, type CredentialSource, FixedSource } from './credential.ts'
import type { CloseReason } from './errors.ts'
import type { ConfiguredLog } from './log_lines.ts'
import type { DatabaseMetrics, DatabaseSnapshot, Metrics } from './metrics.ts'
import { hostPort } from './net/address.ts'
import { DnsCache } from './net/dns_cache.ts'
import type { Network } from './net/transport.ts'
import { Pool } from './pool/pool.ts'
import { Replications } from './pool/replication.ts'
import { Secret } from './secret.ts'
import { HostMoves } from './server/host_moves.ts'
import { type HostChanged, Hosts } from './server/hosts.ts'
import type { Link } from './server/link.ts'
import { LinkChannels } from './server/link_channels.ts'
import { openLink } from './server/open.ts'
import { openReplication } from './server/replication_link.ts'
import { LinkStatements, StatementRegistry } from './server/statements.ts'
import type { DatabaseSettings, Settings } from './settings/settings.ts'
import { Routes } from './tenant/route.ts'
import type { Vault } from './vault/vault.ts'
import type { ParameterNames } from './wire/parameters.ts'
import { ScramCache } from './wire/scram.ts'

export interface DatabaseParts {
  readonly settings: Settings
  readonly network: Network
  readonly clock: Clock
  readonly log: ConfiguredLog
  readonly metrics: Metrics
  readonly names: ParameterNames
  /** Undefined when no database has a vault_path. */
  readonly vault: Vault | undefined
}

/** What serves one database. */
export interface Served extends Destination {
  readonly settings: DatabaseSettings
  readonly source: CredentialSource
}

function meterOf(metrics: Metrics, database: DatabaseMetrics): SessionMeter {
  return {
    received: (bytes) => database.addBytesFromClient(bytes),
    sent: (bytes) => database.addBytesToClient(bytes),
    waited: (ms) => database.observeWaitMs(ms),
    queried: (ms) => database.observeQueryMs(ms),
    transacted: (ms) => database.observeTransactionMs(ms),
    notified: () => database.addNotification(),
    clientError: (code) => metrics.clientError(code),
  }
}

/** One source per Vault path, whatever the number of databases: it is named after the first of them. */
function sourceOf(database: DatabaseSettings, parts: DatabaseParts): CredentialSource {
  if (database.vault_path !== undefined && parts.vault !== undefined) return parts.vault.source(database.name, database.vault_path)
  return new FixedSource(database.name, database.user ?? '', database.password ?? new Secret(''))
}

/** How many credentials of a source are kept out of the log: the one in use, those that drain, and one to be sure. */
const KEPT_REDACTIONS = 4

/** Longest pause between logins while any of several hosts may become what is asked for: writes resume soon after a promotion. */
const FAILOVER_RETRY_MS = 500

const mayFailOver = ({ hosts, target_session_attrs }: DatabaseSettings): boolean => hosts.length > 1 || target_session_attrs !== 'any'

/** That one of several hosts is away shows nowhere else, as long as another serves. */
function hostLog(log: ConfiguredLog, database: string): HostChanged {
  return ({ host, port }, error) => {
    const where = hostPort(host, port)
    if (error === undefined) log.info('host_recovered', `${where} answers again`, { database, address: where })
    else log.warning('host_failed', `${where}: ${error.message}`, { database, address: where, code: error.code })
  }
}

/** Sees to it that no password turns up in the log; passwords of years ago are forgotten. */
function passwordRedaction(log: ConfiguredLog): (credential: Credential) => void {
  const forget = new Map<string, () => void>()
  return ({ source, generation, password }) => {
    const key = `${source} ${generation}`
    if (forget.has(key)) return
    forget.set(key, log.redact(password))
    const old = `${source} ${generation - KEPT_REDACTIONS}`
    forget.get(old)?.()
    forget.delete(old)
  }
}

export function buildDatabases(parts: DatabaseParts): Routes<Served> {
  const routes = new Routes<Served>()
  const redact = passwordRedaction(parts.log)
  const limits = new SharedLimits(parts.settings)
  let linkId = 0
  const { dns_max_ttl, dns_nxdomain_ttl } = parts.settings
  const dns = new DnsCache({ maxTtlMs: dns_max_ttl, nxdomainTtlMs: dns_nxdomain_ttl }, parts.clock)
  for (const database of parts.settings.databases.values()) {
    const { metrics, clock, log, network, names } = parts
    const counters = metrics.database(database.name)
    const source = sourceOf(database, parts)
    const open = {
      network,
      clock,
      settings: database,
      hosts: new Hosts(database.hosts, database.load_balance_hosts, clock, hostLog(log, database.name)),
      dns,
      timeoutMs: parts.settings.server_connect_timeout,
      names,
      scramCache: new ScramCache(),
      meter: { query: () => counters.addQuery(), transaction: () => counters.addTransaction() },
      nextId: () => ++linkId,
    }
    const moves = new HostMoves(database.hosts, dns, open.timeoutMs)
    const statements = new StatementRegistry()
    const statementsMeter = { pinned: () => counters.addPin(), planChanged: () => counters.addPlanChange() }
    // in session mode they are the client's own on its link
    const mostStatements = database.pool_mode === 'session' ? 0 : parts.settings.max_prepared_statements
    const places = limits.places(database)
    const poolSettings = { ...parts.settings, ...database }
    const linkClosed = (reason: CloseReason) => metrics.connectionClosed('server', reason)
    const pool: Pool<Link> = new Pool<Link>({
      database: database.name,
      settings: poolSettings,
      source,
      clock,
      log,
      places,
      open: async (credential) => {
        redact(credential)
        const link = await openLink(open, credential)
        link.owner = pool
        if (database.pool_mode !== 'session') link.channels = new LinkChannels()
        if (mostStatements > 0) link.useStatements(new LinkStatements(statements, mostStatements, statementsMeter))
        return link
      },
      longestRetryMs: mayFailOver(database) ? FAILOVER_RETRY_MS : undefined,
      watchMoves: moves.none ? undefined : (links) => moves.check(links),
      linkClosed,
      drainOverrun: () => metrics.drainOverrun(source.name),
    })
    // that a host refuses a replication client says nothing about it to the pool
    const openForReplication = { ...open, hosts: new Hosts(database.hosts, database.load_balance_hosts, clock) }
    const replications: Served['replications'] = new Replications({
      database: database.name,
      settings: poolSettings,
      source,
      clock,
      log,
      logins: pool.logins,
      places,
      queryWaitTimeoutMs: () => poolSettings.query_wait_timeout,
      open: async (credential, request) => {
        redact(credential)
        const link = await openReplication(openForReplication, credential, request)
        link.owner = replications
        return link
      },
      linkClosed,
    })
    const meter = meterOf(metrics, counters)
    const admission = limits.admission(database)
    routes.add(database.name, { database: database.name, settings: database, pool, replications, source, meter, admission })
  }
  return routes
}

/** What the gauges and the status page say of one database; `clients` are counted by the caller. */
export function databaseSnapshot(
  { database, pool, replications, settings }: Served,
  clients: DatabaseSnapshot['clients'],
): DatabaseSnapshot {
  const { lists, used } = pool
  return {
    name: database,
    clients,
    servers: {
      login: pool.dialing + replications.dialing,
      active: lists.count('active'),
      idle: lists.count('idle') - used,
      used,
      tested: lists.count('tested'),
      closing: lists.count('closing') + lists.count('being_canceled') + replications.lists.count('closing'),
      listening: pool.listening?.size ?? 0,
      replication: replications.lists.count('active'),
    },
    listening: {
      sessions: pool.listening?.subscriptions.sessions ?? 0,
      channels: pool.listening?.subscriptions.channels ?? 0,
    },
    pinned: pool.pinned,
    poolSize: settings.pool_size,
    ...(pool.cause === '' ? {} : { trouble: pool.cause }),
  }
}
