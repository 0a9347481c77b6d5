// Those who keep a link for their whole life, sessions of session mode and replication connections, are ended: at a rotation one after another
// before the old lease is over, and when their server is no longer what was asked for.
import type { Clock } from '../clock.ts'
import type { CredentialSource } from '../credential.ts'
import type { Log } from '../log.ts'
import type { Generations } from './generation.ts'
import type { LinkState, Listed } from './link_lists.ts'
import type { LinkFit } from './pool_link.ts'

/** A lease that is renewed without end is not waited for any longer than this. */
const LONGEST_SPREAD_MS = 3_600_000
/** The last sessions at rest are ended this part of the overlap before the lease's end, within the two bounds. */
const MARGIN_PART = 0.1
const LEAST_MARGIN_MS = 500
const MOST_MARGIN_MS = 10_000

/** The recycling of the sessions of one generation. */
interface Round {
  readonly marginMs: number
  /** When the last of them ended. */
  lastMs: number
  /** From one to the next. */
  intervalMs: number
}

export interface RecyclingParts {
  readonly database: string
  readonly source: CredentialSource
  /** server_fast_close: all sessions end as soon as they rest, instead of one after another. */
  readonly settings: { readonly server_fast_close: boolean }
  readonly clock: Clock
  readonly log: Log
}

/** A link that somebody keeps. */
export interface Kept extends Listed {
  readonly generation: number
  readonly facts: { readonly fit?: LinkFit | undefined }
  /** Ends who keeps it; false = it is in the middle of something. */
  recycle(): boolean
}

/** Of a LinkLists, the links that are kept. */
interface KeptLinks<L> {
  all(): readonly L[]
  idle(): readonly L[]
  state(link: L): LinkState | undefined
}

/** What is known of credentials: see Logins. */
export interface Reigns<L> {
  readonly current: { readonly generation: number } | undefined
  readonly generations: Generations
  /** The proof waits for a link to be closed, and none is idle. */
  readonly proofNeedsPlace: boolean
  /** Whether the end of `link` would give it one. */
  frees(link: L): boolean
}

export class Recycling<L extends Kept> {
  readonly #parts: RecyclingParts
  readonly #lists: KeptLinks<L>
  readonly #logins: Reigns<L>
  readonly #what: string
  readonly #rounds = new Map<number, Round>()

  /** `what` is ended, for the log. */
  constructor(parts: RecyclingParts, lists: KeptLinks<L>, logins: Reigns<L>, what = 'sessions (pool_mode session)') {
    this.#parts = parts
    this.#lists = lists
    this.#logins = logins
    this.#what = what
  }

  /** Whether the session that holds `link` is to end as soon as it rests. */
  due(link: L): boolean {
    const { current, generations } = this.#logins
    const { fit } = link.facts
    // it may be gone before the next look at all of them
    if (fit?.serverUnfit === true) this.#spread(fit.host)
    if (fit?.serverUnfit === true || (this.#logins.proofNeedsPlace && this.#logins.frees(link))) return true
    if (link.generation === current?.generation) return false
    if (generations.state(link.generation) === 'gone') return true
    const round = this.#rounds.get(link.generation)
    return round !== undefined && this.#parts.clock.monotonicMs() - round.lastMs >= round.intervalMs
  }

  /** A session has given back a link of `generation`, whatever the reason. */
  ended(generation: number): void {
    const round = this.#rounds.get(generation)
    if (round !== undefined) round.lastMs = this.#parts.clock.monotonicMs()
  }

  /** Ends the sessions whose turn it is. `shut` closes the links that nobody holds. */
  tick(shut: (link: L) => void): void {
    const { current, generations } = this.#logins
    this.#leaveUnfit()
    if (this.#logins.proofNeedsPlace) this.endOne((link) => this.#logins.frees(link))
    if (generations.leaving === 0) return this.#rounds.clear()
    // one that a new session took would have to end soon
    if (current !== undefined) for (const link of this.#lists.idle()) if (link.generation !== current.generation) shut(link)
    const held = new Map<number, L[]>()
    for (const link of this.#lists.all()) {
      if (this.#lists.state(link) !== 'active' || link.generation === current?.generation) continue
      const links = held.get(link.generation)
      if (links === undefined) held.set(link.generation, [link])
      else links.push(link)
    }
    for (const [generation, links] of held) this.#advance(generation, links)
  }

  /** What one link has heard of its server holds for all links to it: those who rest hear nothing. */
  #spread(host: string): void {
    for (const { facts } of this.#lists.all()) if (facts.fit?.host === host) facts.fit.serverUnfit = true
  }

  #leaveUnfit(): void {
    const unfit = this.#lists.all().filter(({ facts }) => facts.fit?.serverUnfit === true)
    for (const host of new Set(unfit.map(({ facts }) => facts.fit?.host ?? ''))) this.#spread(host)
    if (unfit.length === 0) return
    for (const link of this.#lists.all()) {
      if (link.facts.fit?.serverUnfit === true && this.#lists.state(link) === 'active') link.recycle()
    }
  }

  /** A new credential cannot be proven while others hold all the links that there may be. Answers whether one of them rested, and was ended. */
  endOne(accept: (link: L) => boolean): boolean {
    for (const link of this.#lists.all()) if (this.#lists.state(link) === 'active' && accept(link) && link.recycle()) return true
    return false
  }

  #advance(generation: number, links: readonly L[]): void {
    const state = this.#logins.generations.state(generation)
    if (state === 'gone') {
      for (const link of links) link.recycle()
      return
    }
    if (state !== 'draining' || this.#logins.current === undefined) return
    const left = Math.min(this.#parts.source.leftMs(generation), LONGEST_SPREAD_MS)
    const round = this.#rounds.get(generation) ?? this.#begin(generation, links.length, left)
    round.intervalMs = this.#parts.settings.server_fast_close ? 0 : Math.max(0, left - round.marginMs) / links.length
    const nowMs = this.#parts.clock.monotonicMs()
    for (const link of links) {
      if (nowMs - round.lastMs < round.intervalMs) return
      link.recycle()
    }
  }

  #begin(generation: number, sessions: number, left: number): Round {
    const marginMs = Math.min(MOST_MARGIN_MS, Math.max(LEAST_MARGIN_MS, left * MARGIN_PART))
    // the first of them at once: one after another means from now on
    const round: Round = { marginMs, lastMs: Number.NEGATIVE_INFINITY, intervalMs: 0 }
    this.#rounds.set(generation, round)
    const { log, database, source } = this.#parts
    const seconds = Math.round(Math.max(0, left - marginMs) / 1000)
    const message = `${sessions} ${this.#what} hold server connections of a replaced credential and are ended one after another within ${seconds} s`
    log.info('sessions_recycled', message, { database, source: source.name, generation, count: sessions })
    return round
  }
}
