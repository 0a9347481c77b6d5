// Builds what greets and keeps clients: the registry, cancel requests, and what is counted and logged of each.
import type { Served } from './app_databases.ts'
import { Cancels } from './client/cancels.ts'
import { Greeting } from './client/greet.ts'
import type { GreetParts } from './client/greet_parts.ts'
import { Registry } from './client/registry.ts'
import { ReplicationSession } from './client/replication_session.ts'
import { SessionTimeouts } from './client/session_timeouts.ts'
import { StartupMemory } from './client/startup_memory.ts'
import type { Clock } from './clock.ts'
import { PgleaseError } from './errors.ts'
import { authenticateAny } from './identity.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Network, Transport } from './net/transport.ts'
import type { Settings } from './settings/settings.ts'
import type { Routes } from './tenant/route.ts'
import type { ParameterNames } from './wire/parameters.ts'

export interface ClientParts {
  readonly settings: Settings
  readonly network: Network
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly names: ParameterNames
  readonly routes: Routes<Served>
  /** The process is ending: no new clients, and those there end with their transactions. */
  readonly refusing: () => boolean
}

export interface Clients {
  readonly registry: Registry
  accept(transport: Transport): void
  /** Called some times a second: ends those that exceed a timeout. */
  tick(): void
  /** Ends the clients that hold no link and wait for none, those that wait in vain, and those that wait to be let in. */
  endIdle(): void
  /** Ends every client, and cancels what it runs. */
  endAll(): void
}

export function buildClients(parts: ClientParts): Clients {
  const { settings, clock, log, metrics, names, routes } = parts
  const registry = new Registry()
  const cancels = new Cancels({ network: parts.network, clock, settings: () => settings })
  const timeouts = new SessionTimeouts(clock, registry, settings.databases)
  const greet: GreetParts = {
    settings: () => settings,
    clock,
    log,
    names,
    startups: new StartupMemory(names),
    registry,
    authenticate: authenticateAny,
    route: (identity, server) => (server ? routes.findServer(identity) : routes.find(identity)),
    refusing: parts.refusing,
    cancelRequest: async (request) => {
      const client = registry.find(request)
      if (client instanceof ReplicationSession) await cancels.replication(client)
      else if (client !== undefined) await cancels.request(client)
    },
    cancelLink: (pool, link) => void cancels.abandoned(pool, link),
    clientClosed: ({ database, id, remoteAddress, kind }, reason) => {
      metrics.connectionClosed('client', reason)
      if (settings.log_disconnections) {
        log.info('client_closed', `${kind} from ${remoteAddress} left: ${reason}`, { database, client: id, reason })
      }
    },
    greetingFailed: (error, reason) => {
      metrics.connectionClosed('client', reason)
      if (error === undefined) return
      metrics.clientError(error.code)
      if (!settings.log_pooler_errors) return
      const cause = error.message.includes(error.detail) ? '' : ` (${error.detail})`
      log.info('pooler_error', `${error.message}${cause}`, { code: error.code, reason })
    },
  }
  return {
    registry,
    tick: () => timeouts.tick(),
    accept: (transport) => void new Greeting(transport, greet),
    endIdle: () => {
      for (const newcomer of registry.newcomers()) newcomer.turnAway('idle_at_shutdown')
      for (const session of registry.sessions()) {
        // what it asked for has not begun, and no link will come in time
        if (session.state === 'waiting' && !session.parts.pool.servable) session.fail(new PgleaseError('shutting_down'), 'idle_at_shutdown')
        else session.endIfIdle()
      }
      // a stream has no end of its own; its client goes on with it where it was
      for (const session of registry.replications()) session.endSoon(new PgleaseError('shutting_down'), 'idle_at_shutdown')
    },
    endAll: () => {
      for (const newcomer of registry.newcomers()) newcomer.turnAway('shutdown_now')
      for (const session of registry.sessions()) session.fail(new PgleaseError('shutting_down'), 'shutdown_now')
      for (const session of registry.replications()) session.fail(new PgleaseError('shutting_down'), 'shutdown_now')
    },
  }
}
