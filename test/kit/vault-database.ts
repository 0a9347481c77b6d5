// What a test sets up in a Vault: the database engine with a role, AppRole logins and policies.
import { randomBytes } from 'node:crypto'
import { GROUP_ROLE, type PostgresServer } from './postgres.ts'
import type { VaultServer } from './vault.ts'

/** The SQL that pglease ships for Vault's roles: no grants per table, they collide and can leave roles that can't be dropped. */
const CREATION_STATEMENTS = [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE ${GROUP_ROLE}`]
const REVOCATION_STATEMENTS = ['DROP ROLE IF EXISTS "{{name}}"']

export const unique = (prefix: string): string => `${prefix}${randomBytes(4).toString('hex')}`

export interface MountOptions {
  /** Mount path of the engine; by chance unless given. */
  mount?: string
  /** The role's name; by chance, 8 characters, unless given (Vault puts the first 8 into user names). */
  role?: string
  /** Seconds. */
  defaultTtl: number
  maxTtl: number
  /** The database of the server that Vault logs in to; roles are the whole server's. */
  database?: string
  creationStatements?: readonly string[]
  revocationStatements?: readonly string[]
  /** Where Vault finds the primary, when not at the server's own address: `host:port,host:port`. */
  hosts?: string
}

/** A mounted database engine with one role. */
export class DatabaseMount {
  readonly vault: VaultServer
  readonly postgres: PostgresServer
  readonly mount: string
  readonly role: string

  constructor(vault: VaultServer, postgres: PostgresServer, mount: string, role: string) {
    this.vault = vault
    this.postgres = postgres
    this.mount = mount
    this.role = role
  }

  /** For `vault_path`. */
  get path(): string {
    return `${this.mount}/creds/${this.role}`
  }

  async setRole(options: Omit<MountOptions, 'mount' | 'role'>): Promise<void> {
    await this.vault.request('POST', `${this.mount}/roles/${this.role}`, {
      db_name: 'pg',
      creation_statements: options.creationStatements ?? CREATION_STATEMENTS,
      revocation_statements: options.revocationStatements ?? REVOCATION_STATEMENTS,
      default_ttl: `${options.defaultTtl}s`,
      max_ttl: `${options.maxTtl}s`,
    })
  }

  /** PostgreSQL's names of the roles alive that this mount's role leased. */
  async leasedRoles(): Promise<string[]> {
    const rows = await this.postgres.sql<{ rolname: string }>(
      'SELECT rolname FROM pg_roles WHERE rolname LIKE $1 ORDER BY rolname',
      'postgres',
      [`v-%-${this.role.slice(0, 8)}-%`],
    )
    return rows.map((row) => row.rolname)
  }

  /** The ids of the leases that Vault holds. */
  async leases(): Promise<string[]> {
    const keys = await this.vault.list(`sys/leases/lookup/${this.path}`)
    return keys.map((key) => `${this.path}/${key}`)
  }

  /** Revokes what is left and unmounts. */
  async dispose(): Promise<void> {
    await this.vault.send('PUT', `sys/leases/revoke-force/${this.mount}`)
    await this.vault.send('DELETE', `sys/mounts/${this.mount}`)
  }
}

/** Mounts a database engine of the test's own over `postgres`, with one role. Makes the group role `app`. */
export async function mountDatabase(vault: VaultServer, postgres: PostgresServer, options: MountOptions): Promise<DatabaseMount> {
  const mounted = new DatabaseMount(vault, postgres, options.mount ?? unique('database-'), options.role ?? unique('').slice(0, 8))
  await postgres.createGroupRole(GROUP_ROLE)
  const hosts = options.hosts ?? `${postgres.host}:${postgres.port}`
  await vault.request('POST', `sys/mounts/${mounted.mount}`, { type: 'database' })
  await vault.request('POST', `${mounted.mount}/config/pg`, {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: `postgresql://{{username}}:{{password}}@${hosts}/${options.database ?? 'postgres'}?sslmode=disable&target_session_attrs=read-write`,
    username: postgres.superuser,
    password: postgres.password,
  })
  await mounted.setRole(options)
  return mounted
}

