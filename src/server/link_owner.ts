// Whom a link tells of its own life, and of what it counts.
import type { CloseReason } from '../errors.ts'

/** Whom the link tells about its own life: the pool. */
export interface LinkOwner<L> {
  linkClosed(link: L, reason: CloseReason): void
  /** The server ended the link, or broke the protocol: it serves nobody from now on; `linkClosed` follows. */
  linkDying(link: L): void
  /** An overdue link found that its role no longer exists. */
  roleGone(link: L): void
}

/** What counts queries; the data path writes plain numbers. */
export interface LinkMeter {
  query(): void
  transaction(): void
}

/** Hears the notifications of a link that nobody uses. */
export interface NotificationListener {
  /** One whole NotificationResponse, its own memory. */
  heard(message: Buffer): void
}
