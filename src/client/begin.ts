// What a greeting ends with: the session of a client that has been let in, or its replication connection.
import type { Transport } from '../net/transport.ts'
import type { ReplicationKind, StartupMessage } from '../wire/startup.ts'
import type { Destination, GreetParts } from './greet_parts.ts'
import { ReplicationSession } from './replication_session.ts'
import { Session } from './session.ts'
import { initialParameters, replicationRequest, type Wishes } from './startup_parameters.ts'
import { welcomeMessages } from './welcome.ts'

/** A client that has been let in: it has a place of its `destination`, and its login is over. */
export interface Guest {
  readonly transport: Transport
  readonly startup: StartupMessage
  readonly destination: Destination
  /** What it sent ahead. */
  readonly ahead: Buffer
}

/** `server`: what the server said at login; `wanted`: the client's own values. */
export function beginSession(
  parts: GreetParts,
  { transport, startup, destination, ahead }: Guest,
  server: ReadonlyMap<string, string>,
  wanted: Wishes,
): void {
  const { registry, clock, log, names } = parts
  const { log_connections, log_pooler_errors, max_packet_size } = parts.settings()
  const { database, pool, meter, admission } = destination
  const parameters = initialParameters(server, wanted, names)
  const key = registry.newKey(startup.minor >= 2)
  const id = key.processId
  const session = new Session({
    id,
    database,
    user: startup.user,
    transport,
    pool,
    parameters,
    wanted,
    clock,
    log,
    meter,
    maxPacketSize: max_packet_size,
    logErrors: log_pooler_errors,
    leaving: parts.refusing,
    closed: (reason) => {
      registry.remove(session)
      admission.leave()
      parts.clientClosed({ database, id, remoteAddress: transport.remoteAddress, kind: 'client' }, reason)
    },
    cancel: (link) => parts.cancelLink(pool, link),
  })
  registry.add(session, key)
  if (log_connections) log.info('client_login', `client logged in from ${transport.remoteAddress}`, { database, client: id })
  transport.write(welcomeMessages(startup, server, parameters, key))
  transport.setHandler(session)
  if (ahead.length > 0) session.data(ahead)
}

/** The client is welcomed when it has its server connection; `query_wait_timeout` bounds the wait. */
export function beginReplication(parts: GreetParts, kind: ReplicationKind, { transport, startup, destination, ahead }: Guest): void {
  const { registry, clock, log } = parts
  const { log_connections, log_pooler_errors } = parts.settings()
  const { database, replications, meter, admission } = destination
  const key = registry.newKey(startup.minor >= 2)
  const id = key.processId
  const session = new ReplicationSession({
    id,
    database,
    transport,
    request: replicationRequest(kind, startup),
    replications,
    clock,
    log,
    meter,
    logErrors: log_pooler_errors,
    welcome: ({ facts }) => {
      const message = `client logged in from ${transport.remoteAddress} for ${kind} replication`
      if (log_connections) log.info('client_login', message, { database, client: id, link: facts.id })
      return welcomeMessages(startup, facts.welcome, facts.parameters, key)
    },
    closed: (reason) => {
      registry.removeReplication(session)
      admission.leave()
      parts.clientClosed({ database, id, remoteAddress: transport.remoteAddress, kind: 'replication client' }, reason)
    },
  })
  registry.addReplication(session, key)
  transport.setHandler(session)
  if (ahead.length > 0) session.data(ahead)
  replications.request(session)
}
