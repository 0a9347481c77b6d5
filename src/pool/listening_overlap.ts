// Links that listened for a pool and have been replaced: each is kept until all that was sent before its successor listened has been heard.
import type { ListeningLink } from './listening_link.ts'
import type { PoolLink } from './pool_link.ts'

/** One that is replaced is kept for so long, and a round trip more. */
const OVERLAP_MS = 1_000

interface Old<L extends PoolLink> {
  readonly listening: ListeningLink<L>
  readonly sinceMs: number
  /** What was sent before the successor listened has been heard. */
  heard: boolean
  closing: boolean
}

export class ListeningOverlap<L extends PoolLink> {
  #all: Old<L>[] = []

  /** `listening` has a successor that listens since `nowMs`. */
  add(listening: ListeningLink<L>, nowMs: number): void {
    const old: Old<L> = { listening, sinceMs: nowMs, heard: false, closing: false }
    this.#all.push(old)
    listening.sync(() => {
      old.heard = true
    })
  }

  /** `done` is called when those that are left have heard what was sent before. */
  hearOut(done: () => void): void {
    let left = this.#all.length
    if (left === 0) return done()
    for (const { listening } of this.#all) {
      listening.sync(() => {
        left--
        if (left === 0) done()
      })
    }
  }

  /** Closes those that were kept for long enough. */
  tick(nowMs: number): void {
    for (const old of this.#all) {
      if (!old.heard || old.closing || nowMs - old.sinceMs < OVERLAP_MS) continue
      old.closing = true
      old.listening.sync(() => {
        this.#drop(old)
        old.listening.link.shut('rotated')
        // who has asked meanwhile asked for what is heard now
        old.listening.lost()
      })
    }
  }

  /** The server ended `link`. Answers whether notifications may have been lost with it. */
  dying(link: L): boolean {
    const old = this.#all.find(({ listening }) => listening.link === link)
    if (old === undefined) return false
    const { heard } = old
    this.#drop(old)
    old.listening.lost()
    return !heard
  }

  clear(): void {
    const all = this.#all
    this.#all = []
    for (const { listening } of all) listening.lost()
  }

  #drop(old: Old<L>): void {
    this.#all = this.#all.filter((other) => other !== old)
  }
}
