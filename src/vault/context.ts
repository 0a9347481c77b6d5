// What every part of the Vault client is handed: settings, clock, log, and the way to send a request.
import type * as v from 'valibot'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Settings } from '../settings/settings.ts'
import { type Fetch, VaultApi, type VaultRequest } from './api.ts'
import { Availability } from './availability.ts'
import { asFailure } from './failure.ts'
import type { VaultObserver } from './observer.ts'
import type { Instant, Policy } from './schedule.ts'
import { parseAnswer } from './schema.ts'

/** The settings that the Vault client reads; durations in milliseconds. */
export type VaultSettings = Pick<
  Settings,
  | 'vault_addr'
  | 'vault_namespace'
  | 'vault_auth_method'
  | 'vault_auth_mount'
  | 'vault_auth_role'
  | 'vault_token'
  | 'vault_token_file'
  | 'vault_jwt_file'
  | 'vault_role_id'
  | 'vault_secret_id'
  | 'vault_timeout'
  | 'rotate_before'
  | 'lease_renew_fraction'
>

export interface VaultOptions {
  readonly settings: VaultSettings
  /** Reaches Vault under the configured trust and follows no redirects. */
  readonly fetch: Fetch
  readonly clock: Clock
  readonly log: Log
  readonly observer: VaultObserver
}

export class VaultContext {
  /** Replaced as a whole on a reload. */
  settings: VaultSettings
  readonly clock: Clock
  readonly log: Log
  readonly observer: VaultObserver
  readonly availability: Availability
  readonly #api: VaultApi
  readonly #said = new Set<string>()

  constructor(options: VaultOptions) {
    const { settings, fetch, clock, log, observer } = options
    this.settings = settings
    this.clock = clock
    this.log = log
    this.observer = observer
    this.#api = new VaultApi({ address: settings.vault_addr, namespace: settings.vault_namespace, fetch, clock, observer })
    this.availability = new Availability({ clock, log, api: this.#api, timeoutMs: () => this.settings.vault_timeout })
  }

  now(): Instant {
    return { monotonicMs: this.clock.monotonicMs(), wallMs: this.clock.wallMs() }
  }

  policy(): Policy {
    return { fraction: this.settings.lease_renew_fraction, rotateBeforeMs: this.settings.rotate_before }
  }

  /** Sends one request and tells the availability what came of it. Throws VaultFailure. */
  async send(request: VaultRequest): Promise<unknown> {
    try {
      const answer = await this.#api.send(request)
      this.availability.report(undefined)
      return answer
    } catch (error) {
      const failure = asFailure(error)
      this.availability.report(failure)
      throw failure
    }
  }

  /** Like `send`, with the answer in the shape of `schema`; else vault_bad_answer. */
  async ask<Output>(schema: v.GenericSchema<unknown, Output>, request: VaultRequest): Promise<Output> {
    return parseAnswer(schema, await this.send(request), request.path)
  }

  /** True the first time it is asked for `topic`: advice that would fill the log is given once. */
  once(topic: string): boolean {
    if (this.#said.has(topic)) return false
    this.#said.add(topic)
    return true
  }
}
