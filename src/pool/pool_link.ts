// A server connection as the pool sees it: nothing of its bytes.
import type { CloseReason } from '../errors.ts'
import type { Listed } from './link_lists.ts'

/** Whether a link's server still is what `target_session_attrs` asks for. */
export interface LinkFit {
  /** Which server: the same text for all links to it. */
  readonly host: string
  readonly unfit: boolean
  /** The server as a whole is not what was asked for any more, whatever its sessions have set. */
  serverUnfit: boolean
  /** The server is to be asked `question`, which fails when it does not fit. */
  doubted: boolean
  readonly question: string
}

/** A link, as the pool sees it. */
export interface PoolLink extends Listed {
  readonly generation: number
  readonly facts: {
    readonly id: number
    readonly openedAtMs: number
    /** Of its server process. */
    readonly processId: number
    /** Host and port of the configuration. */
    readonly server: string
    readonly welcome: ReadonlyMap<string, string>
    readonly fit?: LinkFit | undefined
  }
  overdue: boolean
  /** Its address is no longer one of the host's. */
  moved: boolean
  idleSinceMs: number
  roleMayDiffer: boolean
  /** The pool's: a client had it since its session was last reset. */
  needsReset: boolean
  /** Pinned: prepared statements of the last session's own are left on it. */
  readonly statements?: { readonly pinned: boolean } | null
  /** Null in session mode. */
  readonly channels: {
    /** It may listen for the session that had it. */
    listened: boolean
  } | null
  /** The process id that the client knows as its own whose requests the link carries out, or carried out last; 0 = none did. */
  readonly sender: number
  /** Hears its notifications, while nobody uses it. */
  listener: { heard(message: Buffer): void } | null
  readonly closeReason: CloseReason | undefined
  shut(reason: CloseReason): void
  /** Its session is about to be reset: what was known of its state is not true any more. */
  forgetSession(): void
  /** Session mode: ends the session that holds it because its credential is replaced; false = the session is in the middle of something. */
  recycle(): boolean
  /** The query of `run` that is not answered yet; null also while the server is not read. */
  readonly ownQuery: object | null
  run(sql: string, done: (error: { readonly sqlstate: string; readonly message: string } | undefined) => void): void
}
