// Why a client is not read just now: it is paused while there is a reason, and read again when the last one is gone.
import type { Transport } from '../net/transport.ts'

/** ahead: it sent as much as is kept for it; link: the server is slow; replies: it does not read its replies. */
export const PAUSED_FOR = { ahead: 1, link: 2, replies: 4 } as const

export class ClientPause {
  readonly #transport: Transport
  #reasons = 0

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** The client does not read its replies. */
  get forReplies(): boolean {
    return (this.#reasons & PAUSED_FOR.replies) !== 0
  }

  add(reason: number): void {
    if (this.#reasons === 0) this.#transport.pause()
    this.#reasons |= reason
  }

  remove(reason: number): void {
    if (this.#reasons === 0) return
    this.#reasons &= ~reason
    if (this.#reasons === 0) this.#transport.resume()
  }
}
