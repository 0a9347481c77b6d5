// Bounds what scrapes cost: each is made on the event loop that also serves the databases' clients.
import type { Clock } from '../clock.ts'

/** Scrapes that may follow one another at once. */
const BURST = 50
/** Then one in this time. At 6 ms each, as measured with one database, they cost 6% of a processor at most. */
const INTERVAL_MS = 100

/** `render`, but whoever asks too often gets what was said last, at most `INTERVAL_MS` old. */
export function boundedScrapes(render: () => Promise<string>, clock: Clock): () => Promise<string> {
  let left = BURST
  let countedMs = clock.monotonicMs()
  let last: Promise<string> | undefined
  return () => {
    const now = clock.monotonicMs()
    left = Math.min(BURST, left + (now - countedMs) / INTERVAL_MS)
    countedMs = now
    if (left < 1 && last !== undefined) return last
    left--
    last = render()
    return last
  }
}
