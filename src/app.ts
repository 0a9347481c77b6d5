// The composition root: settings in, objects built, callbacks wired, listeners open, until a signal ends it.
import process from 'node:process'
import { type Destination, Greeting, type GreetParts } from './client/greet.ts'
import { Registry } from './client/registry.ts'
import type { SessionMeter } from './client/session.ts'
import { systemClock } from './clock.ts'
import { FixedSource } from './credential.ts'
import { PgleaseError } from './errors.ts'
import { authenticateAny } from './identity.ts'
import type { Log, LogEvent, LogFields } from './log.ts'
import { type DatabaseMetrics, Metrics } from './metrics.ts'
import { addressText } from './net/address.ts'
import { pickNetwork } from './net/pick.ts'
import type { Address, Listener, Network } from './net/transport.ts'
import { Pool } from './pool/pool.ts'
import { Secret } from './secret.ts'
import { cancelQuery } from './server/cancel.ts'
import type { Link } from './server/link.ts'
import { openLink } from './server/open.ts'
import type { DatabaseSettings, LoadedSettings, Settings } from './settings/settings.ts'
import { Routes } from './tenant/route.ts'
import { ParameterNames } from './wire/parameters.ts'
import { ScramCache } from './wire/scram.ts'

const line = (level: string) => (event: LogEvent, msg: string, fields?: LogFields) =>
  void process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, event, msg, ...fields })}\n`)
const log: Log = { debug: () => {}, info: line('info'), warning: line('warning'), error: line('error') }

function meterOf(metrics: Metrics, database: DatabaseMetrics): SessionMeter {
  return {
    received: (bytes) => database.addBytesFromClient(bytes),
    sent: (bytes) => database.addBytesToClient(bytes),
    waited: (ms) => database.observeWaitMs(ms),
    queried: (ms) => database.observeQueryMs(ms),
    transacted: (ms) => database.observeTransactionMs(ms),
    clientError: (code) => metrics.clientError(code),
  }
}

export async function serve(loaded: LoadedSettings): Promise<number> {
  const { settings } = loaded
  const clock = systemClock
  const network = pickNetwork()
  const names = new ParameterNames(settings.track_extra_parameters)
  const metrics = new Metrics({ version: '0', commit: '0', runtime: '0' })
  const registry = new Registry()
  const routes = new Routes<Destination>()
  let linkId = 0
  for (const database of settings.databases.values()) {
    const source = new FixedSource(database.name, database.user ?? '', database.password ?? new Secret(''))
    const counters = metrics.database(database.name)
    const scramCache = new ScramCache()
    const linkMeter = { query: () => counters.addQuery(), transaction: () => counters.addTransaction() }
    const pool: Pool<Link> = new Pool<Link>({
      database: database.name,
      settings: { ...settings, ...database },
      source,
      clock,
      log,
      open: async (credential) => {
        const link = await openLink(
          {
            network,
            clock,
            settings: database,
            timeoutMs: settings.server_connect_timeout,
            names,
            scramCache,
            meter: linkMeter,
            nextId: () => ++linkId,
          },
          credential,
        )
        link.owner = pool
        return link
      },
      linkClosed: (reason) => metrics.connectionClosed('server', reason),
      drainOverrun: () => metrics.drainOverrun(source.name),
    })
    routes.add(database.name, { database: database.name, pool, meter: meterOf(metrics, counters) })
  }
  const cancelLink = (pool: Pool<Link>, link: Link) => {
    pool.beginCancel(link)
    return cancelQuery(network, link.facts.target, link.facts.processId, link.facts.secretKey, {
      timeoutMs: settings.server_connect_timeout,
      clock,
    }).then(
      () => pool.endCancel(link, true),
      () => pool.endCancel(link, false),
    )
  }
  const parts: GreetParts = {
    settings: () => settings,
    clock,
    log,
    names,
    registry,
    authenticate: authenticateAny,
    route: (identity) => routes.find(identity),
    refusing: () => false,
    cancelRequest: async (request) => {
      const session = registry.find(request)
      if (session?.link) await cancelLink(session.parts.pool, session.link)
    },
    cancelLink: (pool, link) => void cancelLink(pool, link),
    sessionClosed: (_session, reason) => metrics.connectionClosed('client', reason),
    greetingFailed: (error, reason) => {
      metrics.connectionClosed('client', reason)
      if (error !== undefined) metrics.clientError(error.code)
    },
  }
  const tick = () => {
    for (const { pool } of routes.all()) pool.tick()
    clock.after(250, tick)
  }
  tick()
  for (const host of settings.listen_addr) {
    const listener = await network.listen({ kind: 'tcp', host, port: settings.listen_port }, (transport) => new Greeting(transport, parts))
    log.info('listening', `listening on ${addressText(listener.address)}`, {
      kind: 'database',
      address: addressText(listener.address),
    } as LogFields)
  }
  return new Promise(() => {})
}
