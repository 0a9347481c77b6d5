// `check --online`: logs in to Vault, leases, logs in to PostgreSQL and revokes, and names the step that failed.
import { buildVault } from './app_vault.ts'
import { systemClock } from './clock.ts'
import type { Credential, CredentialConsumer, CredentialSource, Trouble } from './credential.ts'
import { errorText, PgleaseError } from './errors.ts'
import type { Log } from './log.ts'
import { Metrics } from './metrics.ts'
import { hostPort } from './net/address.ts'
import { DnsCache } from './net/dns_cache.ts'
import { pickNetwork } from './net/pick.ts'
import { Hosts } from './server/hosts.ts'
import { openLink } from './server/open.ts'
import type { DatabaseSettings, LoadedSettings, Settings } from './settings/settings.ts'
import type { Vault } from './vault/vault.ts'
import { ParameterNames } from './wire/parameters.ts'
import { ScramCache } from './wire/scram.ts'

interface Step {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  readonly detail?: string
}

/** The check's own patience with a Vault that does not answer. */
const LEASE_PATIENCE_MS = 30_000
const REVOKE_BUDGET_MS = 5_000
const SILENT: Log = { debug() {}, info() {}, warning() {}, error() {} }

/** The first credential of a source; rejects with a PgleaseError for its first trouble. */
function firstCredential(source: CredentialSource): Promise<Credential> {
  return new Promise((resolve, reject) => {
    const late = systemClock.after(LEASE_PATIENCE_MS, () => reject(new PgleaseError('vault_unreachable', 'no answer in time')))
    const consumer: CredentialConsumer = {
      offer: (credential) => {
        late.cancel()
        resolve(credential)
      },
      overdue() {},
      gone() {},
      trouble: (trouble: Trouble | undefined) => {
        if (trouble === undefined) return
        late.cancel()
        reject(new PgleaseError(trouble.code, trouble.detail))
      },
    }
    source.subscribe(consumer)
  })
}

class OnlineCheck {
  readonly steps: Step[] = []
  readonly #settings: Settings
  readonly #vault: Vault | undefined

  constructor(settings: Settings, vault: Vault | undefined) {
    this.#settings = settings
    this.#vault = vault
  }

  /** Undefined = the step failed and has been noted. */
  async #step<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const began = systemClock.monotonicMs()
    try {
      const result = await work()
      this.steps.push({ name, ok: true, ms: Math.round(systemClock.monotonicMs() - began) })
      return result
    } catch (error) {
      const detail = error instanceof PgleaseError ? errorText(error.code, error.detail) : 'internal error'
      this.steps.push({ name, ok: false, ms: Math.round(systemClock.monotonicMs() - began), detail })
      return undefined
    }
  }

  async database(database: DatabaseSettings): Promise<boolean> {
    const { vault_path, user, password } = database
    let credential: Credential | undefined
    if (vault_path !== undefined && this.#vault !== undefined) {
      const source = this.#vault.source(database.name, vault_path)
      credential = await this.#step(`log in to Vault and lease ${vault_path}`, () => firstCredential(source))
    } else if (user !== undefined && password !== undefined) {
      credential = { source: database.name, generation: 1, user, password }
    }
    if (credential === undefined) return false
    const leased = credential
    const where = database.hosts.map(({ host, port }) => hostPort(host, port)).join(' or ')
    const closed = await this.#step(`log in to ${where}, database ${database.dbname}`, async () => {
      const link = await openLink(
        {
          network: pickNetwork(),
          clock: systemClock,
          settings: database,
          hosts: new Hosts(database.hosts, database.load_balance_hosts, systemClock),
          dns: new DnsCache({ maxTtlMs: 0, nxdomainTtlMs: 0 }, systemClock),
          timeoutMs: this.#settings.server_connect_timeout,
          names: new ParameterNames([]),
          scramCache: new ScramCache(),
          meter: { query() {}, transaction() {} },
          nextId: () => 1,
        },
        leased,
      )
      await new Promise<void>((resolve) => {
        link.owner = { linkClosed: () => resolve(), linkDying() {}, roleGone() {} }
        link.shut('pool_closed')
      })
      return true
    })
    return closed === true
  }

  async revoke(): Promise<void> {
    const vault = this.#vault
    if (vault !== undefined) await this.#step('revoke the leases and our own token', () => vault.close(REVOKE_BUDGET_MS))
  }
}

/** Never rejects for a step that failed; the first that is not ok ends the check, and what was leased is revoked all the same. */
export async function checkOnline({ settings }: LoadedSettings): Promise<{ readonly steps: readonly Step[] }> {
  const metrics = new Metrics({ version: '', commit: '', runtime: '' })
  const check = new OnlineCheck(settings, buildVault(settings, systemClock, SILENT, metrics))
  for (const database of settings.databases.values()) if (!(await check.database(database))) break
  await check.revoke()
  return { steps: check.steps }
}
