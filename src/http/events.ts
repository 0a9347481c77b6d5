// Server-sent events: the state once a second while it changes, log lines as they come, for a bounded number of listeners.
import type { LogLine } from '../log.ts'
import type { AdminState } from './admin_state.ts'
import { onlyTimePassed } from './change.ts'

/** Each open status page is one. */
const MOST_LISTENERS = 16
/** What waits for one slow reader; beyond it events are left out, and their number is told later. */
const MOST_WAITING_BYTES = 256 * 1024
const TICK_MS = 1000
/** The state goes out at least this often: the listener's idle timeout is 30 s, and the page sees that it is connected. */
const LONGEST_SILENCE_TICKS = 10

export interface EventParts {
  state(): AdminState
  onEvent(listener: (line: LogLine) => void): () => void
  recent(): readonly LogLine[]
  every(ms: number, task: () => void): () => void
}

interface Listener {
  readonly controller: ReadableStreamDefaultController<Uint8Array>
  missed: number
}

const encoder = new TextEncoder()

/** JSON has no line breaks of its own, so one data line is enough. */
const eventText = (event: string, data: unknown): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

export class EventHub {
  readonly #parts: EventParts
  readonly #listeners = new Set<Listener>()
  #stop: (() => void) | undefined
  #sent: AdminState | undefined
  #silentTicks = 0
  #closed = false

  constructor(parts: EventParts) {
    this.#parts = parts
  }

  /** Nobody is let in: too many listen, or it is over. */
  get full(): boolean {
    return this.#closed || this.#listeners.size >= MOST_LISTENERS
  }

  /** Begins with the state and the lines kept so far. Ends when it is cancelled, as both runtimes do when the client has left, or the hub closes. */
  open(): ReadableStream<Uint8Array> {
    const state = this.#parts.state()
    const lines = this.#parts.recent().map((line) => eventText('log', line))
    const first = encoder.encode(eventText('state', state) + lines.join(''))
    let listener: Listener | undefined
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          listener = { controller, missed: 0 }
          this.#listeners.add(listener)
          controller.enqueue(first)
          this.#start(state)
        },
        cancel: () => {
          if (listener !== undefined) this.#end(listener)
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: MOST_WAITING_BYTES }),
    )
  }

  /** Ends every stream, so that the listener's own end does not wait for open pages. */
  close(): void {
    this.#closed = true
    for (const listener of [...this.#listeners]) this.#end(listener)
  }

  /** Costs nothing while nobody looks. */
  #start(state: AdminState): void {
    if (this.#stop !== undefined) return
    this.#sent = state
    this.#silentTicks = 0
    const stopLines = this.#parts.onEvent((line) => this.#send(eventText('log', line)))
    const stopTicks = this.#parts.every(TICK_MS, () => this.#tick())
    this.#stop = () => {
      stopLines()
      stopTicks()
    }
  }

  #tick(): void {
    try {
      const state = this.#parts.state()
      this.#silentTicks++
      const unchanged = this.#sent !== undefined && onlyTimePassed(this.#sent, state)
      if (unchanged && this.#silentTicks < LONGEST_SILENCE_TICKS) return
      this.#sent = state
      this.#silentTicks = 0
      this.#send(eventText('state', state))
    } catch {
      // a page must not end pglease: its next request meets the same error where it is reported
      for (const listener of [...this.#listeners]) this.#end(listener)
    }
  }

  #send(text: string): void {
    const bytes = encoder.encode(text)
    for (const listener of this.#listeners) {
      const { controller } = listener
      if ((controller.desiredSize ?? 0) <= 0) {
        listener.missed++
        continue
      }
      if (listener.missed > 0) controller.enqueue(encoder.encode(eventText('missed', { count: listener.missed })))
      listener.missed = 0
      controller.enqueue(bytes)
    }
  }

  #end(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return
    try {
      listener.controller.close()
    } catch {
      // cancelled: it is closed already
    }
    if (this.#listeners.size > 0) return
    this.#stop?.()
    this.#stop = undefined
    this.#sent = undefined
  }
}
