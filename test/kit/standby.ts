// A streaming standby of a PostgreSQL of the test's own, which can be promoted. Version 15, whose pg_basebackup Debian has.
import { appendFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, poll } from './child.ts'
import { OwnPostgres } from './postgres.ts'
import { hasPostgres, runAsDatabaseUser, unprivileged } from './postgres-binaries.ts'
import type { Scenario } from './scenario.ts'

export const REPLICATING_VERSION = '15'

/** Why there can be no standby on this machine; undefined when there can. */
export const noStandby = (): string | undefined =>
  hasPostgres(REPLICATING_VERSION) ? undefined : `PostgreSQL ${REPLICATING_VERSION} is not installed, whose pg_basebackup is needed`

/** A primary that standbys may follow. */
export const startPrimary = (run: Scenario): Promise<OwnPostgres> =>
  run.postgres({ version: REPLICATING_VERSION, config: { wal_level: 'replica', max_wal_senders: 5, wal_keep_size: '64MB' } })

const connectionTo = ({ host, port, superuser, password }: OwnPostgres): string =>
  `host=${host} port=${port} user=${superuser} password=${password}`

async function copyOf(from: string, directory: string): Promise<void> {
  // at once: a checkpoint that is spread takes minutes
  const args = ['-D', join(directory, 'data'), '-R', '-X', 'stream', '-c', 'fast', '--no-sync', '-d', from]
  const { code } = await runAsDatabaseUser(REPLICATING_VERSION, 'pg_basebackup', args, directory).exit
  if (code !== 0) throw new Error(`pg_basebackup ended with code ${code}`)
}

/** Copies `primary` and follows it, on `port` if given; answers when it streams. Stopped when the scenario ends. */
export async function startStandby(run: Scenario, primary: OwnPostgres, port?: number): Promise<OwnPostgres> {
  const standby = await standbyOf(run, connectionTo(primary), port)
  await caughtUp(primary, standby)
  return standby
}

/** Copies and follows the server that the connection string `from` leads to; answers when it can be read. */
export async function standbyOf(run: Scenario, from: string, port?: number): Promise<OwnPostgres> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'pglease-standby-')))
  run.defer(() => rmSync(directory, { recursive: true, force: true }))
  await copyOf(from, directory)
  const standby = new OwnPostgres(directory, port ?? (await freePort()), REPLICATING_VERSION)
  // the last line of a name wins over what was copied
  const own = [`port = '${standby.port}'`, `unix_socket_directories = '${directory}'`]
  appendFileSync(join(directory, 'data/postgresql.auto.conf'), `${own.join('\n')}\n`)
  unprivileged().own(directory)
  await standby.start()
  run.showOnFailure('standby', () => standby.log)
  run.defer(() => standby.stop())
  return standby
}

/** Waits until the standby streams and has replayed what the primary has written so far. */
export async function caughtUp(primary: OwnPostgres, standby: OwnPostgres): Promise<void> {
  const [written] = await primary.sql<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
  const replayed = `SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming' AND pg_last_wal_replay_lsn() >= '${written?.lsn}'::pg_lsn`
  await poll('the standby streams', async () => ((await standby.sql(replayed)).length > 0 ? true : undefined))
}

/** Ends the recovery of a standby; answers when it takes writes. */
export async function promote(standby: OwnPostgres): Promise<void> {
  const [row] = await standby.sql<{ promoted: boolean }>('SELECT pg_promote(true, 30) AS promoted')
  if (row?.promoted !== true) throw new Error('the standby was not promoted')
}
