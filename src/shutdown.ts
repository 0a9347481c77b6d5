// How a process ends: what each signal starts, what is waited for, and the deadlines.
import { type Clock, delay } from './clock.ts'
import type { Log } from './log.ts'

export type StopSignal = 'TERM' | 'INT' | 'QUIT'

/**
 * draining: clients are served until they have left; finishing: no new clients, those there end as their transactions do;
 * closing: links are closed and leases revoked; ending: at once, whatever runs.
 */
export type Phase = 'serving' | 'draining' | 'finishing' | 'closing' | 'ending' | 'over'

/** done: after a drain; the others: at once, after that signal. */
export type ServeEnd = 'done' | 'terminated' | 'interrupted' | 'quit'

const END_OF_SIGNAL: Readonly<Record<StopSignal, ServeEnd>> = { TERM: 'terminated', INT: 'interrupted', QUIT: 'quit' }

/** How often the number of clients is looked at. */
const WATCH_MS = 50
/** Links are closed by the server's end; one that does not answer holds nobody up for longer. */
const LINKS_PATIENCE_MS = 1_000
/** Cancel requests of what is interrupted are on their way meanwhile. */
const AT_ONCE_PATIENCE_MS = 500
const REVOKE_BUDGET_MS = 5_000
const REVOKE_AT_ONCE_MS = 2_000

/** Milliseconds. */
export interface ShutdownSettings {
  readonly drain_timeout: number
  readonly shutdown_delay: number
  /** 0 = no limit. */
  readonly shutdown_timeout: number
}

export interface ShutdownParts {
  readonly clock: Clock
  readonly log: Log
  readonly settings: () => ShutdownSettings
  /** Clients that are connected or logging in. */
  readonly clients: () => number
  /** From now on no new client is let in. */
  readonly refuseClients: () => void
  /** Ends the clients that hold no link and wait for none (57P01). */
  readonly endIdleClients: () => void
  /** Ends every client (57P01) and cancels what it runs. */
  readonly endAllClients: () => void
  /** Closes the links; resolves when the servers have closed their sides too. */
  readonly closeLinks: () => Promise<void>
  /** Revokes leases and our own tokens within `budgetMs`. Never rejects. */
  readonly revoke: (budgetMs: number) => Promise<void>
}

export class Shutdown {
  /** Resolves when everything is over. */
  readonly ended: Promise<ServeEnd>
  readonly #parts: ShutdownParts
  readonly #resolve: (end: ServeEnd) => void
  #phase: Phase = 'serving'
  #beganMs = 0

  constructor(parts: ShutdownParts) {
    this.#parts = parts
    const { promise, resolve } = Promise.withResolvers<ServeEnd>()
    this.ended = promise
    this.#resolve = resolve
  }

  get phase(): Phase {
    return this.#phase
  }

  /** Clients that come now are refused, and those there end with their transactions. */
  get refusing(): boolean {
    return this.#phase !== 'serving' && this.#phase !== 'draining'
  }

  /** TERM drains, INT lets transactions finish, QUIT and any second signal end at once. */
  signal(name: StopSignal): void {
    const { log, clock, settings } = this.#parts
    if (this.#phase === 'ending' || this.#phase === 'over') return
    if (name === 'QUIT' || this.#phase !== 'serving') {
      log.warning('signal', `SIG${name}: ending now`, { signal: `SIG${name}` })
      return void this.#endNow(name)
    }
    this.#beganMs = clock.monotonicMs()
    const { drain_timeout, shutdown_delay, shutdown_timeout } = settings()
    if (shutdown_timeout > 0) clock.after(shutdown_timeout, () => this.#late(name))
    if (name === 'INT') {
      log.info('signal', 'SIGINT: transactions finish, new clients are refused', { signal: 'SIGINT' })
      return void this.#finish()
    }
    const longest = Math.max(drain_timeout, shutdown_delay)
    log.info('signal', `SIGTERM: clients are served until none is left, for at most ${longest / 1000} s`, { signal: 'SIGTERM' })
    void this.#drain()
  }

  #late(name: StopSignal): void {
    if (this.#phase === 'ending' || this.#phase === 'over') return
    this.#parts.log.warning('draining', 'shutdown_timeout is over: ending now', { count: this.#parts.clients() })
    void this.#endNow(name)
  }

  /** In a pod the application is told to stop at the same moment, and still needs its database for a while. */
  async #drain(): Promise<void> {
    this.#phase = 'draining'
    const { clock, settings, clients, log } = this.#parts
    for (;;) {
      const spent = clock.monotonicMs() - this.#beganMs
      const { drain_timeout, shutdown_delay } = settings()
      if (spent >= shutdown_delay && (clients() === 0 || spent >= drain_timeout)) break
      await delay(clock, WATCH_MS)
      if (this.#phase !== 'draining') return
    }
    if (clients() > 0) log.info('draining', 'drain_timeout is over: clients end as their transactions do', { count: clients() })
    await this.#finish()
  }

  async #finish(): Promise<void> {
    this.#phase = 'finishing'
    const { clock, clients, refuseClients, endIdleClients } = this.#parts
    refuseClients()
    for (;;) {
      endIdleClients()
      if (clients() === 0) break
      await delay(clock, WATCH_MS)
      if (this.#phase !== 'finishing') return
    }
    this.#phase = 'closing'
    await this.#close(LINKS_PATIENCE_MS, REVOKE_BUDGET_MS)
    if (this.#phase === 'closing') this.#over('done')
  }

  async #endNow(name: StopSignal): Promise<void> {
    this.#phase = 'ending'
    this.#parts.refuseClients()
    this.#parts.endAllClients()
    await this.#close(AT_ONCE_PATIENCE_MS, REVOKE_AT_ONCE_MS)
    this.#over(END_OF_SIGNAL[name])
  }

  async #close(patienceMs: number, budgetMs: number): Promise<void> {
    const { closeLinks, revoke } = this.#parts
    await this.#within(closeLinks(), patienceMs)
    await this.#within(revoke(budgetMs), budgetMs)
  }

  async #within(task: Promise<void>, longestMs: number): Promise<void> {
    const over = new AbortController()
    await Promise.race([task, delay(this.#parts.clock, longestMs, over.signal)])
    over.abort()
  }

  #over(end: ServeEnd): void {
    this.#phase = 'over'
    const ms = Math.round(this.#parts.clock.monotonicMs() - this.#beganMs)
    this.#parts.log.info('stopped', end === 'done' ? 'stopped: nothing was interrupted' : 'stopped at once', { reason: end, ms })
    this.#resolve(end)
  }
}
