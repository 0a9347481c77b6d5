// Who listens to which channel, and the delivery of what a listening link hears.
import { channelOf, senderOf, setSender } from '../wire/notification.ts'
import type { LinkLists } from './link_lists.ts'
import type { PoolLink } from './pool_link.ts'

export interface Subscriber {
  /** A whole NotificationResponse, which others have too: it must not be written to. */
  notified(message: Buffer): void
  /** The listening link was lost, and notifications perhaps. The subscriber has left already. */
  listeningLost(): void
}

/** Of so many closed links the last sender is known. */
const CLOSED_LINKS = 100

export class Subscriptions {
  readonly #byChannel = new Map<string, Set<Subscriber>>()
  readonly #channels = new Map<Subscriber, ReadonlySet<string>>()

  /** Channels that are not heard yet. */
  readonly #fresh = new Map<Subscriber, ReadonlySet<string>>()
  /** Senders on links that are closed: what they sent may still be under way. By the server's process. */
  readonly #closed = new Map<number, number>()

  /** Its keys are the channels to which anybody listens. */
  get byChannel(): ReadonlyMap<string, unknown> {
    return this.#byChannel
  }

  get channels(): number {
    return this.#byChannel.size
  }

  get sessions(): number {
    return this.#channels.size
  }

  /** `channels` in place of all that `subscriber` listened to. It hears the new ones among them when `begin` is called. */
  set(subscriber: Subscriber, channels: ReadonlySet<string>): void {
    const before = this.#channels.get(subscriber)
    const fresh = [...channels].filter((channel) => before?.has(channel) !== true || this.#fresh.get(subscriber)?.has(channel) === true)
    if (fresh.length > 0) this.#fresh.set(subscriber, new Set(fresh))
    else this.#fresh.delete(subscriber)
    if (before !== undefined) for (const channel of before) if (!channels.has(channel)) this.#drop(channel, subscriber)
    for (const channel of channels) {
      const subscribers = this.#byChannel.get(channel)
      if (subscribers === undefined) this.#byChannel.set(channel, new Set([subscriber]))
      else subscribers.add(subscriber)
    }
    if (channels.size > 0) this.#channels.set(subscriber, channels)
    else this.#channels.delete(subscriber)
  }

  linkClosed(link: PoolLink): void {
    if (this.#byChannel.size === 0) return
    this.#closed.set(link.facts.processId, link.sender)
    for (const oldest of this.#closed.keys()) {
      if (this.#closed.size <= CLOSED_LINKS) return
      this.#closed.delete(oldest)
    }
  }

  /** The server listens to all that `subscriber` wants: what it has sent before was sent before. */
  begin(subscriber: Subscriber): void {
    this.#fresh.delete(subscriber)
  }

  /** Nobody listens any more. Answers who did. */
  takeAll(): Subscriber[] {
    const all = [...this.#channels.keys()]
    this.#channels.clear()
    this.#fresh.clear()
    this.#byChannel.clear()
    return all
  }

  /** Who uses the server process `processId`, or used it last: the process id that the client knows as its own; 0: none of ours. */
  senderOf<L extends PoolLink>(processId: number, lists: LinkLists<L>): number {
    return lists.find((link) => link.facts.processId === processId)?.sender ?? this.#closed.get(processId) ?? 0
  }

  /** Delivers what a link hears; a sender that is a link of `lists` is named by the process id that its client knows. */
  heardBy<L extends PoolLink>(lists: LinkLists<L>): { heard(message: Buffer): void } {
    return {
      heard: (message) => {
        const channel = channelOf(message, 0, message.length)
        const subscribers = this.#byChannel.get(channel)
        if (subscribers === undefined) return
        const sender = this.senderOf(senderOf(message, 0), lists)
        if (sender !== 0) setSender(message, 0, sender)
        for (const subscriber of [...subscribers]) if (this.#fresh.get(subscriber)?.has(channel) !== true) subscriber.notified(message)
      },
    }
  }

  #drop(channel: string, subscriber: Subscriber): void {
    const subscribers = this.#byChannel.get(channel)
    if (subscribers === undefined) return
    subscribers.delete(subscriber)
    if (subscribers.size === 0) this.#byChannel.delete(channel)
  }
}
