// Who holds a link, as the link sees it.
import type { ReplyFields } from '../wire/reply.ts'

export interface LinkUser {
  /** A transaction that stays open is refused: `blockBegan` is told in place of the ReadyForQuery that says so. */
  readonly refusesBlocks: boolean
  /** The statement before left a transaction open. Ends the link. */
  blockBegan(): void
  /** The link's credential is replaced: ends the session with its link, unless it is in the middle of something. */
  recycle(): boolean
  /** Forward `buffer` from `start` to `end`. False = the client is slow: the link is paused until `resume`. */
  forward(buffer: Buffer, start: number, end: number): boolean
  /** A chunk was forwarded that may end a wait: a ReadyForQuery, a CopyInResponse, or an error after which the server skips. */
  answered(): void
  /** As which process id the client of another session knows `processId`, a server process; 0: it is nobody's. */
  senderOf(processId: number): number
  /**
   * In place of `answered`: a transaction has ended in which the user may have begun or ceased to listen, or it listens already. All
   * replies but the last ReadyForQuery were forwarded; that one waits for `Link.endSettling`.
   */
  settle(): void
  /** The server takes bytes again. */
  linkDrained(): void
  /** The server reported a parameter; the message itself is forwarded. */
  parameterChanged(name: string, value: string): void
  /** The link is dead. `fatal` is the server's last word, if it had one. */
  linkLost(fatal: ReplyFields | undefined): void
}
