// What a link's server listens to just now, as far as its replies tell: transaction mode, where a link listens only until its session's transaction is over.
import { answersCommit, answersDiscardAll, answersListen, answersRollback, answersUnlisten } from '../wire/reply.ts'

/** A channel's names, one a row, in hexadecimal UTF-8 whatever client_encoding is. */
export const CHANNELS_QUERY =
  "SELECT pg_catalog.encode(pg_catalog.convert_to(channel, 'UTF8'), 'hex') FROM pg_catalog.pg_listening_channels() AS channel"

/** The name in a row of CHANNELS_QUERY. */
export const channelIn = (value: string): string => Buffer.from(value, 'hex').toString('utf8')

/**
 * Whether the session's channels were put on the link too, so that what is left of them when its transaction has ended tells what it
 * ceased to listen to. open: in a transaction that has not ended; committed; doubted: perhaps rolled back, as a whole or to a savepoint;
 * refused: the server would not.
 */
type Seed = 'none' | 'open' | 'committed' | 'doubted' | 'refused'

const LETTER_L = 0x4c

export class LinkChannels {
  /** The session that has the link listens, or has said LISTEN: `LinkUser.settle` is called at the end of its transaction. */
  settles = false
  /** The last ReadyForQuery is held back. */
  settling = false
  /** LISTEN, UNLISTEN or DISCARD ALL was carried out: the server is to be asked for its channels. */
  changed = false
  /** The server listens, perhaps: UNLISTEN * is due before another session has the link. */
  listened = false
  /** DISCARD ALL was carried out: the session's channels are those that the server has now. */
  discarded = false
  seed: Seed = 'none'
  /** A ReadyForQuery behind the LISTEN was forwarded, because more requests were under way: the client counts on its channels. */
  early = false
  /** What the session listens to already, by the pool's listening link. */
  #known: ReadonlySet<string> | null = null

  /** A session gets the link. `known`: what it listens to; null: nothing. */
  begin(known: ReadonlySet<string> | null): void {
    this.settling = false
    this.asked(known)
  }

  /** The server has been asked, and `known` is what the session listens to now. */
  asked(known: ReadonlySet<string> | null): void {
    this.#known = known
    this.settles = known !== null
    this.changed = false
    this.discarded = false
    this.early = false
    this.seed = 'none'
  }

  /** A CommandComplete with its body between `start` and `end`, also of a query of pglease's own. */
  completed(buffer: Buffer, start: number, end: number): void {
    if (buffer[start] === LETTER_L && answersListen(buffer, start, end)) {
      this.settles = true
      this.changed = true
      this.listened = true
    }
    if (!this.settles) return
    if (answersUnlisten(buffer, start, end)) this.changed = true
    else if (answersDiscardAll(buffer, start, end)) {
      this.changed = true
      this.discarded = true
    } else if (this.seed === 'open') {
      if (answersCommit(buffer, start, end)) this.seed = 'committed'
      else if (answersRollback(buffer, start, end)) this.seed = 'doubted'
    }
  }

  /** An UNLISTEN that comes now would not be seen in what is left. */
  get needsSeed(): boolean {
    return this.seed === 'none' || this.seed === 'doubted'
  }

  /** No transaction runs any more; `settled`: nothing else is under way. Answers whether the ReadyForQuery that says so is held back. */
  ready(settled: boolean): boolean {
    if (!this.settles) return false
    this.settling = settled
    if (!settled && this.changed) this.early = true
    return settled
  }

  /**
   * Whether a notification on `channel`, which came on this link, is for the session: it is if it has just begun to listen to it. Once
   * its ReadyForQuery is held back, the listening link takes over, unless the client counts on the channel already.
   */
  passes(channel: string): boolean {
    return this.listened && (!this.settling || this.early) && this.#known?.has(channel) !== true
  }
}
