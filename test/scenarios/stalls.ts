// How long this process itself was kept from running: on a busy machine that is part of every measured time.

const BEAT_MS = 20

export interface Stall {
  longestMs: number
  /** When it began, in seconds since the watch began. */
  atSeconds: number
}

export function watchStalls(): { stop(): Stall } {
  const began = performance.now()
  const longest = { longestMs: 0, atSeconds: 0 }
  let last = began
  const look = () => {
    const now = performance.now()
    const late = now - last - BEAT_MS
    if (late > longest.longestMs) Object.assign(longest, { longestMs: late, atSeconds: (last - began) / 1000 })
    last = now
  }
  const timer = setInterval(look, BEAT_MS)
  return {
    stop() {
      look()
      clearInterval(timer)
      return longest
    },
  }
}