/** The policy that pglease needs for one database role (the narrow path forms). `without` leaves some capabilities out. */
export function databasePolicy(mounted: DatabaseMount, without: readonly ('creds' | 'renew' | 'revoke' | 'token')[] = []): string {
  const rules = {
    creds: [[mounted.path, 'read']],
    renew: [['sys/leases/renew', 'update']],
    revoke: [[`sys/leases/revoke/${mounted.path}/*`, 'update']],
    token: [
      ['auth/token/lookup-self', 'read'],
      ['auth/token/renew-self', 'update'],
      ['auth/token/revoke-self', 'update'],
    ],
  }
  return Object.entries(rules)
    .filter(([name]) => !without.includes(name as keyof typeof rules))
    .flatMap(([, lines]) => lines)
    .map(([path, capability]) => `path "${path}" { capabilities = ["${capability}"] }\n`)
    .join('')
}

/** Writes a policy and answers its name. */
export async function writePolicy(vault: VaultServer, rules: string, name = unique('policy-')): Promise<string> {
  await vault.request('PUT', `sys/policies/acl/${name}`, { policy: rules })
  return name
}

export interface AppRoleOptions {
  /** A policy's name, or its rules in HCL. */
  policy: string
  /** Seconds; Vault's defaults unless given. */
  tokenTtl?: number
  tokenMaxTtl?: number
  tokenPeriod?: number
  tokenType?: 'service' | 'batch'
  /** Leave Vault's default policy out of the tokens. */
  noDefaultPolicy?: boolean
}

export interface AppRole {
  mount: string
  role: string
  roleId: string
  secretId: string
}

/** Mounts an AppRole method of the test's own, with one role and one secret id. */
export async function appRole(vault: VaultServer, options: AppRoleOptions): Promise<AppRole> {
  const policy = options.policy.includes('{') ? await writePolicy(vault, options.policy) : options.policy
  const mount = unique('approle-')
  const role = 'app'
  await vault.request('POST', `sys/auth/${mount}`, { type: 'approle' })
  await vault.request('POST', `auth/${mount}/role/${role}`, {
    token_policies: [policy],
    token_ttl: options.tokenTtl ?? 0,
    token_max_ttl: options.tokenMaxTtl ?? 0,
    token_period: options.tokenPeriod ?? 0,
    token_type: options.tokenType ?? 'service',
    token_no_default_policy: options.noDefaultPolicy ?? false,
  })
  const id = await vault.request('GET', `auth/${mount}/role/${role}/role-id`)
  const secret = await vault.request('POST', `auth/${mount}/role/${role}/secret-id`)
  return { mount, role, roleId: String(id.data?.role_id), secretId: String(secret.data?.secret_id) }
}

/** Settings of pglease for a login with `login`. */
export function appRoleSettings(vault: VaultServer, login: AppRole): Record<string, string> {
  return {
    vault_addr: vault.address,
    vault_auth_method: 'approle',
    vault_auth_mount: login.mount,
    vault_role_id: login.roleId,
    vault_secret_id: login.secretId,
  }
}

/** A token with `policy` (a name or rules), as VAULT_TOKEN would hold it. Seconds. */
export async function createToken(vault: VaultServer, policy: string, ttl: number, more: Record<string, unknown> = {}): Promise<string> {
  const name = policy.includes('{') ? await writePolicy(vault, policy) : policy
  const answer = await vault.request('POST', 'auth/token/create', { policies: [name], ttl: `${ttl}s`, no_parent: true, ...more })
  return answer.auth?.client_token ?? ''
}

/** The accessors of all tokens that Vault knows. */
export function tokenAccessors(vault: VaultServer): Promise<string[]> {
  return vault.list('auth/token/accessors')
}
