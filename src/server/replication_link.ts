// A server connection for replication: passes the server's bytes on as they come, to one client for its whole life.
import type { Credential } from '../credential.ts'
import type { CloseReason } from '../errors.ts'
import type { Transport, TransportHandler } from '../net/transport.ts'
import { terminate } from '../wire/pgprotocol.ts'
import type { ReplicationKind } from '../wire/startup.ts'
import type { LinkFacts } from './link_facts.ts'
import { type OpenParts, openFor } from './open.ts'

/** How long a closed connection may take to be closed by the server too. */
const LINGER_MS = 5000

/** The client that has the connection. */
export interface ReplicationUser {
  /** Takes all of `chunk`. False = the client is slow: the server is paused until `resume`. */
  forward(chunk: Buffer): boolean
  /** The server takes bytes again. */
  serverDrained(): void
  /** The server has closed its side. */
  serverLost(): void
  /** The credential is replaced: the client ends with the message that it gets, or `atOnce`. Answers whether it has ended. */
  recycle(atOnce: boolean): boolean
}

/** Whom the connection tells about its own life. */
interface ReplicationOwner {
  linkDying(link: ReplicationLink): void
  linkClosed(link: ReplicationLink, reason: CloseReason): void
}

export class ReplicationLink implements TransportHandler {
  readonly facts: LinkFacts
  readonly generation: number
  user: ReplicationUser | null = null
  owner: ReplicationOwner | null = null
  /** The owner's: in which of its lists the link is. */
  listed: 'idle' | 'active' | 'tested' | 'being_canceled' | 'closing' | undefined
  closeReason: CloseReason | undefined
  readonly #transport: Transport
  #closed = false

  constructor(transport: Transport, facts: LinkFacts) {
    this.#transport = transport
    this.facts = facts
    this.generation = facts.generation
    transport.setHandler(this)
  }

  /** False = above the high-water mark: wait for `serverDrained`. */
  write(bytes: Uint8Array): boolean {
    return this.#transport.write(bytes)
  }

  /** The client takes bytes again. */
  resume(): void {
    this.#transport.resume()
  }

  recycle(atOnce = false): boolean {
    return this.user?.recycle(atOnce) ?? false
  }

  /** Nobody has it any more. `whole`: no message of the client is there in part, so that a Terminate may follow. */
  shut(reason: CloseReason, whole = true): void {
    if (this.closeReason !== undefined) return
    this.closeReason = reason
    this.user = null
    this.owner?.linkDying(this)
    if (whole) this.#transport.write(terminate())
    this.#transport.end(LINGER_MS)
    // what a sender has under way would keep it from reading that it is over
    this.#transport.resume()
  }

  data(chunk: Buffer): void {
    if (this.user?.forward(chunk) === false) this.#transport.pause()
  }

  drain(): void {
    this.user?.serverDrained()
  }

  end(): void {
    if (this.closeReason === undefined) this.#lost()
    this.#transport.end(0)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.closeReason === undefined) this.#lost()
    this.owner?.linkClosed(this, this.closeReason ?? 'server_closed')
  }

  #lost(): void {
    this.closeReason = 'server_closed'
    const { user } = this
    this.user = null
    this.owner?.linkDying(this)
    user?.serverLost()
  }
}

/** What a client asks for in its startup packet. */
export interface ReplicationRequest {
  readonly kind: ReplicationKind
  /** Its other startup parameters, which the server takes or refuses. */
  readonly parameters: ReadonlyArray<readonly [string, string]>
}

/**
 * Logs in with the client's own parameters and the credential's own role: `server_role` would not have its REPLICATION. `connect_query`
 * is SQL, which only a logical connection takes. Rejects with a PgleaseError.
 */
export function openReplication(parts: OpenParts, credential: Credential, { kind, parameters }: ReplicationRequest) {
  const sql = kind === 'logical'
  return openFor(parts, credential, {
    parameters: [...parameters, ['replication', sql ? 'database' : 'true']],
    connectQuery: sql ? parts.settings.connect_query : undefined,
    sql,
    make: (transport, facts) => new ReplicationLink(transport, facts),
  })
}
