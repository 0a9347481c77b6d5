// Scenarios: Vault refuses credentials for a reason that a person must mend. Clients fail at once or wait, and are told what to do.
import pg from 'pg'
import { atLeast, atMost, exactly, type Figure, holds } from '../../scripts/lib/accept_line.ts'
import { poll, staysPending } from '../kit/child.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { PostgresServer } from '../kit/postgres.ts'
import type { VaultServer } from '../kit/vault.ts'
import { databasePolicy, unique, writePolicy } from '../kit/vault-database.ts'
import { type ClientError, clientError, complaints, DATABASE, type FaultContext, faultWorld, probe, withVaultPath } from './fault_world.ts'

export interface RefusalOptions {
  vault: VaultServer
  postgres: PostgresServer
}

/** A login to Vault, a read, and for a 403 a second login, on a busy machine. */
const FIRST_REFUSAL_MS = 5000
const LOG_MS = 2000
const AT_ONCE_MS = 500
/** Retries of a permanent cause come after 1, 2, 4 ... seconds; the mistakes here are mended after a few. */
const RECOVERED_WITHIN_MS = 20_000
const PERMANENT = /^server login has been failing, cached error: (.*) \(server_login_retry\)$/

interface Attempt {
  /** Undefined = it was served. */
  error: ClientError | undefined
  ms: number
}

/** One new connection and one query. */
export async function attempt(pglease: Pglease, waitMs = 60_000): Promise<Attempt> {
  const began = performance.now()
  const client = new pg.Client({ ...pglease.connection(DATABASE), connectionTimeoutMillis: waitMs })
  client.on('error', () => undefined) // shows in connect or in the query
  let error: ClientError | undefined
  try {
    await client.connect()
    await client.query('SELECT count(*) FROM item')
  } catch (thrown) {
    error = clientError(thrown)
  } finally {
    await client.end().catch(() => undefined)
  }
  return { error, ms: performance.now() - began }
}

/** Tries again and again until it is served; answers milliseconds. */
export async function untilServed(pglease: Pglease, waitMs: number): Promise<number> {
  const began = performance.now()
  let last = ''
  await poll(
    'a client is served',
    async () => {
      const { error } = await attempt(pglease)
      last = error?.message ?? ''
      return error === undefined || undefined
    },
    waitMs,
    () => last,
  )
  return performance.now() - began
}

/** The reason is in the client's error, in both probes and in the log, wherever a person looks first. */
async function reasonFigures(title: string, pglease: Pglease, told: string, reason: RegExp): Promise<Figure[]> {
  const figures = [holds(`${title} the client is told the reason`, reason.test(told), told)]
  for (const path of ['/startupz', '/readyz'] as const) {
    const { status, reasons } = await probe(pglease, path)
    figures.push(holds(`${title} ${path} is 503 with the reason`, status === 503 && reason.test(reasons), `${status} ${reasons}`))
  }
  // lines are gathered for some milliseconds before they are written
  const isSaid = () => complaints(pglease).some((line) => reason.test(line)) || undefined
  const said = await poll('the log has the reason', isSaid, LOG_MS).catch(() => false)
  figures.push(holds(`${title} the log has the reason`, said, complaints(pglease).join(' | ')))
  return figures
}

/** Clients fail at once with pgbouncer's cached-error text, and are served when the mistake is mended. */
async function permanent(title: string, pglease: Pglease, reason: RegExp, mend: () => Promise<unknown>): Promise<Figure[]> {
  const first = await attempt(pglease)
  const second = await attempt(pglease)
  const told = second.error?.message ?? 'served'
  const figures = [
    holds(`${title} the first client fails`, first.error !== undefined, 'served'),
    atMost(`${title} the first client fails within`, first.ms, FIRST_REFUSAL_MS, 'ms'),
    atMost(`${title} the next client fails within`, second.ms, AT_ONCE_MS, 'ms'),
    holds(`${title} the error has the text of a cached error`, PERMANENT.test(told) && second.error?.code === '08P01', told),
    exactly(`${title} severity`, second.error?.severity ?? '', 'FATAL'),
    ...(await reasonFigures(title, pglease, told, reason)),
  ]
  await mend()
  figures.push(atMost(`${title} served once it is mended within`, await untilServed(pglease, 70_000), RECOVERED_WITHIN_MS, 'ms'))
  figures.push(exactly(`${title} /readyz in the end`, (await probe(pglease, '/readyz')).status, 200))
  return figures
}

