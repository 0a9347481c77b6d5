// The database engine of the stand-in Vault: it creates, prolongs and drops real roles in PostgreSQL.
import pg from 'pg'
import { grantedTtl, type Json, joined, Refusal, randomPassword, randomText, seconds, strings } from './dev_vault_answer.ts'

/** Vault adds it to VALID UNTIL, so that a role never ends before its lease. */
const VALID_LONGER_MS = 5_000
const CONNECT_MS = 5_000

const RENEWAL = [`ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'`]
const REVOCATION = ['DROP OWNED BY "{{name}}"', 'DROP ROLE IF EXISTS "{{name}}"']

interface Connection {
  pool: pg.Pool
  allowedRoles: readonly string[]
  passwordPolicy: string
}

interface DatabaseRole {
  database: string
  creation: readonly string[]
  revocation: readonly string[]
  renewal: readonly string[]
  ttl: number
  maxTtl: number
}

/** What a lease keeps to end its role even when the mount's role is gone. */
export interface LeasedUser {
  username: string
  role: string
  database: string
  revocation: readonly string[]
}

interface NewUser {
  user: LeasedUser
  password: string
  ttl: number
  maxTtl: number
}

/** PostgreSQL's errors as Vault's driver prints them. */
function errorText(error: unknown): string {
  if (error instanceof pg.DatabaseError) return `${error.severity}: ${error.message} (SQLSTATE ${error.code})`
  return error instanceof Error ? error.message : String(error)
}

function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole)
}

