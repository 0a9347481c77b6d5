// The proof of a credential by a first login: which one is to be proven, whether that login runs, and how long refusals are borne.
import type { Credential } from '../credential.ts'
import type { PgleaseError } from '../errors.ts'

/** none: no credential is offered; due: one is, and waits for its login; running: its login is under way. */
type ProofState = 'none' | 'due' | 'running'

const MOVES: Readonly<Record<ProofState, readonly ProofState[]>> = {
  none: ['due'],
  due: ['due', 'running', 'none'],
  running: ['due', 'none'],
}

/** How long a refused proof is repeated, because a standby may not have the role yet, and a refused current credential's successor is awaited. */
const REFUSAL_PATIENCE_MS = 5_000

export class Proof {
  #state: ProofState = 'none'
  #credential: Credential | undefined
  #offeredAtMs = 0
  #placeMade = false
  /** A login with it was answered, and failed. */
  #refused = false
  #refusedSinceMs: number | undefined

  get state(): ProofState {
    return this.#state
  }

  /** The credential that is not proven yet. */
  get offered(): Credential | undefined {
    return this.#credential
  }

  /** The one whose login should begin. */
  get due(): Credential | undefined {
    return this.#state === 'due' ? this.#credential : undefined
  }

  /** Monotonic time since which a login is due or has failed; undefined = none is. */
  get dueSinceMs(): number | undefined {
    return this.#state === 'due' ? this.#offeredAtMs : undefined
  }

  /** The server was reached, and said no: another login may end in the same way. */
  get refused(): boolean {
    return this.#refused
  }

  /** A new credential takes the place of one that was not proven. */
  offer(credential: Credential, nowMs: number): void {
    this.#move('due', credential)
    this.#offeredAtMs = nowMs
    this.#refused = false
    this.#refusedSinceMs = undefined
  }

  begin(): void {
    this.#move('running', this.#credential)
  }

  /** A link was closed so that the login had a place. */
  makePlace(): void {
    this.#placeMade = true
  }

  /** A login with `credential` has succeeded. */
  loggedIn(credential: Credential): 'proven' | 'proven, place made' | 'no proof' {
    if (this.#credential === undefined) this.#refusedSinceMs = undefined
    if (this.#credential !== credential) return 'no proof'
    const placeMade = this.#placeMade
    this.#move('none', undefined)
    this.#placeMade = false
    this.#refusedSinceMs = undefined
    return placeMade ? 'proven, place made' : 'proven'
  }

  /** A login with `credential` has failed: if it was the proof, that is due again. */
  failed(credential: Credential, error: PgleaseError): void {
    if (this.#credential !== credential || this.#state !== 'running') return
    this.#refused = error.class === 'permanent' || error.code === 'login_refused' || error.code === 'no_host_fits'
    this.#move('due', credential)
  }

  /** The server refused a login with the credential that is to be proven, or with the current one. False = the patience is over. */
  bearsRefusal(nowMs: number): boolean {
    this.#refusedSinceMs ??= nowMs
    return nowMs - this.#refusedSinceMs < REFUSAL_PATIENCE_MS
  }

  #move(to: ProofState, credential: Credential | undefined): void {
    if (this.#state !== to && !MOVES[this.#state].includes(to)) throw new Error(`a proof cannot go from ${this.#state} to ${to}`)
    this.#state = to
    this.#credential = credential
  }
}