/** The log says what to do. */
function remedy(title: string, pglease: Pglease, words: string): Figure {
  const said = complaints(pglease)
  return holds(
    `${title} the log says what to do`,
    said.some((line) => line.includes(words)),
    said.join(' | '),
  )
}

export async function wrongVaultPath({ scenario: s, say }: FaultContext, options: RefusalOptions): Promise<Figure[]> {
  const world = await faultWorld(s, options)
  const { vault, mount, policy } = world
  const missing = unique('typo-')
  const path = `${mount.mount}/creds/${missing}`
  // a policy with a wildcard, as many have: Vault itself says that there is no such role
  await writePolicy(vault, `${databasePolicy(mount)}path "${mount.mount}/creds/*" { capabilities = ["read"] }\n`, policy)
  const pglease = await s.pglease({ config: withVaultPath(world, path) })
  say('the Vault path names a role that does not exist')
  const role = await vault.request('GET', `${mount.mount}/roles/${mount.role}`)
  const mend = () => vault.request('POST', `${mount.mount}/roles/${missing}`, role.data)
  const title = 'wrong vault_path:'
  const figures = await permanent(title, pglease, new RegExp(`${path}: 400 .*unknown role`), mend)
  return [...figures, remedy(title, pglease, 'is vault_path the mount and the role that exist in Vault?')]
}

export async function deniedPolicy({ scenario: s, say }: FaultContext, options: RefusalOptions): Promise<Figure[]> {
  const world = await faultWorld(s, options)
  const { vault, mount, policy } = world
  await writePolicy(vault, databasePolicy(mount, ['creds']), policy)
  const pglease = await s.pglease({ config: world.settings })
  say('the policy does not allow to read credentials')
  const mend = () => writePolicy(vault, databasePolicy(mount), policy)
  const title = 'denied by policy:'
  const figures = await permanent(title, pglease, new RegExp(`${mount.path}: 403 .*permission denied`), mend)
  return [...figures, remedy(title, pglease, `path "${mount.path}" { capabilities = ["read"] }`)]
}

const CLIENT_LOGIN_TIMEOUT_S = 4

export async function missingPasswordPolicy({ scenario: s, say }: FaultContext, options: RefusalOptions): Promise<Figure[]> {
  const title = 'missing password policy:'
  const world = await faultWorld(s, options)
  const { vault, mount } = world
  const passwords = unique('passwords-')
  await vault.request('POST', `${mount.mount}/config/pg`, { password_policy: passwords })
  const pglease = await s.pglease({ config: { ...world.settings, client_login_timeout: CLIENT_LOGIN_TIMEOUT_S } })
  say('Vault answers 500: the password policy of its database does not exist')
  const reason = new RegExp(`${mount.path}: 500 .*password policy`)
  const late = await attempt(pglease)
  const waiting = attempt(pglease)
  const figures = [
    exactly(`${title} a client that waits too long is told`, late.error?.message ?? 'served', 'client_login_timeout (server down)'),
    atLeast(`${title} it waited`, late.ms, CLIENT_LOGIN_TIMEOUT_S * 1000 - 100, 'ms'),
    ...(await reasonFigures(title, pglease, late.error?.detail ?? '', reason)),
    holds(`${title} the next client waits while it is mended`, await staysPending(waiting)),
  ]
  const rule = 'length = 20\nrule "charset" { charset = "abcdefghijklmnopqrstuvwxyz0123456789" }\n'
  await vault.request('PUT', `sys/policies/password/${passwords}`, { policy: rule })
  s.defer(() => vault.send('DELETE', `sys/policies/password/${passwords}`))
  const mended = performance.now()
  const { error } = await waiting
  if (error !== undefined) await untilServed(pglease, 30_000)
  figures.push(atMost(`${title} served once it is mended within`, performance.now() - mended, 12_000, 'ms'))
  figures.push(exactly(`${title} leases in Vault`, (await mount.leases()).length, 1))
  return figures
}
