// What gauges and the status page show, as plain data.

/** active: holds a link; waiting: wants one; idle: needs none; replication: has a server connection of its own. */
export const CLIENT_STATES = ['active', 'waiting', 'idle', 'replication'] as const
export type ClientState = (typeof CLIENT_STATES)[number]
/** used: idle for longer than server_check_delay; tested: being checked or reset; closing: until PostgreSQL has closed its
 * side; listening: listens for the sessions of a pool in transaction mode;
 * replication: a client's own. */
export const SERVER_STATES = ['login', 'active', 'idle', 'used', 'tested', 'closing', 'listening', 'replication'] as const
export type ServerState = (typeof SERVER_STATES)[number]

export interface DatabaseSnapshot {
  /** The key in the configuration. */
  readonly name: string
  readonly clients: Readonly<Record<ClientState, number>>
  readonly servers: Readonly<Record<ServerState, number>>
  /** Transaction mode: sessions that listen, and the channels that they listen to. */
  readonly listening: { readonly sessions: number; readonly channels: number }
  /** Links that stay with their clients for statements prepared there. */
  readonly pinned: number
  /** Most links that the pool may have; 0 = no limit. */
  readonly poolSize?: number
  /** Why no link can be opened now, for a person. */
  readonly trouble?: string
}

export interface SourceSnapshot {
  readonly name: string
  /** 0 = no credential yet. */
  readonly generation: number
  /** Seconds until the newest credential ends (below 0: overdue); undefined = never, or there is none. */
  readonly remainingSeconds: number | undefined
  /** Links that still use an older generation. */
  readonly linksDraining: number
  /** The leased role's name: no secret, every session of PostgreSQL can see it. */
  readonly user?: string
  readonly trouble?: string
}

export interface TokenSnapshot {
  /** Undefined = never ends. */
  readonly remainingSeconds: number | undefined
}

/** What gauges and the status page show, read at the moment of asking. Plain data: it can be sent between workers. */
export interface Snapshot {
  readonly databases: readonly DatabaseSnapshot[]
  readonly sources: readonly SourceSnapshot[]
  readonly token: TokenSnapshot | undefined
}

export const EMPTY_SNAPSHOT: Snapshot = { databases: [], sources: [], token: undefined }
