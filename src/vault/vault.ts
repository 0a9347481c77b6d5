// The Vault client as the rest of pglease sees it: one login, one source per Vault path, one snapshot, one end.
import type { CredentialSource, Trouble } from '../credential.ts'
import { VaultContext, type VaultOptions, type VaultSettings } from './context.ts'
import { loginMethod } from './login.ts'
import { LeasedSource } from './source.ts'
import type { SourceSnapshot } from './source_snapshot.ts'
import { TokenKeeper } from './token_keeper.ts'
import { waitForAny } from './wake.ts'

export interface VaultSnapshot {
  readonly address: string
  /** Whether Vault answered last. */
  readonly available: boolean
  /** Why there is no token, or why Vault is away. */
  readonly trouble: Trouble | undefined
  readonly token: {
    /** own: from our login; foreign: given to us. */
    readonly kind: 'own' | 'foreign'
    readonly method: string
    readonly present: boolean
    /** Infinity = it never ends; 0 = there is none. */
    readonly remainingMs: number
  }
  readonly sources: readonly SourceSnapshot[]
}

export interface Vault {
  /** The source of `vaultPath` (`mount/creds/role`); the same one for the same path. `name` labels metrics and logs. */
  source(name: string, vaultPath: string): CredentialSource
  state(): VaultSnapshot
  /** Whether we are logged in. */
  ready(): boolean
  /** Takes over the settings that may change while running: vault_timeout, rotate_before, lease_renew_fraction. */
  apply(settings: VaultSettings): void
  /** Revokes the leases, then our own tokens, within `budgetMs`. Never throws. */
  close(budgetMs: number): Promise<void>
}

/** Part of the time of an end that the leases have; the rest is the tokens'. */
const LEASES_PART = 0.7
const LEAST_TOKEN_MS = 500

class VaultClient implements Vault {
  readonly #context: VaultContext
  readonly #keeper: TokenKeeper
  readonly #sources = new Map<string, LeasedSource>()
  #closed = false

  constructor(options: VaultOptions) {
    this.#context = new VaultContext(options)
    this.#keeper = new TokenKeeper(this.#context, loginMethod(this.#context))
    void this.#follow()
  }

  source(name: string, vaultPath: string): CredentialSource {
    const known = this.#sources.get(vaultPath)
    if (known !== undefined) return known
    const source = new LeasedSource(this.#context, this.#keeper, name, vaultPath)
    this.#sources.set(vaultPath, source)
    this.#keeper.start()
    source.start()
    return source
  }

  state(): VaultSnapshot {
    const { availability, settings } = this.#context
    const token = this.#keeper.current
    const failure = availability.failure
    return {
      address: withoutUserinfo(settings.vault_addr),
      available: failure === undefined,
      trouble: failure === undefined ? this.#keeper.trouble : { code: failure.code, detail: failure.detail },
      token: {
        kind: this.#keeper.kind,
        method: settings.vault_auth_method,
        present: token !== undefined,
        remainingMs: Math.max(0, token?.leftMs(this.#context.now()) ?? 0),
      },
      sources: [...this.#sources.values()].map((source) => source.snapshot()),
    }
  }

  ready(): boolean {
    return this.#keeper.current !== undefined
  }

  apply(settings: VaultSettings): void {
    this.#context.settings = settings
    for (const source of this.#sources.values()) source.vaultChanged()
  }

  async close(budgetMs: number): Promise<void> {
    const { clock, availability } = this.#context
    this.#closed = true
    const end = clock.monotonicMs() + budgetMs
    await Promise.all([...this.#sources.values()].map((source) => source.close(budgetMs * LEASES_PART)))
    await this.#keeper.close(Math.max(LEAST_TOKEN_MS, end - clock.monotonicMs()))
    availability.close()
  }

  /** Passes every change of token and availability on to the sources. */
  async #follow(): Promise<void> {
    const { availability, clock } = this.#context
    while (!this.#closed) {
      await waitForAny(clock, [this.#keeper.changed, availability.changed])
      if (this.#closed) return
      for (const source of this.#sources.values()) source.vaultChanged()
    }
  }
}

function withoutUserinfo(address: string): string {
  const url = new URL(address)
  url.username = ''
  url.password = ''
  return url.toString().replace(/\/$/, '')
}

/** A client of the Vault that `settings` name. It sends nothing before the first `source`. */
export function createVault(options: VaultOptions): Vault {
  return new VaultClient(options)
}
