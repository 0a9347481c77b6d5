// The log lines of one credential source: what becomes of its leases.

import type { Trouble } from '../credential.ts'
import type { Log, LogFields } from '../log.ts'
import type { VaultContext } from './context.ts'
import { remedyOf } from './failure.ts'
import type { Lease, LeaseGrant } from './lease.ts'

export class SourceLog {
  readonly #context: VaultContext
  readonly #source: string
  readonly #vaultPath: string

  constructor(context: VaultContext, source: string, vaultPath: string) {
    this.#context = context
    this.#source = source
    this.#vaultPath = vaultPath
  }

  /** Also warns, once, of a `rotate_before` that does not fit the lease. */
  obtained(lease: Lease, grant: LeaseGrant): void {
    const message = `leased ${lease.credential.user} for ${Math.round(grant.durationMs / 1000)} s`
    this.#log.info('lease_obtained', message, this.#fields(lease))
    const before = this.#context.settings.rotate_before
    if (grant.renewable || before <= grant.durationMs / 2 || !this.#context.once(`rotate_before ${this.#source}`)) return
    const warning = `rotate_before (${before / 1000} s) is longer than half of the lease, which cannot be renewed: it is replaced at half of its life`
    this.#log.warning('lease_warning', warning, { source: this.#source })
  }

  /** `serving`: a credential is in use that goes on. */
  readFailed(trouble: Trouble, serving: boolean): void {
    const consequence = serving ? '; the credential in use goes on serving' : ''
    const message = `no credential from ${trouble.detail}${remedyOf(trouble.code, this.#vaultPath)}${consequence}`
    this.#log.warning('vault_request_failed', message, { source: this.#source, code: trouble.code })
  }

  proven(lease: Lease): void {
    this.#log.info('credential_proven', `logged in to PostgreSQL as ${lease.credential.user}`, this.#fields(lease))
  }

  /** PostgreSQL refuses the credential with `sqlstate`; `next` says when another is leased. */
  refused(lease: Lease, sqlstate: string, next: string): void {
    const message = `PostgreSQL refuses ${lease.credential.user} (${sqlstate})${next}`
    this.#log.warning('credential_refused', message, { ...this.#fields(lease), code: sqlstate })
  }

  roleGone(lease: Lease, next: string): void {
    this.#log.warning('role_gone', `the role ${lease.credential.user} does not exist any more${next}`, this.#fields(lease))
  }

  overdue(lease: Lease): void {
    const message = 'the lease is past its end and not replaced; its connections are kept while PostgreSQL lets them'
    this.#log.warning('lease_overdue', message, this.#fields(lease))
  }

  rotated(lease: Lease, ms: number): void {
    this.#log.info('rotated', `new connections log in as ${lease.credential.user}`, { ...this.#fields(lease), ms: Math.round(ms) })
  }

  get #log(): Log {
    return this.#context.log
  }

  #fields(lease: Lease): LogFields {
    return { source: this.#source, generation: lease.generation, lease: lease.leaseId }
  }
}
