// Where the scripts keep what is slow to make, and how two of them don't make it at once.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** `${PGLEASE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pglease}`, or a folder in the temporary one when that can't be written. */
export function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const wanted = process.env.PGLEASE_CACHE || join(base, 'pglease')
  try {
    mkdirSync(wanted, { recursive: true })
    return wanted
  } catch {
    const fallback = join(tmpdir(), `pglease-cache-${process.getuid?.() ?? 0}`)
    mkdirSync(fallback, { recursive: true, mode: 0o700 })
    return fallback
  }
}

/** Other checkouts have versions of their own, and a run goes on with what it has asked for at its beginning. */
const UNUSED_MS = 24 * 3600 * 1000

/** Ends the name of what is being made or removed, or of which a part was left by a process that was killed meanwhile. */
const WORK = '.work'

/** Where `version` of `family` is, or will be. */
export const cachePath = (family: string, version: string): string => join(cacheDirectory(), family, version)

const lockOf = (family: string, version: string): string => `${family}-${version}`.replaceAll('/', '-')

/** The path of `version` of `family`; `make` makes it when it is not there, and those that nobody has asked for in a day are removed then. */
export async function cached(family: string, version: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = cachePath(family, version)
  const isNew = await withLock(lockOf(family, version), async () => {
    const missing = !existsSync(path)
    if (missing) {
      mkdirSync(dirname(path), { recursive: true })
      const work = `${path}${WORK}`
      rmSync(work, { recursive: true, force: true })
      await make(work)
      renameSync(work, path)
    }
    const now = new Date()
    utimesSync(path, now, now)
    return missing
  })
  if (isNew) await removeUnused(family)
  return path
}

async function removeUnused(family: string): Promise<void> {
  for (const name of readdirSync(join(cacheDirectory(), family))) {
    const version = name.replace(WORK, '')
    const [path, work] = [cachePath(family, name), cachePath(family, `${version}${WORK}`)]
    const isUnused = () => (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) < Date.now() - UNUSED_MS
    if (!isUnused()) continue
    // looked at again under its lock: another process may be about to use it
    await withLock(lockOf(family, version), async () => {
      if (!isUnused()) return
      if (path !== work) {
        rmSync(work, { recursive: true, force: true })
        renameSync(path, work)
      }
      rmSync(work, { recursive: true, force: true })
    })
  }
}

/** Runs `task` while no other process holds the lock `name`. A lock whose owner has died is taken over. */
export async function withLock<T>(name: string, task: () => Promise<T>): Promise<T> {
  const folder = join(cacheDirectory(), `${name}.lock`)
  // asked again and again: an owner that was killed tells nobody that the lock is free
  while (!tryLock(folder)) await pause(100)
  try {
    return await task()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function tryLock(folder: string): boolean {
  try {
    mkdirSync(folder)
    writeFileSync(join(folder, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  if (ownerIsGone(folder)) rmSync(folder, { recursive: true, force: true })
  return false
}

function ownerIsGone(folder: string): boolean {
  let pid: number
  try {
    pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  } catch {
    // Between mkdir and the pid file; a folder that stays so is an interrupted owner's.
    return (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) < Date.now() - 10_000
  }
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
