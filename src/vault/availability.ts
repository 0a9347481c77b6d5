// Whether Vault answers at all: while it does not, one loop asks for the whole process and everything else waits for it.
import { backoffMs, type Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { VaultApi } from './api.ts'
import { asFailure, VaultFailure } from './failure.ts'
import { Wakeable, waitForAny } from './wake.ts'

const PROBE_TIMEOUT_MS = 5000
const FIRST_PAUSE_MS = 500
/** From the start of one probe to the next: 60 seconds without Vault take at most 20 requests. */
const LONGEST_PAUSE_MS = 5000
/** A probe that hung has waited already; while Vault is frozen nearly always one is on its way, and a thaw shows at once. */
const LEAST_PAUSE_MS = 250
/** A read of credentials whose answer is lost makes a role for nobody: Vault must have answered this recently. */
const FRESH_MS = 2000

const HEALTH_PATH = 'sys/health'

export interface AvailabilityOptions {
  readonly clock: Clock
  readonly log: Log
  readonly api: VaultApi
  /** `vault_timeout` as it is now. */
  readonly timeoutMs: () => number
}

export class Availability {
  /** Wakes when Vault went away or came back. */
  readonly changed = new Wakeable()
  readonly #options: AvailabilityOptions
  readonly #pause = new Wakeable()
  #failure: VaultFailure | undefined
  #probing = false
  #closed = false
  #wentAwayMs = 0
  #answeredMs = Number.NEGATIVE_INFINITY

  constructor(options: AvailabilityOptions) {
    this.#options = options
  }

  /** Why Vault is away; undefined while it answers. */
  get failure(): VaultFailure | undefined {
    return this.#failure
  }

  /** Tells what a request met: only failures that concern the whole of Vault count. */
  report(failure: VaultFailure | undefined): void {
    if (failure?.away) this.#away(failure)
    else if (failure === undefined || failure.status > 0) this.#answers()
  }

  /** Resolves to true when Vault answered just now or does so when asked. Sends nothing while it is away. */
  async confirm(): Promise<boolean> {
    if (this.#failure !== undefined) return false
    if (this.#options.clock.monotonicMs() - this.#answeredMs < FRESH_MS) return true
    try {
      await this.#probe()
      this.#answers()
      return true
    } catch (error) {
      this.#away(asFailure(error))
      return false
    }
  }

  close(): void {
    this.#closed = true
    this.#pause.wake()
    this.changed.wake()
  }

  #answers(): void {
    this.#answeredMs = this.#options.clock.monotonicMs()
    if (this.#failure === undefined) return
    const ms = Math.round(this.#answeredMs - this.#wentAwayMs)
    this.#failure = undefined
    this.#options.log.info('vault_recovered', `Vault answers again after ${Math.round(ms / 100) / 10} s`, { ms })
    this.#pause.wake()
    this.changed.wake()
  }

  #away(failure: VaultFailure): void {
    const before = this.#failure
    this.#failure = failure
    if (before === undefined) {
      this.#wentAwayMs = this.#options.clock.monotonicMs()
      const message = `${failure.message}; what is leased goes on serving, Vault is asked again every few seconds`
      this.#options.log.warning('vault_request_failed', message, { code: failure.code, reason: failure.detail })
      this.changed.wake()
    }
    if (!this.#probing) void this.#loop()
  }

  async #loop(): Promise<void> {
    const { clock } = this.#options
    this.#probing = true
    for (let attempt = 0; this.#failure !== undefined && !this.#closed; attempt++) {
      const started = clock.monotonicMs()
      try {
        await this.#probe()
        this.#answers()
        break
      } catch (error) {
        // an answer to another request may have ended the outage meanwhile
        if (this.#failure !== undefined) this.#failure = asFailure(error)
      }
      if (this.#failure === undefined || this.#closed) break
      const spent = clock.monotonicMs() - started
      const pause = Math.max(LEAST_PAUSE_MS, backoffMs(clock, attempt, FIRST_PAUSE_MS, LONGEST_PAUSE_MS) - spent)
      await waitForAny(clock, [this.#pause], pause)
    }
    this.#probing = false
  }

  /** GET sys/health without a token. An answer such as 403 of a proxy that hides it shows that something works. */
  async #probe(): Promise<void> {
    try {
      await this.#options.api.send({
        operation: 'health',
        method: 'GET',
        path: HEALTH_PATH,
        query: { standbyok: 'true', perfstandbyok: 'true' },
        timeoutMs: Math.min(PROBE_TIMEOUT_MS, this.#options.timeoutMs()),
      })
    } catch (error) {
      const failure = asFailure(error)
      if (failure.status >= 400 && failure.status < 500 && !failure.away) return
      throw explained(failure)
    }
  }
}

/** The health check answers with a status alone; people want words. Any failure of it means that Vault is away. */
function explained(failure: VaultFailure): VaultFailure {
  const meaning: Readonly<Record<number, string>> = {
    472: 'this is a disaster-recovery secondary',
    474: 'a standby without an active node',
    501: 'Vault is not initialised',
    503: 'Vault is sealed',
  }
  const words = meaning[failure.status]
  return new VaultFailure(failure.code, words === undefined ? failure.detail : `${words} (${failure.detail})`, {
    status: failure.status,
    away: true,
  })
}
