// Tokens of the stand-in Vault: made by logins and by auth/token/create, renewed up to their maximum, and ended with all they made.
import { randomUUID } from 'node:crypto'
import { grantedTtl, type Json, joined, Refusal, randomText, seconds, secondsUntil, strings } from './dev_vault_answer.ts'
import type { Expiry } from './dev_vault_expiry.ts'

export interface TokenOptions {
  policies: readonly string[]
  /** `auth/token/create`, `auth/<mount>/login`. */
  path: string
  displayName: string
  meta?: Readonly<Record<string, string>> | undefined
  parent?: Token | undefined
  entityId?: string
  ttl?: number
  maxTtl?: number
  period?: number
  explicitMaxTtl?: number
  uses?: number
  renewable?: boolean
  batch?: boolean
}

export class Token {
  readonly id: string
  readonly accessor: string
  readonly options: TokenOptions
  readonly issuedMs = Date.now()
  readonly creationTtl: number
  readonly children = new Set<Token>()
  ended = false
  /** Undefined = it never ends. */
  expireMs: number | undefined
  renewedMs: number | undefined
  uses: number

  /** `ttl` 0 = it never ends. */
  constructor(options: TokenOptions, ttl: number) {
    this.options = options
    this.id = options.batch ? `hvb.${randomText(140)}` : `hvs.${randomText(91)}`
    this.accessor = options.batch ? '' : randomText(24)
    this.creationTtl = ttl
    this.expireMs = ttl > 0 ? this.issuedMs + ttl * 1000 : undefined
    this.uses = options.uses ?? 0
  }

  get policies(): readonly string[] {
    return this.options.policies
  }

  get renewable(): boolean {
    return this.expireMs !== undefined && !this.options.batch && this.options.renewable !== false
  }

  /** The `auth` of Vault's answers. */
  auth(leaseDuration: number): Json {
    const policies = [...this.policies]
    return {
      client_token: this.id,
      accessor: this.accessor,
      policies,
      token_policies: policies,
      metadata: this.options.meta ?? null,
      lease_duration: leaseDuration,
      renewable: this.renewable,
      entity_id: this.options.entityId ?? '',
      token_type: this.options.batch ? 'batch' : 'service',
      orphan: this.options.parent === undefined,
      mfa_requirement: null,
      num_uses: this.uses,
    }
  }

  /** The `data` of a lookup. */
  described(): Json {
    const { options } = this
    const data: Json = {
      id: this.id,
      accessor: this.accessor,
      policies: [...this.policies],
      path: options.path,
      meta: options.meta ?? null,
      display_name: options.displayName,
      num_uses: this.uses,
      orphan: options.parent === undefined,
      creation_time: Math.floor(this.issuedMs / 1000),
      creation_ttl: this.creationTtl,
      expire_time: null,
      ttl: 0,
      explicit_max_ttl: options.explicitMaxTtl ?? 0,
      entity_id: options.entityId ?? '',
      type: options.batch ? 'batch' : 'service',
    }
    if (options.period) data.period = options.period
    if (this.expireMs === undefined) return data
    if (this.renewedMs !== undefined) {
      data.last_renewal_time = Math.floor(this.renewedMs / 1000)
      data.last_renewal = new Date(this.renewedMs).toISOString()
    }
    const times = { expire_time: new Date(this.expireMs).toISOString(), issue_time: new Date(this.issuedMs).toISOString() }
    return { ...data, ...times, ttl: secondsUntil(this.expireMs), renewable: this.renewable }
  }
}

export class Tokens {
  readonly root: Token
  readonly #expiry: Expiry
  readonly #revokeLeases: (token: Token) => void
  readonly #byId = new Map<string, Token>()

  /** `revokeLeases` ends what a token made; nobody waits for it, as in Vault. */
  constructor(expiry: Expiry, revokeLeases: (token: Token) => void) {
    this.#expiry = expiry
    this.#revokeLeases = revokeLeases
    this.root = new Token({ policies: ['root'], path: 'auth/token/root', displayName: 'root' }, 0)
    this.#byId.set(this.root.id, this.root)
  }

