// All declared settings in one table each: those of the process and those of a database.
import { DATABASE_ROWS } from './declare_database.ts'
import { LIMIT_ROWS, SHARED_LIMIT_ROWS } from './declare_limits.ts'
import { LISTEN_ROWS } from './declare_listen.ts'
import { OPERATION_ROWS } from './declare_operation.ts'
import { POOL_ROWS } from './declare_pool.ts'
import { SERVER_ROWS } from './declare_server.ts'
import { VAULT_ROWS } from './declare_vault.ts'
import type { Row, Topic } from './row.ts'
import type { Scope } from './scope.ts'

export const GLOBAL_ROWS = {
  ...LISTEN_ROWS,
  ...POOL_ROWS,
  ...LIMIT_ROWS,
  ...SHARED_LIMIT_ROWS,
  ...SERVER_ROWS,
  ...VAULT_ROWS,
  ...OPERATION_ROWS,
}
export { DATABASE_ROWS }

/** Every setting of the process by name, for lookups by text. */
export const GLOBALS: ReadonlyMap<string, Row<unknown>> = new Map(Object.entries(GLOBAL_ROWS))

/** Every setting that may stand under `databases.<name>`. */
export const PER_DATABASE: ReadonlyMap<string, Row<unknown>> = new Map<string, Row<unknown>>([
  ...Object.entries(DATABASE_ROWS),
  ...[...GLOBALS].filter(([, declared]) => declared.perDatabase),
])

/** Every setting that may stand under `users.<name>`. */
export const PER_USER: ReadonlyMap<string, Row<unknown>> = new Map([...GLOBALS, ...PER_DATABASE].filter(([, declared]) => declared.perUser))

/** What may be set there; undefined = for the whole process. */
export function rowsOf(scope: Scope | undefined): ReadonlyMap<string, Row<unknown>> {
  if (scope === undefined) return GLOBALS
  return scope.kind === 'databases' ? PER_DATABASE : PER_USER
}

/** Topics in the manual's order. */
export const TOPICS: ReadonlyMap<Topic, Readonly<Record<string, Row<unknown>>>> = new Map<Topic, Readonly<Record<string, Row<unknown>>>>([
  ['listen', LISTEN_ROWS],
  ['database', DATABASE_ROWS],
  ['pool', { ...POOL_ROWS, ...LIMIT_ROWS, ...SHARED_LIMIT_ROWS }],
  ['server', SERVER_ROWS],
  ['vault', VAULT_ROWS],
  ['operation', OPERATION_ROWS],
])
