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

interface AvailabilityOptions {
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
  /** A probe has failed too, and people have been told. */
  #told = false
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
    if (failure?.away) this.#suspect(failure)
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
      this.#suspect(this.#tell(asFailure(error)))
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
    const failure = this.#failure
    if (failure === undefined) return
    this.#failure = undefined
    const ms = Math.round(this.#answeredMs - this.#wentAwayMs)
    if (this.#told) this.#options.log.info('vault_recovered', `Vault answers again after ${Math.round(ms / 100) / 10} s`, { ms })
    else this.#tellSingle(failure)
    this.#told = false
    this.#pause.wake()
    this.changed.wake()
  }

  /** From now on everything waits, until a probe or another request shows that Vault answers. */
  #suspect(failure: VaultFailure): void {
    const before = this.#failure
    this.#failure = failure
    if (before === undefined) {
      this.#wentAwayMs = this.#options.clock.monotonicMs()
      this.changed.wake()
    }
    if (!this.#probing) void this.#loop()
  }

  /** A probe failed with `failure`: said once per outage. */
  #tell(failure: VaultFailure): VaultFailure {
    if (this.#told) return failure
    this.#told = true
    const message = `${failure.message}; what is leased goes on serving, Vault is asked again every few seconds`
    this.#options.log.warning('vault_request_failed', message, { code: failure.code, reason: failure.detail })
    return failure
  }

  /** One request was slow or lost, which is no outage; whoever sent it tries again, and says no more than this. */
  #tellSingle({ code, detail }: VaultFailure): void {
    this.#options.log.info('vault_request_failed', `one request to Vault failed, but Vault answers: ${detail}`, { code, reason: detail })
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
        if (this.#failure !== undefined) this.#failure = this.#tell(asFailure(error))
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