  find(id: string): Token | undefined {
    return this.#byId.get(id)
  }

  withAccessor(accessor: string): Token {
    const token = accessor === '' ? undefined : [...this.#byId.values()].find((each) => each.accessor === accessor)
    if (!token) throw new Refusal(400, joined('invalid accessor'))
    return token
  }

  accessors(): string[] {
    return [...this.#byId.values()].map((token) => token.accessor).filter((accessor) => accessor !== '')
  }

  /** A new token with its `auth` and warnings. */
  make(options: TokenOptions): { token: Token; warnings: string[] } {
    const { ttl, warnings } = grantedTtl({
      ttl: options.ttl ?? 0,
      maxTtl: options.maxTtl ?? 0,
      period: options.period ?? 0,
      explicitMaxTtl: options.explicitMaxTtl ?? 0,
      issuedMs: Date.now(),
    })
    const token = new Token(options, ttl)
    this.#byId.set(token.id, token)
    options.parent?.children.add(token)
    this.#schedule(token)
    return { token, warnings }
  }

  /** auth/token/create by `creator`. */
  create(creator: Token, body: Json): { token: Token; warnings: string[] } {
    const asked = strings(body.policies)
    const policies = asked.length > 0 ? asked : [...creator.policies]
    const isRoot = creator.policies.includes('root')
    if (!isRoot && policies.some((name) => !creator.policies.includes(name))) {
      throw new Refusal(400, 'child policies must be subset of parent')
    }
    if (body.no_parent === true && !isRoot) throw new Refusal(400, 'root or sudo privileges required to create orphan token')
    if (policies.includes('root') && seconds(body.ttl) === 0) throw new Refusal(400, 'the stand-in makes no further root tokens')
    return this.make({
      policies: withDefault(policies, body.no_default_policy === true),
      path: 'auth/token/create',
      displayName: typeof body.display_name === 'string' ? `token-${body.display_name}` : 'token',
      parent: body.no_parent === true ? undefined : creator,
      ttl: seconds(body.ttl),
      period: seconds(body.period),
      explicitMaxTtl: seconds(body.explicit_max_ttl),
      uses: Number(body.num_uses ?? 0),
      renewable: body.renewable !== false,
      batch: body.type === 'batch',
    })
  }

  renew(token: Token, increment: number): { ttl: number; warnings: string[] } {
    if (token.expireMs === undefined) throw new Refusal(400, 'invalid lease ID')
    if (token.options.batch) throw new Refusal(400, 'batch tokens cannot be renewed')
    if (!token.renewable) throw new Refusal(400, 'lease is not renewable')
    const { ttl = 0, maxTtl = 0, period = 0, explicitMaxTtl = 0 } = token.options
    const granted = grantedTtl({ increment, ttl, maxTtl, period, explicitMaxTtl, issuedMs: token.issuedMs })
    token.renewedMs = Date.now()
    token.expireMs = token.renewedMs + granted.ttl * 1000
    this.#schedule(token)
    return granted
  }

  /** Ends a token, its children and their leases. */
  end(token: Token): void {
    if (token.ended) return
    token.ended = true
    this.#expiry.cancel(token)
    this.#byId.delete(token.id)
    token.options.parent?.children.delete(token)
    for (const child of [...token.children]) this.end(child)
    this.#revokeLeases(token)
  }

  /** Counts a use of a token that has only so many. Answers whether it was the last one. */
  used(token: Token): boolean {
    if (token.uses === 0) return false
    token.uses--
    return token.uses === 0
  }

  #schedule(token: Token): void {
    if (token.expireMs !== undefined) this.#expiry.at(token, token.expireMs, () => this.end(token))
  }
}

/** Policies in Vault's order, with `default` unless it is left out. */
export function withDefault(policies: readonly string[], without: boolean): string[] {
  return [...new Set([...policies, ...(without || policies.includes('root') ? [] : ['default'])])].sort()
}

export const newEntity = (): string => randomUUID()
