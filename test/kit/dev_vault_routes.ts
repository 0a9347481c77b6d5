// The paths of the stand-in Vault: what each does for which operation.
import { randomUUID } from 'node:crypto'
import { envelope, type Granted, type Json, listing, noHandler, nothing, Refusal, seconds } from './dev_vault_answer.ts'
import type { Core } from './dev_vault_core.ts'
import { AppRoleMethod } from './dev_vault_login.ts'
import type { Token } from './dev_vault_tokens.ts'

export type Operation = 'read' | 'list' | 'update' | 'delete'

export interface Call {
  /** Whose request it is; the root token at paths that ask for none. */
  token: Token
  /** Without /v1/. */
  path: string
  body: Json
  param(name: string): string
}

type Handler = (call: Call) => Granted | Promise<Granted>
export type Route = [path: string, operations: Partial<Record<Operation, Handler>>]

/** The Vault that it stands in for. */
const VERSION = '1.21.4'
const CLUSTER = { cluster_name: 'vault-cluster-stand-in', cluster_id: randomUUID() }

const text = (value: unknown) => (typeof value === 'string' ? value : '')

function done(action: unknown): Granted {
  void action
  return nothing
}

const seal = (core: Core) => {
  const state = { type: 'shamir', initialized: true, sealed: core.sealed.closed, t: 1, n: 1, progress: 0, nonce: '' }
  const about = { version: VERSION, build_date: '', migration: false, recovery_seal: false }
  return { status: 200, body: { ...state, ...about, ...(state.sealed ? {} : CLUSTER) } }
}

function health(core: Core): Granted {
  const sealed = core.sealed.closed
  const body = {
    initialized: true,
    sealed,
    standby: sealed,
    performance_standby: false,
    replication_performance_mode: sealed ? 'unknown' : 'disabled',
    replication_dr_mode: sealed ? 'unknown' : 'disabled',
    server_time_utc: Math.floor(Date.now() / 1000),
    version: VERSION,
    enterprise: false,
    ...(sealed ? {} : CLUSTER),
    echo_duration_ms: 0,
    clock_skew_ms: 0,
    replication_primary_canary_age_ms: 0,
  }
  return { status: sealed ? 503 : 200, body }
}

/** Paths that ask for no token. */
export function openRoutes(core: Core): Route[] {
  const unseal: Handler = ({ body }) => {
    if (text(body.key) !== core.unsealKey) throw new Refusal(400, "'key' must be a valid hex or base64 string")
    core.sealed.open()
    return seal(core)
  }
  const login: Handler = (call) => {
    const method = core.method(call.param('mount'))
    if (!method) throw new Refusal(403, 'permission denied') // such a path would ask for a token
    const { token, warnings } = core.tokens.make(method.login(call.param('mount'), call.body))
    const auth = token.auth(token.creationTtl)
    return envelope('', { auth, warnings: warnings.length > 0 ? warnings : null })
  }
  return [
    ['sys/health', { read: () => health(core) }],
    ['sys/seal-status', { read: () => seal(core) }],
    ['sys/unseal', { update: unseal }],
    ['auth/:mount/login', { update: login }],
  ]
}

function tokenRoutes({ tokens }: Core): Route[] {
  const described = (token: Token) => envelope('token', { data: token.described() })
  const renewed = (token: Token, body: Json) => {
    const { ttl, warnings } = tokens.renew(token, seconds(body.increment))
    return envelope('token', { auth: token.auth(ttl), warnings: warnings.length > 0 ? warnings : null })
  }
  const named = (body: Json) => {
    const token = tokens.find(text(body.token))
    if (!token) throw new Refusal(403, 'bad token')
    return token
  }
  const create: Handler = ({ token, body }) => {
    const made = tokens.create(token, body)
    return envelope('token', { auth: made.token.auth(made.token.creationTtl), warnings: made.warnings.length > 0 ? made.warnings : null })
  }
  return [
    ['auth/token/lookup-self', { read: ({ token }) => described(token), update: ({ token }) => described(token) }],
    ['auth/token/renew-self', { update: ({ token, body }) => renewed(token, body) }],
    ['auth/token/revoke-self', { update: ({ token }) => done(tokens.end(token)) }],
    ['auth/token/create', { update: create }],
    ['auth/token/lookup', { update: ({ body }) => described(named(body)) }],
    ['auth/token/revoke', { update: ({ body }) => done(tokens.end(named(body))) }],
    ['auth/token/accessors', { list: () => listing('token', tokens.accessors()) }],
    [
      'auth/token/lookup-accessor',
      {
        update: ({ body }) => envelope('token', { data: { ...tokens.withAccessor(text(body.accessor)).described(), id: '' } }),
      },
    ],
    ['auth/token/revoke-accessor', { update: ({ body }) => done(tokens.end(tokens.withAccessor(text(body.accessor)))) }],
  ]
}

