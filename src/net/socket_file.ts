// The file of a unix socket: its mode from the first moment, and what a crashed process left behind.
import { lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { umask } from 'node:process'
import { codeOf } from './address.ts'

/** Runs `bind`, which must create the socket file before it returns, so that the file never has more than `mode`. */
export function withMode<Result>(mode: number | undefined, bind: () => Result): Result {
  if (mode === undefined) return bind()
  const previous = umask(0o777 & ~mode)
  try {
    return bind()
  } finally {
    umask(previous)
  }
}

/** Removes the socket file at `path` when nobody listens there. Anything else, also a file that is no socket, is left alone. */
export async function removeStaleSocket(path: string): Promise<void> {
  if (!isSocket(path)) return
  if (await isRefused(path)) unlinkSync(path)
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket()
  } catch {
    return false
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'))
  })
}
