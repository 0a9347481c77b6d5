// What the scenarios of faults share: a database behind Vault, the settings of a pglease in front of it, and what both say from outside.
import type { AcceptContext } from '../../scripts/lib/accept_line.ts'
import { type BadWire, startBadWire } from '../kit/bad-wire.ts'
import type { LogLine, Pglease } from '../kit/pglease.ts'
import { GROUP_ROLE, type PostgresServer } from '../kit/postgres.ts'
import type { Scenario } from '../kit/scenario.ts'
import type { VaultServer } from '../kit/vault.ts'
import { type AppRole, appRole, type DatabaseMount, databasePolicy, mountDatabase, writePolicy } from '../kit/vault-database.ts'

export const DATABASE = 'app'

/** Where a scenario runs; an AcceptContext is one. */
export type FaultContext = Pick<AcceptContext, 'scenario' | 'seed' | 'say'>

interface FaultWorldOptions {
  vault: VaultServer
  postgres: PostgresServer
  /** Of the leases, in seconds. */
  defaultTtl?: number
  maxTtl?: number
  /** Of the token, in seconds. */
  tokenPeriod?: number
  /** Puts a relay in front of Vault, which counts the requests. */
  relay?: boolean
}

/** A database whose credentials come from Vault, and a login that may lease them. */
export interface FaultWorld {
  readonly vault: VaultServer
  readonly postgres: PostgresServer
  readonly mount: DatabaseMount
  /** PostgreSQL's name of the database. It has a table `item (id, value)` that belongs to the group role. */
  readonly dbname: string
  readonly login: AppRole
  /** The policy's name, so that a test can change its rules. */
  readonly policy: string
  readonly settings: Record<string, unknown>
}

export interface RelayedWorld extends FaultWorld {
  readonly wire: BadWire
}

async function makeDatabase(s: Scenario, postgres: PostgresServer): Promise<string> {
  const dbname = await postgres.createDatabase()
  s.defer(() => postgres.dropDatabase(dbname))
  await postgres.sql(
    `CREATE TABLE item (id int PRIMARY KEY, value int NOT NULL);
     INSERT INTO item SELECT id, 0 FROM generate_series(1, 100) id;
     ALTER TABLE item OWNER TO ${GROUP_ROLE}`,
    dbname,
  )
  return dbname
}

export async function faultWorld(s: Scenario, options: FaultWorldOptions): Promise<FaultWorld> {
  const { vault, postgres, defaultTtl = 60, maxTtl = 600, tokenPeriod = 3600 } = options
  const dbname = await makeDatabase(s, postgres)
  const mount = await mountDatabase(vault, postgres, { defaultTtl, maxTtl })
  s.defer(() => mount.dispose())
  const policy = await writePolicy(vault, databasePolicy(mount))
  const login = await appRole(vault, { policy, tokenPeriod })
  const settings = {
    vault_addr: vault.address,
    vault_auth_method: 'approle',
    vault_auth_mount: login.mount,
    vault_role_id: login.roleId,
    vault_secret_id: login.secretId,
    databases: { [DATABASE]: { host: postgres.host, port: postgres.port, dbname, vault_path: mount.path } },
  }
  return { vault, postgres, mount, dbname, login, policy, settings }
}

/** The same with a relay in front of Vault, which pglease takes for Vault. */
export async function relayedWorld(s: Scenario, options: FaultWorldOptions): Promise<RelayedWorld> {
  const world = await faultWorld(s, options)
  const wire = await startBadWire({ host: world.vault.host, port: world.vault.port }, { http: true })
  s.defer(() => wire.stop())
  return { ...world, wire, settings: { ...world.settings, vault_addr: `http://${wire.host}:${wire.port}` } }
}

/** The settings with another Vault path for the database. */
export function withVaultPath(world: FaultWorld, path: string): Record<string, unknown> {
  const { host, port } = world.postgres
  return { ...world.settings, databases: { [DATABASE]: { host, port, dbname: world.dbname, vault_path: path } } }
}

/** The accessors of the tokens that the login made and that live. */
export async function tokensOf({ vault, login }: FaultWorld): Promise<string[]> {
  const found: string[] = []
  for (const accessor of await vault.list('auth/token/accessors')) {
    const answer = await vault.send('POST', 'auth/token/lookup-accessor', { accessor })
    if (String(answer.data?.path).startsWith(`auth/${login.mount}/`)) found.push(accessor)
  }
  return found
}

export interface Probe {
  status: number
  /** The reasons of the checks that failed. */
  reasons: string
}

export async function probe(pglease: Pglease, path: '/startupz' | '/readyz' | '/livez'): Promise<Probe> {
  const { status, text } = await pglease.http(path)
  const { checks } = JSON.parse(text) as { checks: { name: string; ok: boolean; reason?: string }[] }
  const reasons = checks.filter(({ ok }) => !ok).map(({ reason = '' }) => reason)
  return { status, reasons: reasons.join('; ') }
}

/** The messages of the log lines that say that something is wrong. */
export function complaints(pglease: Pglease): string[] {
  const bad = ({ level }: LogLine) => level === 'warning' || level === 'error'
  return pglease.log.filter(bad).map(({ event, msg = '' }) => `${event}: ${msg}`)
}

/** What PostgreSQL and drivers tell of an error. */
export interface ClientError {
  message: string
  code: string
  detail: string
  severity: string
}

export function clientError(thrown: unknown): ClientError {
  const { message = String(thrown), code = '', detail = '', severity = '' } = thrown as Partial<ClientError>
  return { message, code, detail, severity }
}