function leaseRoutes({ leases }: Core): Route[] {
  const renew: Handler = async ({ body }) => {
    const id = text(body.lease_id)
    if (id === '') throw new Refusal(400, 'lease_id must be specified')
    const { ttl, warnings } = await leases.renew(id, seconds(body.increment))
    const parts = { lease_id: id, renewable: true, lease_duration: ttl, warnings: warnings.length > 0 ? warnings : null }
    return envelope('database', parts)
  }
  const revoke = (id: string, body: Json): Granted | Promise<Granted> => {
    if (id === '') throw new Refusal(400, 'lease_id must be specified')
    if (body.sync !== false) return leases.revoke(id).then(() => nothing)
    leases.revokeLater(id)
    return { status: 202 }
  }
  const lookup: Handler = ({ body }) => {
    const lease = leases.find(text(body.lease_id))
    if (!lease) throw new Refusal(400, 'invalid lease')
    return envelope('system', { data: lease.described() })
  }
  const prefix = (force: boolean): Handler => {
    return async (call) => {
      await leases.revokePrefix(call.param('prefix').replace(/\/$/, ''), force)
      return nothing
    }
  }
  return [
    ['sys/leases/renew', { update: renew }],
    ['sys/leases/revoke', { update: ({ body }) => revoke(text(body.lease_id), body) }],
    ['sys/leases/revoke/:id{.+}', { update: (call) => revoke(call.param('id'), call.body) }],
    ['sys/leases/revoke-force/:prefix{.+}', { update: prefix(true) }],
    ['sys/leases/revoke-prefix/:prefix{.+}', { update: prefix(false) }],
    ['sys/leases/lookup', { update: lookup }],
    ['sys/leases/lookup/:prefix{.+}', { list: (call) => listing('system', leases.below(call.param('prefix').replace(/\/$/, ''))) }],
  ]
}

function systemRoutes(core: Core): Route[] {
  const { policies, passwordPolicies } = core
  const unmount: Handler = async (call) => {
    await core.unmount(call.param('mount'))
    return nothing
  }
  return [
    ['sys/seal', { update: () => done(core.sealed.close()) }],
    ['sys/mounts/:mount', { update: (call) => done(core.mount(call.param('mount'), call.body)), delete: unmount }],
    [
      'sys/auth/:mount',
      {
        update: (call) => done(core.mountLogin(call.param('mount'), call.body)),
        delete: (call) => done(core.unmountLogin(call.param('mount'))),
      },
    ],
    ['sys/policies/acl', { list: () => listing('system', policies.names()) }],
    [
      'sys/policies/acl/:name',
      {
        update: (call) => done(policies.write(call.param('name'), text(call.body.policy))),
        delete: (call) => done(policies.remove(call.param('name'))),
      },
    ],
    [
      'sys/policies/password/:name',
      {
        update: (call) => done(passwordPolicies.add(call.param('name'))),
        delete: (call) => done(passwordPolicies.delete(call.param('name'))),
      },
    ],
  ]
}

function methodRoutes(core: Core): Route[] {
  const method = (call: Call) => {
    const found = core.method(call.param('mount'))
    if (!found) throw noHandler(call.path)
    return found
  }
  const approle = (call: Call) => {
    const found = method(call)
    if (!(found instanceof AppRoleMethod)) throw new Refusal(404, 'unsupported path')
    return found
  }
  const role = (call: Call) => call.param('role')
  return [
    ['auth/:mount/config', { update: (call) => done(method(call)) }],
    ['auth/:mount/role', { list: (call) => listing(method(call).type, method(call).roles()) }],
    ['auth/:mount/role/:role', { update: (call) => done(method(call).setRole(role(call), call.body)) }],
    ['auth/:mount/role/:role/role-id', { read: (call) => envelope('approle', { data: approle(call).roleId(role(call)) }) }],
    ['auth/:mount/role/:role/secret-id', { update: (call) => envelope('approle', { data: approle(call).newSecretId(role(call)) }) }],
  ]
}

function engineRoutes(core: Core): Route[] {
  const engine = (call: Call) => {
    const found = core.engine(call.param('mount'))
    if (!found) throw noHandler(call.path)
    return found
  }
  const configure: Handler = async (call) => {
    await engine(call).configure(call.param('name'), call.body)
    return nothing
  }
  const credentials: Handler = async (call) => {
    const { lease, password, ttl } = await core.leases.grant(call.path, engine(call), call.param('name'), call.token)
    const data = { username: lease.user.username, password }
    return envelope('database', { lease_id: lease.id, renewable: true, lease_duration: ttl, data })
  }
  return [
    [':mount/config/:name', { update: configure }],
    [':mount/roles', { list: (call) => listing('database', engine(call).roles()) }],
    [
      ':mount/roles/:name',
      {
        update: (call) => done(engine(call).setRole(call.param('name'), call.body)),
        delete: (call) => done(engine(call).removeRole(call.param('name'))),
      },
    ],
    [':mount/creds/:name', { read: credentials }],
  ]
}

/** Paths that ask for a token; the more exact come first. */
export function guardedRoutes(core: Core): Route[] {
  return [tokenRoutes, leaseRoutes, systemRoutes, methodRoutes, engineRoutes].flatMap((routes) => routes(core))
}
