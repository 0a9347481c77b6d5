// What a stand-in Vault holds: policies, tokens, leases, mounted engines and login methods. All of it in memory.
import { randomBytes } from 'node:crypto'
import { type Json, Refusal } from './dev_vault_answer.ts'
import { DatabaseEngine } from './dev_vault_database.ts'
import { Expiry, Gate } from './dev_vault_expiry.ts'
import { Leases } from './dev_vault_leases.ts'
import { AppRoleMethod, KubernetesMethod, type LoginMethod } from './dev_vault_login.ts'
import { Policies } from './dev_vault_policy.ts'
import { Tokens } from './dev_vault_tokens.ts'

export class Core {
  readonly unsealKey = randomBytes(32).toString('hex')
  readonly frozen = new Gate()
  readonly sealed = new Gate()
  readonly policies = new Policies()
  readonly passwordPolicies = new Set<string>()
  readonly acceptedJwts = new Set<string>()
  readonly expiry: Expiry
  readonly leases: Leases
  readonly tokens: Tokens
  readonly #engines = new Map<string, DatabaseEngine>()
  readonly #methods = new Map<string, LoginMethod>()

  constructor() {
    this.expiry = new Expiry([this.frozen, this.sealed])
    this.leases = new Leases(this.expiry)
    this.tokens = new Tokens(this.expiry, (token) => this.leases.endedToken(token))
  }

  /** sys/mounts/<mount> */
  mount(mount: string, body: Json): void {
    if (body.type !== 'database') throw new Refusal(400, `plugin not found in the catalog: ${body.type}`)
    if (this.#engines.has(mount)) throw new Refusal(400, `path is already in use at ${mount}/`)
    this.#engines.set(mount, new DatabaseEngine((name) => this.passwordPolicies.has(name)))
  }

  /** Its leases go first: one that cannot be revoked keeps the mount. */
  async unmount(mount: string): Promise<void> {
    await this.leases.revokePrefix(mount, false)
    await this.#engines.get(mount)?.close()
    this.#engines.delete(mount)
  }

  engine(mount: string): DatabaseEngine | undefined {
    return this.#engines.get(mount)
  }

  /** sys/auth/<mount> */
  mountLogin(mount: string, body: Json): void {
    if (this.#methods.has(mount) || mount === 'token') throw new Refusal(400, `path is already in use at auth/${mount}/`)
    if (body.type === 'approle') this.#methods.set(mount, new AppRoleMethod())
    else if (body.type === 'kubernetes') this.#methods.set(mount, new KubernetesMethod(this.acceptedJwts))
    else throw new Refusal(400, `plugin not found in the catalog: ${body.type}`)
  }

  unmountLogin(mount: string): void {
    this.#methods.delete(mount)
    for (const accessor of this.tokens.accessors()) {
      const token = this.tokens.withAccessor(accessor)
      if (token.options.path.startsWith(`auth/${mount}/`)) this.tokens.end(token)
    }
  }

  method(mount: string): LoginMethod | undefined {
    return this.#methods.get(mount)
  }

  async close(): Promise<void> {
    this.expiry.stop()
    await Promise.all([...this.#engines.values()].map((engine) => engine.close()))
  }
}
