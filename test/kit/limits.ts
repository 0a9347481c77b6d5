// What a client is told when a limit strikes: from pglease, and from a real pgbouncer with the same settings.
import assert from 'node:assert/strict'
import { type FixedDatabase, fixedDatabase } from './fixed-database.ts'
import { noPgbouncer, startPgbouncer } from './pgbouncer.ts'
import { type RawClient, rawLogin } from './raw-client.ts'
import type { Scenario } from './scenario.ts'
import { skip } from './skip.ts'

/** Either pooler, seen by a client. */
export interface Pooler {
  /** A raw client that is logged in. */
  raw(): Promise<RawClient>
}

export interface BothOptions {
  /** Of the process. */
  settings: Record<string, string | number>
}

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
  const port = await startPgbouncer(run, app, { pool_mode: 'transaction', ...settings })
  return {
    raw: async () => {
      const client = await rawLogin({ port }, { user: 'anyone', database: 'app' })
      run.defer(() => client.socket.destroy())
      return client
    },
  }
}

/** Plays `play` before pglease and before pgbouncer with equal settings: its client must be told `wanted` by both. */
export async function sameError(
  run: Scenario,
  options: BothOptions,
  wanted: string,
  play: (pooler: Pooler) => Promise<RawClient>,
): Promise<FixedDatabase> {
  const app = await fixedDatabase(run, options)
  assert.equal(await lastError(await play(app)), wanted)
  const pgbouncer = await pgbouncerBeside(run, app, options.settings)
  if (pgbouncer !== undefined) assert.equal(await lastError(await play(pgbouncer)), wanted, 'pgbouncer')
  return app
}
