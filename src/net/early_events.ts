// Keeps what happens to a fresh transport until its owner has set a handler.
import type { TransportEnd, TransportHandler } from './transport.ts'

/** The first handler of every transport: remembers the events and replays them to the real one. */
export class EarlyEvents implements TransportHandler {
  #chunks: Buffer[] = []
  #ended = false
  #closed: TransportEnd | undefined

  data(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }
  drain(): void {}
  end(): void {
    this.#ended = true
  }
  close(end: TransportEnd): void {
    this.#closed = end
  }

  /** Gives what was kept to `current()`, which is asked anew for each event, after the running code has returned. */
  replay(current: () => TransportHandler): void {
    if (this.#chunks.length === 0 && !this.#ended && this.#closed === undefined) return
    queueMicrotask(() => {
      for (const chunk of this.#chunks) current().data(chunk)
      if (this.#ended) current().end()
      if (this.#closed !== undefined) current().close(this.#closed)
    })
  }
}
