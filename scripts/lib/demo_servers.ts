// What the demo runs against: PostgreSQL, a Vault (stand-in or real), and the compiled pglease between them.
import { startDevVault } from '../../test/kit/dev-vault.ts'
import { type Pglease, startPglease } from '../../test/kit/pglease.ts'
import { GROUP_ROLE, type OwnPostgres, startPostgres } from '../../test/kit/postgres.ts'
import { startVault, type VaultServer } from '../../test/kit/vault.ts'
import { appRole, appRoleSettings, databasePolicy, mountDatabase } from '../../test/kit/vault-database.ts'
import { buildBinary } from './binary.ts'

export const DATABASE = 'app'

export type VaultKind = 'stand-in' | 'real'

export const VAULT_NAMES: Readonly<Record<VaultKind, string>> = { 'stand-in': 'a stand-in Vault', real: 'a real Vault' }

interface DemoVault {
  /** Settings of pglease for the login. */
  settings: Record<string, string>
  path: string
  stop(): Promise<unknown>
}

export interface DemoServers {
  postgres: OwnPostgres
  pglease: Pglease
  /** The leased roles that PostgreSQL has. */
  leasedRoles(): Promise<string[]>
  /** Ends pglease as Kubernetes would and answers its exit status. */
  stopPglease(): Promise<number | null>
  stop(): Promise<void>
}

const START: Readonly<Record<VaultKind, () => Promise<VaultServer & { stop(): Promise<unknown> }>>> = {
  'stand-in': () => startDevVault(),
  real: () => startVault(),
}

/** What a person would set up in Vault for pglease: the engine, a role, a policy and a login. */
async function setUpVault(kind: VaultKind, postgres: OwnPostgres, ttlSeconds: number): Promise<DemoVault> {
  const vault = await START[kind]()
  try {
    const options = { mount: 'database', role: 'app', defaultTtl: ttlSeconds, maxTtl: ttlSeconds * 3 }
    const mounted = await mountDatabase(vault, postgres, options)
    const login = await appRole(vault, { policy: databasePolicy(mounted) })
    return { settings: appRoleSettings(vault, login), path: mounted.path, stop: () => vault.stop() }
  } catch (error) {
    await vault.stop()
    throw error
  }
}

/** Starts everything. `say` is told each step. */
export async function startServers(kind: VaultKind, ttlSeconds: number, say: (text: string) => void): Promise<DemoServers> {
  const cleanups: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  }
  try {
    say('building pglease')
    await buildBinary()
    say('starting PostgreSQL 18')
    const postgres = await startPostgres()
    cleanups.push(() => postgres.stop())
    await postgres.createGroupRole(GROUP_ROLE)
    say(`starting ${VAULT_NAMES[kind]}`)
    const vault = await setUpVault(kind, postgres, ttlSeconds)
    cleanups.push(() => vault.stop())
    say('starting pglease')
    const database = { host: postgres.host, port: postgres.port, dbname: 'postgres', vault_path: vault.path }
    const pglease = await startPglease({ config: { ...vault.settings, databases: { [DATABASE]: database } } })
    cleanups.push(() => pglease.stop())
    await pglease.waitReady()
    const leasedRoles = async () => {
      const rows = await postgres.sql<{ rolname: string }>("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY rolname")
      return rows.map(({ rolname }) => rolname)
    }
    const stopPglease = async () => (await pglease.stop()).code
    return { postgres, pglease, leasedRoles, stopPglease, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