/** As Vault writes it for VALID UNTIL: `2006-01-02 15:04:05+0000`. */
const expiration = (ms: number) => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}+0000`

export class DatabaseEngine {
  readonly #connections = new Map<string, Connection>()
  readonly #roles = new Map<string, DatabaseRole>()
  readonly #hasPasswordPolicy: (name: string) => boolean

  constructor(hasPasswordPolicy: (name: string) => boolean) {
    this.#hasPasswordPolicy = hasPasswordPolicy
  }

  /** <mount>/config/<name> */
  async configure(name: string, body: Json): Promise<void> {
    if (body.plugin_name !== 'postgresql-database-plugin') throw new Refusal(400, 'the stand-in has postgresql-database-plugin alone')
    const [user, password] = [String(body.username ?? ''), String(body.password ?? '')]
    const values = { username: encodeURIComponent(user), password: encodeURIComponent(password) }
    const url = new URL(filled(String(body.connection_url ?? ''), values))
    const pool = new pg.Pool({
      host: url.hostname,
      port: Number(url.port || 5432),
      database: decodeURIComponent(url.pathname.slice(1)),
      user: decodeURIComponent(url.username) || user,
      password: decodeURIComponent(url.password) || password,
      max: 1, // Vault's plugin does one thing after another too
      connectionTimeoutMillis: CONNECT_MS,
      allowExitOnIdle: true,
    })
    pool.on('error', () => undefined) // an idle connection that broke is replaced at the next use
    try {
      if (body.verify_connection !== false) await pool.query('SELECT 1')
    } catch (error) {
      await pool.end()
      throw new Refusal(400, `error creating database object: error verifying connection: ${errorText(error)}`)
    }
    await this.#connections.get(name)?.pool.end()
    this.#connections.set(name, { pool, allowedRoles: strings(body.allowed_roles), passwordPolicy: String(body.password_policy ?? '') })
  }

  /** <mount>/roles/<name>; what is not given stays as it was. */
  setRole(name: string, body: Json): void {
    const before = this.#roles.get(name)
    const list = (value: unknown, old: readonly string[] = []) =>
      value === undefined ? old : Array.isArray(value) ? value.map(String) : [String(value)]
    const role: DatabaseRole = {
      database: String(body.db_name ?? before?.database ?? ''),
      creation: list(body.creation_statements, before?.creation),
      revocation: list(body.revocation_statements, before?.revocation),
      renewal: list(body.renew_statements, before?.renewal),
      ttl: body.default_ttl === undefined ? (before?.ttl ?? 0) : seconds(body.default_ttl),
      maxTtl: body.max_ttl === undefined ? (before?.maxTtl ?? 0) : seconds(body.max_ttl),
    }
    if (role.database === '') throw new Refusal(400, 'database name is required')
    this.#roles.set(name, role)
  }

  removeRole(name: string): void {
    this.#roles.delete(name)
  }

  roles(): string[] {
    return [...this.#roles.keys()]
  }

  /** <mount>/creds/<name>: a new role in PostgreSQL. */
  async createUser(name: string, displayName: string): Promise<NewUser> {
    const role = this.#roles.get(name)
    if (!role) throw new Refusal(400, `unknown role: ${name}`)
    const connection = this.#connections.get(role.database)
    if (!connection) throw new Refusal(500, joined(`failed to find entry for connection with name: "${role.database}"`))
    const { allowedRoles, passwordPolicy } = connection
    if (!allowedRoles.includes('*') && !allowedRoles.includes(name)) throw new Refusal(500, joined(`"${name}" is not an allowed role`))
    if (passwordPolicy !== '' && !this.#hasPasswordPolicy(passwordPolicy)) {
      throw new Refusal(500, joined('no password policy found'))
    }
    const unix = Math.floor(Date.now() / 1000)
    const username = `v-${displayName.slice(0, 8)}-${name.slice(0, 8)}-${randomText(20)}-${unix}`.slice(0, 63)
    const password = randomPassword()
    const { ttl } = grantedTtl({ ttl: role.ttl, maxTtl: role.maxTtl, issuedMs: Date.now() })
    const until = Date.now() + ttl * 1000 + VALID_LONGER_MS
    try {
      await this.#run(connection, role.creation, { name: username, username, password, expiration: expiration(until) })
    } catch (error) {
      throw new Refusal(500, joined(`failed to execute query: ${errorText(error).replaceAll(password, '[password]')}`))
    }
    const user = { username, role: name, database: role.database, revocation: role.revocation }
    return { user, password, ttl: role.ttl, maxTtl: role.maxTtl }
  }

  /** The TTLs that a renewal goes by: those of the role as it is now. */
  ttls(user: LeasedUser): { ttl: number; maxTtl: number } {
    const role = this.#roles.get(user.role)
    if (!role) throw new Refusal(400, `failed to renew entry: error during renew: could not find role with name "${user.role}"`)
    return role
  }

  async renewUser(user: LeasedUser, ttl: number): Promise<void> {
    const renewal = this.#roles.get(user.role)?.renewal ?? []
    const until = expiration(Date.now() + ttl * 1000 + VALID_LONGER_MS)
    const values = { name: user.username, username: user.username, expiration: until }
    try {
      await this.#run(this.#connection(user), renewal.length > 0 ? renewal : RENEWAL, values)
    } catch (error) {
      throw new Refusal(400, `failed to renew entry: ${joined(errorText(error))}`)
    }
  }

  /** Throws what PostgreSQL said when the role cannot be dropped. */
  async dropUser(user: LeasedUser): Promise<void> {
    const now = this.#roles.get(user.role)?.revocation ?? user.revocation
    try {
      await this.#run(this.#connection(user), now.length > 0 ? now : REVOCATION, { name: user.username, username: user.username })
    } catch (error) {
      throw new Error(errorText(error))
    }
  }

  async close(): Promise<void> {
    const open = [...this.#connections.values()]
    this.#connections.clear()
    await Promise.all(open.map(({ pool }) => pool.end()))
  }

  #connection(user: LeasedUser): Connection {
    const connection = this.#connections.get(user.database)
    if (!connection) throw new Error(`failed to find entry for connection with name: "${user.database}"`)
    return connection
  }

  /** All statements in one transaction. */
  async #run({ pool }: Connection, statements: readonly string[], values: Readonly<Record<string, string>>): Promise<void> {
    const client = await pool.connect()
    let broken: Error | undefined
    const lost = (error: Error) => {
      broken = error
    }
    client.on('error', lost)
    try {
      await client.query('BEGIN')
      for (const statement of statements) await client.query(filled(statement, values))
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK').catch(lost)
      throw error
    } finally {
      client.off('error', lost)
      client.release(broken)
    }
  }
}
