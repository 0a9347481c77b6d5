// Steps that the contract tests of the stand-in Vault share: who plays, a login, a lease and its role.
import assert from 'node:assert/strict'
import { poll } from './child.ts'
import { type DevVault, startDevVault } from './dev-vault.ts'
import { type PostgresServer, sharedPostgres } from './postgres.ts'
import { type Scenario, scenario } from './scenario.ts'
import { skip } from './skip.ts'
import { noVault, sharedVault, type VaultServer } from './vault.ts'
import { type Player, type Script, sameOnBoth } from './vault-contract.ts'
import type { AppRole, DatabaseMount } from './vault-database.ts'

export async function standIn(s: Scenario): Promise<DevVault> {
  const vault = await startDevVault()
  s.showOnFailure('the stand-in', () => vault.log)
  s.defer(() => {
    assert.equal(vault.log, '', 'the stand-in made mistakes')
  })
  s.defer(() => vault.stop())
  return vault
}

/** A scenario that plays `script` to both; with `own` to a real Vault of its own. */
export function contract(name: string, script: Script, own = false): void {
  scenario(name, async (s) => {
    const missing = await noVault()
    if (missing && skip(missing)) return
    const real: VaultServer = own ? await s.vault() : await sharedVault()
    await sameOnBoth(real, await standIn(s), await sharedPostgres(), script)
  })
}

/** Logs in and answers the token. */
export async function login(player: Player, what: string, role: AppRole): Promise<string> {
  const answer = await player.send(what, 'POST', `auth/${role.mount}/login`, { role_id: role.roleId, secret_id: role.secretId }, '')
  return answer.auth?.client_token ?? ''
}

export async function roleExists(postgres: PostgresServer, name: string): Promise<boolean> {
  return (await postgres.sql('SELECT 1 FROM pg_roles WHERE rolname = $1', 'postgres', [name])).length === 1
}

/** Leases a role and answers its lease. */
export async function lease(
  player: Player,
  what: string,
  mounted: DatabaseMount,
  token?: string,
): Promise<{ id: string; username: string }> {
  const answer = await player.send(what, 'GET', mounted.path, undefined, token)
  const { lease_id: id = '', data } = answer
  const username = String(data?.username)
  player.hide(id, 'lease')
  const pattern = /^v-[\w-]{1,8}-[\w-]{1,8}-[A-Za-z0-9]{20}-\d{10}$/
  player.note(`${what}: the form of the names`, [
    pattern.test(username),
    id.startsWith(`${mounted.path}/`),
    id.length - mounted.path.length,
  ])
  player.note(`${what}: the form of the password`, /^[A-Za-z0-9-]{20}$/.test(String(data?.password)))
  player.note(`${what}: the role is there`, await roleExists(player.postgres, username))
  return { id, username }
}

export const gone = (player: Player, username: string) =>
  poll(`${username} is dropped`, async () => ((await roleExists(player.postgres, username)) ? undefined : true))
