// `check --online`: logs in to Vault, leases, logs in to PostgreSQL and revokes, and names the step that failed.
import { buildVault } from './app_vault.ts'
import { systemClock } from './clock.ts'
import type { Credential, CredentialConsumer, CredentialSource, Trouble } from './credential.ts'
import { errorText, PgleaseError } from './errors.ts'
import type { Log, LogEvent, LogFields } from './log.ts'
import { Metrics } from './metrics.ts'
import { hostPort } from './net/address.ts'
import { DnsCache } from './net/dns_cache.ts'
import { pickNetwork } from './net/pick.ts'
import { onSignal } from './net/signals.ts'
import { Secret } from './secret.ts'
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
const INTERRUPTS = ['INT', 'TERM', 'HUP', 'QUIT'] as const

/** Keeps what the Vault client says of leases that it could not revoke. */
class RevocationLog implements Log {
  readonly #failed = new Map<string | undefined, string>()
  #ownTokenRevoked = false

  debug(): void {}

  info(event: LogEvent, _msg: string, fields?: LogFields): void {
    if (event === 'lease_revoked') this.#failed.delete(fields?.lease)
    if (event === 'token_revoked') this.#ownTokenRevoked = true
  }

  warning(event: LogEvent, msg: string, fields?: LogFields): void {
    if (event === 'lease_revoke_failed') this.#failed.set(fields?.lease, msg)
  }

  error(event: LogEvent, msg: string, fields?: LogFields): void {
    this.warning(event, msg, fields)
  }

  /** Undefined when every lease was revoked. A token of ours takes its leases with it. */
  get failure(): { readonly detail: string; readonly leftBehind: boolean } | undefined {
    const [detail] = this.#failed.values()
    return detail === undefined ? undefined : { detail, leftBehind: !this.#ownTokenRevoked }
  }
}

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
  readonly #revocations: RevocationLog
  readonly #beganMs = systemClock.monotonicMs()
  /** What is still under way says nothing any more. */
  #interrupted = false

  constructor(settings: Settings, vault: Vault | undefined, revocations: RevocationLog) {
    this.#settings = settings
    this.#vault = vault
    this.#revocations = revocations
  }

  #note(name: string, beganMs: number, ok: boolean, detail?: string): void {
    const ms = Math.round(systemClock.monotonicMs() - beganMs)
    this.steps.push({ name, ok, ms, ...(detail === undefined ? {} : { detail }) })
  }

  /** Undefined = the step failed and has been noted. */
  async #step<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const began = systemClock.monotonicMs()
    try {
      const result = await work()
      if (!this.#interrupted) this.#note(name, began, true)
      return result
    } catch (error) {
      const detail = error instanceof PgleaseError ? errorText(error.code, error.detail) : 'internal error'
      if (!this.#interrupted) this.#note(name, began, false, detail)
      return undefined
    }
  }

  /** The first that fails ends it. */
  async databases(): Promise<void> {
    for (const database of this.#settings.databases.values()) {
      if (this.#interrupted || !(await this.#database(database))) return
    }
  }

  interrupt(signal: string): void {
    this.#interrupted = true
    this.#note('the check', this.#beganMs, false, `interrupted by SIG${signal}`)
  }

  async #database(database: DatabaseSettings): Promise<boolean> {
    const { vault_path, user, password } = database
    let credential: Credential | undefined
    if (vault_path !== undefined && this.#vault !== undefined) {
      const source = this.#vault.source(database.name, vault_path)
      credential = await this.#step(`log in to Vault and lease ${vault_path}`, () => firstCredential(source))
    } else if (user !== undefined) {
      // as when it serves: a server that trusts, or asks for a certificate, needs no password
      credential = { source: database.name, generation: 1, user, password: password ?? new Secret('') }
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
    if (vault === undefined) return
    const began = systemClock.monotonicMs()
    await vault.close(REVOKE_BUDGET_MS)
    const failure = this.#revocations.failure
    this.#note('revoke the leases and our own token', began, failure?.leftBehind !== true, failure?.detail)
  }
}

/** Never rejects for a step that failed; the first that is not ok ends the check, and what was leased is revoked all the same. */
export async function checkOnline({ settings }: LoadedSettings): Promise<{ readonly steps: readonly Step[] }> {
  const metrics = new Metrics({ version: '', commit: '', runtime: '' })
  const revocations = new RevocationLog()
  const check = new OnlineCheck(settings, buildVault(settings, systemClock, revocations, metrics), revocations)
  const interrupted = Promise.withResolvers<void>()
  const watches = INTERRUPTS.map((name) =>
    onSignal(name, () => {
      check.interrupt(name)
      interrupted.resolve()
    }),
  )
  await Promise.race([check.databases(), interrupted.promise])
  // a second signal ends the process as it would have without us
  for (const unwatch of watches) unwatch?.()
  await check.revoke()
  return { steps: [...check.steps] }
}
