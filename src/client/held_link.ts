// The link that a session holds: it is brought to the session's parameters before the first request, and parted from the session at last.
import { type CloseReason, PgleaseError } from '../errors.ts'
import type { Link } from '../server/link.ts'
import type { LinkUser } from '../server/link_user.ts'
import { ASKED } from '../wire/asked.ts'
import { STATUS_IDLE } from '../wire/codes.ts'
import { parameterStatus, type ReplyFields } from '../wire/reply.ts'
import { prepareLink, takeOverSpelling } from './prepare_link.ts'
import type { Relay } from './relay.ts'
import type { SessionParts } from './session_parts.ts'

/** What becomes of a session that has lost its link. */
export interface Loss {
  /** The session goes on with another link. */
  readonly stays: boolean
  /** So many of its requests get no other answer. */
  readonly unanswered: number
}

const NOTHING_DIFFERS: readonly number[] = []

export class HeldLink {
  /** The link that is brought to the session's parameters. */
  preparing: Link | null = null
  /** Once for a session. */
  #pinLogged = false
  /** One bit for each tracked parameter that has got the link's own value in this transaction. */
  #defaulted = 0
  readonly #user: LinkUser
  readonly #relay: Relay
  readonly #parts: SessionParts

  constructor(user: LinkUser, relay: Relay, parts: SessionParts) {
    this.#user = user
    this.#relay = relay
    this.#parts = parts
  }

  get link(): Link | null {
    return this.#relay.link ?? this.preparing
  }

  /** Nothing that was begun on `link` is unfinished, on either side. */
  settled(link: Link): boolean {
    return link.ledger.settled && this.#relay.atMessageBoundary
  }

  /** `link` has settled and stays with the session for its statements. Answers why it may not. */
  pinned(link: Link): PgleaseError | undefined {
    const { statements } = link
    if (statements === null || statements.pinNoted) return undefined
    statements.pinNoted = true
    const { pool, log, database, id } = this.#parts
    const { max_pinned_connections } = pool.settings
    if (max_pinned_connections > 0 && pool.pinned > max_pinned_connections) return new PgleaseError('pin_refused')
    if (this.#pinLogged) return undefined
    this.#pinLogged = true
    log.info('link_pinned', 'a statement that was prepared there keeps the server connection with its client', {
      database,
      client: id,
      link: link.facts.id,
    })
    return undefined
  }

  /** The link is the session's, which listens to `channels` (null: to nothing). Answers which of its parameters are to be brought to the session's first, by `prepare`. */
  attach(link: Link, channels: ReadonlySet<string> | null): readonly number[] {
    link.user = this.#user
    link.ledger.listener = this.#relay.unnamed
    this.#relay.unnamed.attach(link)
    this.#relay.named?.attach(link.statements, link.ledger)
    link.channels?.begin(channels)
    this.#relay.listens = channels !== null
    if (channels === null) link.sender = this.#parts.id
    const { parameters } = this.#parts
    return link.parameters.key === parameters.key ? NOTHING_DIFFERS : parameters.differing(link.parameters)
  }

  /** A session that listens can tell its own notifications from those of the session that had the link before. */
  isOther(link: Link): boolean {
    return this.#relay.listens && link.sender !== this.#parts.id
  }

  /** As `prepare`, when `hearOut` has called back. */
  prepareOther(link: Link, differing: readonly number[], hearOut: (done: () => void) => void, done: (error?: ReplyFields) => void): void {
    this.preparing = link
    hearOut(() => {
      if (this.preparing !== link) return
      link.sender = this.#parts.id
      if (differing.length > 0) return this.prepare(link, differing, done)
      this.preparing = null
      this.#relay.link = link
      done()
    })
  }

  /** `done` gets the server's error, if any: the link is given back then. Else the link is ready. */
  prepare(link: Link, differing: readonly number[], done: (error: ReplyFields | undefined) => void): void {
    this.preparing = link
    const { parameters, transport, pool } = this.#parts
    prepareLink(link, parameters, differing, (error) => {
      this.preparing = null
      if (error !== undefined) {
        this.detach(link)
        pool.release(link)
        return done(error)
      }
      takeOverSpelling(link, parameters, differing, (name, value) => transport.write(parameterStatus(name, value)))
      // the SET was a Query, which ended what the server held
      this.#relay.unnamed.attach(link)
      this.#relay.link = link
      done(undefined)
    })
  }

  /** The server reported a parameter of the session. */
  parameterChanged(name: string, value: string): void {
    const { parameters } = this.#parts
    parameters.set(name, value)
    const bit = 1 << Math.max(0, parameters.names.index(name))
    if (this.link?.facts.welcome.get(name) === value) this.#defaulted |= bit
    else this.#defaulted &= ~bit
  }

  /**
   * `link` has settled. When its client has reset parameters, they get the values of its startup packet, as PostgreSQL does it, not those
   * that the link began with. True: the server is asked, and `LinkUser.answered` follows.
   */
  restores(link: Link): boolean {
    const defaulted = this.#defaulted
    this.#defaulted = 0
    if (!link.wasReset) return false
    link.wasReset = false
    link.forgetSession()
    const { parameters, wanted, transport } = this.#parts
    const tell = (name: string, value: string) => transport.write(parameterStatus(name, value))
    for (const [name, value] of wanted) {
      const index = parameters.names.index(name)
      if ((defaulted & (1 << index)) === 0 || parameters.values[index] === value) continue
      parameters.set(name, value)
      tell(parameters.names.names[index] as string, value)
    }
    const differing = parameters.differing(link.parameters)
    if (differing.length === 0) return false
    const done = (error?: ReplyFields) => {
      if (error === undefined) takeOverSpelling(link, parameters, differing, tell)
      this.#user.answered()
    }
    prepareLink(link, parameters, differing, done, 'ask')
    return true
  }

  detach(link: Link): void {
    link.user = null
    link.ledger.listener = null
    link.resume()
    this.#relay.link = null
    this.#relay.unnamed.detach()
    this.#relay.named?.detach()
  }

  /** The link is dead. `keeps`: the session cannot go on without it (session mode, or its statements were prepared there only). */
  lost(link: Link, keeps: boolean, partialReply: boolean): Loss {
    const { ledger } = link
    const wasPreparing = this.preparing !== null
    const stays =
      (!keeps || wasPreparing) &&
      ledger.status === STATUS_IDLE &&
      !partialReply &&
      !ledger.copyIn &&
      !ledger.batchOpen &&
      !ledger.skipping &&
      this.#relay.atMessageBoundary
    this.preparing = null
    this.#relay.unlink()
    // the one in front of a DEALLOCATE
    const ownQueries = ledger.head === ASKED.inventedQuery && !link.questioning ? 1 : 0
    // what was asked for while the link was prepared or cleansed was never sent: it goes to the next link
    return { stays, unanswered: wasPreparing || link.asksItself ? 0 : ledger.owed - ownQueries }
  }

  /** The session is over, for `reason`: the link serves others, or ends when it is in the middle of something. */
  giveUp(link: Link, reason: CloseReason): void {
    const { pool, cancel } = this.#parts
    const settled = this.settled(link) && !link.ledger.unclean && this.preparing === null
    const running = !link.ledger.quiet && !link.asksItself
    this.detach(link)
    this.preparing = null
    if (settled) return pool.release(link)
    if (running) cancel(link)
    pool.discard(link, reason === 'transaction_block' ? reason : 'client_gone_with_query')
  }
}
