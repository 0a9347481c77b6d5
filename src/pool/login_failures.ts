// What a failed login means: whether the credential's source is told of it, and when the next one is tried.
import type { Credential } from '../credential.ts'
import { PgleaseError } from '../errors.ts'
import type { LoginsHost, LoginsParts } from './logins_parts.ts'
import type { Proof } from './proof.ts'
import type { LoginTrouble } from './trouble.ts'

const PROOF_RETRY_MS = 500
/** Of what is left of a credential, between two logins with its successor. */
const PAUSE_PART = 0.1

export class LoginFailures {
  readonly #host: Pick<LoginsHost<unknown>, 'settings'>
  readonly #parts: Omit<LoginsParts<unknown>, 'open'>
  readonly #proof: Proof
  readonly #trouble: LoginTrouble

  constructor(host: Pick<LoginsHost<unknown>, 'settings'>, parts: Omit<LoginsParts<unknown>, 'open'>, proof: Proof, trouble: LoginTrouble) {
    this.#host = host
    this.#parts = parts
    this.#proof = proof
    this.#trouble = trouble
  }

  /** A login with `credential` failed; `current` is the one that serves. */
  note(error: PgleaseError, credential: Credential, current: Credential | undefined): void {
    const cause = error.code === 'login_refused' ? this.#refused(error, credential, current) : error
    if (cause === undefined || !this.#trouble.failed(cause, this.#longestPauseMs(cause, current))) return
    const { database, log } = this.#parts
    const { source, generation } = credential
    const message = `${cause.message}; tried again in ${Math.round(this.#trouble.waitMs)} ms`
    log.warning('login_failed', message, { database, source, generation, code: cause.code })
  }

  /** A successor is tried more often the less is left of the credential that still serves. */
  #longestPauseMs(cause: PgleaseError, current: Credential | undefined): number {
    const transient = cause.class === 'transient' ? this.#parts.longestRetryMs : undefined
    const usual = transient ?? this.#host.settings.server_login_retry
    if (this.#proof.offered === undefined || current === undefined) return usual
    return Math.min(usual, this.#parts.source.leftMs(current.generation) * PAUSE_PART)
  }

  /** 28P01 and 28000 are the credential's fault, once the patience is over. Until then clients wait. */
  #refused(error: PgleaseError, credential: Credential, current: Credential | undefined): PgleaseError | undefined {
    const { offered } = this.#proof
    if (credential !== offered && credential !== current) return undefined
    const patient = this.#proof.bearsRefusal(this.#parts.clock.monotonicMs())
    if (offered === credential && patient) {
      this.#trouble.failed(error, PROOF_RETRY_MS)
      return undefined
    }
    // told at once of the current one: its source leases another, which is what clients wait for
    this.#parts.source.reportFailure(credential.generation, error.sqlstate)
    return patient || credential !== (offered ?? credential) ? error : new PgleaseError('login_refused_for_good', error.detail)
  }
}
