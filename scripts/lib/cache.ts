// Where the scripts keep what is slow to make, and how two of them don't make it at once.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Runs `task` while no other process holds the lock `name`. A lock whose owner has died is taken over. */
export async function withLock<T>(name: string, task: () => Promise<T>): Promise<T> {
  const folder = join(cacheDirectory(), `${name}.lock`)
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
