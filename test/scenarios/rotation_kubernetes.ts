// A pod's login: the service-account token is replaced while queries run, and the next logins use the new one.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AcceptContext, atLeast, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { EVENT_WAIT_MS, poll } from '../kit/child.ts'
import { type DevVault, startDevVault } from '../kit/dev-vault.ts'
import { type DatabaseMount, databasePolicy, mountDatabase, unique, writePolicy } from '../kit/vault-database.ts'
import { startDrivers } from './load_drivers.ts'
import { DATABASE, loadFigures } from './rotation.ts'
import { accessorsOf } from './rotation_token.ts'

interface KubernetesOptions {
  /** Logins to see after the token file was replaced. */
  logins: number
  /** Seconds. */
  tokenTtl: number
  tokenMaxTtl: number
  clients?: number
}

const ROLE = 'app'

async function mountKubernetes(vault: DevVault, mounted: DatabaseMount, options: KubernetesOptions): Promise<string> {
  const mount = unique('kubernetes-')
  const policy = await writePolicy(vault, databasePolicy(mounted))
  await vault.request('POST', `sys/auth/${mount}`, { type: 'kubernetes' })
  await vault.request('POST', `auth/${mount}/role/${ROLE}`, {
    bound_service_account_names: 'app',
    bound_service_account_namespaces: 'team',
    token_policies: [policy],
    token_ttl: options.tokenTtl,
    token_max_ttl: options.tokenMaxTtl,
  })
  return mount
}

/** The stand-in accepts the first token only until the file holds the second. */
export async function runKubernetes(context: AcceptContext, options: KubernetesOptions): Promise<Figure[]> {
  const { postgres, scenario, seed } = context
  const vault = await startDevVault()
  scenario.showOnFailure('the stand-in Vault', () => vault.log)
  scenario.defer(() => vault.stop())
  const dbname = await postgres.createDatabase()
  scenario.defer(() => postgres.dropDatabase(dbname))
  const mounted = await mountDatabase(vault, postgres, { defaultTtl: 60, maxTtl: 600, database: dbname })
  const mount = await mountKubernetes(vault, mounted, options)
  const folder = mkdtempSync(join(tmpdir(), 'service-account-'))
  scenario.defer(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'token')
  writeFileSync(file, 'first.service-account.token')
  vault.acceptedJwts.add('first.service-account.token')
  const login = {
    vault_addr: vault.address,
    vault_auth_method: 'kubernetes',
    vault_auth_mount: mount,
    vault_auth_role: ROLE,
    vault_jwt_file: file,
  }
  const { host, port } = postgres
  const databases = { [DATABASE]: { host, port, dbname, vault_path: mounted.path } }
  const pglease = await scenario.pglease({ config: { ...login, databases } })
  await pglease.waitReady()
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: options.clients ?? 16, seed, pauseMs: 2 })
  const logins = () => vault.requests.filter((line) => line === `POST /v1/auth/${mount}/login`).length

  // as the kubelet does: a new file in place of the old one, whose token is good no more
  writeFileSync(`${file}.new`, 'second.service-account.token')
  vault.acceptedJwts.add('second.service-account.token')
  renameSync(`${file}.new`, file)
  vault.acceptedJwts.delete('first.service-account.token')
  const before = logins()
  const longestMs = options.logins * options.tokenMaxTtl * 1000 + EVENT_WAIT_MS
  await poll('the logins', () => logins() - before >= options.logins || undefined, longestMs).catch(() => undefined)
  const after = logins() - before
  await pglease.waitForLog('token_revoked')
  const result = await load.stop()
  const { code } = await pglease.stop()
  return [
    atLeast('kubernetes: logins with the replaced token file', after, options.logins),
    exactly('kubernetes: failed logins', pglease.logged('vault_login_failed').length, 0),
    ...loadFigures('kubernetes: pg driver', result),
    exactly('kubernetes: exit status of pglease', code ?? -1, 0),
    exactly('kubernetes: tokens after pglease ended', (await accessorsOf(vault, mount)).length, 0),
    exactly('kubernetes: leased roles after pglease ended', (await mounted.leasedRoles()).length, 0),
    holds('kubernetes: the stand-in made no mistake', vault.log === '', vault.log),
  ]
}
