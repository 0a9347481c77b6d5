// What a client is told when a limit strikes: from pglease, and from a real pgbouncer with the same settings.
import assert from 'node:assert/strict'
import { type FixedDatabase, fixedDatabase } from './fixed-database.ts'
import { noPgbouncer, startPgbouncer } from './pgbouncer.ts'
import { type RawClient, rawLogin } from './raw-client.ts'
import type { Scenario } from './scenario.ts'
import { skip } from './skip.ts'

/** Either pooler, seen by a client. */
export interface Pooler {
  readonly port: number
  /** A raw client that is logged in. */
  raw(): Promise<RawClient>
}

interface BothOptions {
  /** Of the process. */
  settings: Record<string, string | number>
}

const poolerAt = (run: Scenario, port: number): Pooler => ({
  port,
  raw: async () => {
    const client = await rawLogin({ port }, { user: 'anyone', database: 'app' })
    run.defer(() => client.socket.destroy())
    return client
  },
})

/** Severity, SQLSTATE and text of the error that ends `client`'s connection; the hint is left out: pgbouncer has none. */
export async function lastError(client: RawClient): Promise<string> {
  const lines = await client.rest()
  const error = lines.find((line) => line.startsWith('ErrorResponse')) ?? `no error: ${lines.join(' | ')}`
  return error.replace(/^(ErrorResponse S='[A-Z]+' C='\w+' M='[^']*').*$/, '$1')
}

export const fatal = (text: string): string => `ErrorResponse S='FATAL' C='08P01' M='${text}'`

/** A pgbouncer before the server of `app`; undefined (and a counted skip) where there is none. */
export async function pgbouncerBeside(run: Scenario, app: FixedDatabase, settings: BothOptions['settings']): Promise<Pooler | undefined> {
  const missing = noPgbouncer()
  if (missing !== undefined && skip(missing)) return undefined
  return poolerAt(run, await startPgbouncer(run, app, { pool_mode: 'transaction', ...settings }))
}

/** Plays `play` before pglease and before pgbouncer with equal settings: its client must be told `wanted` by both. */
export async function sameError(
  run: Scenario,
  options: BothOptions,
  wanted: string,
  play: (pooler: Pooler) => Promise<RawClient>,
): Promise<FixedDatabase> {
  const app = await fixedDatabase(run, options)
  assert.equal(await lastError(await play(poolerAt(run, app.pglease.port))), wanted)
  const pgbouncer = await pgbouncerBeside(run, app, options.settings)
  if (pgbouncer !== undefined) assert.equal(await lastError(await play(pgbouncer)), wanted, 'pgbouncer')
  return app
}

/** Plays `play` before pglease and then, when its links are gone, before pgbouncer with equal settings: it must answer `wanted` both times. */
export async function sameAnswer<T>(
  run: Scenario,
  options: BothOptions,
  wanted: T,
  play: (pooler: Pooler, app: FixedDatabase) => Promise<T>,
): Promise<void> {
  const app = await fixedDatabase(run, options)
  assert.deepEqual(await play(poolerAt(run, app.pglease.port), app), wanted)
  await app.pglease.stop('SIGKILL')
  await app.waitForBackends(0)
  const pgbouncer = await pgbouncerBeside(run, app, options.settings)
  if (pgbouncer !== undefined) assert.deepEqual(await play(pgbouncer, app), wanted, 'pgbouncer')
}
