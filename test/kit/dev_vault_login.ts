// Login methods of the stand-in Vault: AppRole, and Kubernetes with tokens that the test declares good.
import { randomUUID } from 'node:crypto'
import { type Json, orNull, Refusal, seconds, strings } from './dev_vault_answer.ts'
import { newEntity, type TokenOptions, withDefault } from './dev_vault_tokens.ts'

export interface LoginMethod {
  readonly type: 'approle' | 'kubernetes'
  setRole(name: string, body: Json): void
  roles(): string[]
  /** What the token of a good login is like. */
  login(mount: string, body: Json): TokenOptions
}

interface Role {
  name: string
  entityId: string
  settings: Json
}

class Roles {
  readonly #roles = new Map<string, Role>()

  set(name: string, body: Json): Role {
    const before = this.#roles.get(name)
    const role = { name, entityId: before?.entityId ?? newEntity(), settings: { ...before?.settings, ...body } }
    this.#roles.set(name, role)
    return role
  }

  get(name: string): Role | undefined {
    return this.#roles.get(name)
  }

  names(): string[] {
    return [...this.#roles.keys()]
  }
}

/** `token_policies`, `token_ttl` and the like: what all of Vault's login methods share. */
function tokenOptions(mount: string, { settings, entityId }: Role, displayName: string, meta: Record<string, string>): TokenOptions {
  return {
    policies: withDefault(strings(settings.token_policies ?? settings.policies), settings.token_no_default_policy === true),
    path: `auth/${mount}/login`,
    displayName: [mount.replaceAll('/', '-'), displayName].filter((part) => part !== '').join('-'),
    meta,
    entityId,
    ttl: seconds(settings.token_ttl),
    maxTtl: seconds(settings.token_max_ttl),
    period: seconds(settings.token_period),
    explicitMaxTtl: seconds(settings.token_explicit_max_ttl),
    uses: Number(settings.token_num_uses ?? 0),
    batch: settings.token_type === 'batch',
  }
}

export class AppRoleMethod implements LoginMethod {
  readonly type = 'approle'
  readonly #roles = new Roles()
  readonly #roleIds = new Map<string, string>()
  readonly #secretIds = new Map<string, Set<string>>()

  setRole(name: string, body: Json): void {
    this.#roles.set(name, body)
    if (!this.#roleIds.has(name)) this.#roleIds.set(name, randomUUID())
  }

  roles(): string[] {
    return this.#roles.names()
  }

  roleId(name: string): Json {
    const id = this.#roleIds.get(name)
    if (id === undefined) throw new Refusal(404)
    return { role_id: id }
  }

  newSecretId(name: string): Json {
    if (!this.#roleIds.has(name)) throw new Refusal(400, `role "${name}" does not exist`)
    const id = randomUUID()
    const ids = this.#secretIds.get(name) ?? new Set()
    this.#secretIds.set(name, ids.add(id))
    return { secret_id: id, secret_id_accessor: randomUUID(), secret_id_num_uses: 0, secret_id_ttl: 0 }
  }

  login(mount: string, body: Json): TokenOptions {
    const [roleId, secretId] = [String(body.role_id ?? '').trim(), String(body.secret_id ?? '').trim()]
    if (roleId === '') throw new Refusal(400, 'missing role_id')
    const name = [...this.#roleIds].find(([, id]) => id === roleId)?.[0]
    const role = name === undefined ? undefined : this.#roles.get(name)
    if (!role) throw new Refusal(400, 'invalid role or secret ID')
    if (secretId === '') throw new Refusal(400, 'missing secret_id')
    if (!this.#secretIds.get(role.name)?.has(secretId)) throw new Refusal(400, 'invalid role or secret ID')
    return tokenOptions(mount, role, '', { role_name: role.name })
  }
}

export class KubernetesMethod implements LoginMethod {
  readonly type = 'kubernetes'
  readonly #roles = new Roles()
  readonly #accepted: ReadonlySet<string>

  /** `accepted` is the test's: it may grow and shrink at any time. */
  constructor(accepted: ReadonlySet<string>) {
    this.#accepted = accepted
  }

  setRole(name: string, body: Json): void {
    for (const field of ['bound_service_account_names', 'bound_service_account_namespaces']) {
      if (orNull(strings(body[field])) === null) throw new Refusal(400, `"${field}" can not be empty`)
    }
    this.#roles.set(name, body)
  }

  roles(): string[] {
    return this.#roles.names()
  }

  login(mount: string, body: Json): TokenOptions {
    const [roleName, jwt] = [String(body.role ?? ''), String(body.jwt ?? '')]
    if (roleName === '') throw new Refusal(400, 'missing role')
    if (jwt === '') throw new Refusal(400, 'missing jwt')
    const role = this.#roles.get(roleName)
    if (!role) throw new Refusal(400, `invalid role name "${roleName}"`)
    if (!this.#accepted.has(jwt)) throw new Refusal(403, 'permission denied')
    const [namespace = '', account = ''] = [
      strings(role.settings.bound_service_account_namespaces)[0],
      strings(role.settings.bound_service_account_names)[0],
    ]
    return tokenOptions(mount, role, `${namespace}-${account}`, {
      role: roleName,
      service_account_name: account,
      service_account_namespace: namespace,
      service_account_secret_name: '',
      service_account_uid: role.entityId,
    })
  }
}
