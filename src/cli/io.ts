// The process's real edges: environment, files, standard streams and HTTP on loopback.
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { systemClock } from '../clock.ts'
import { makeFetch } from '../net/fetch.ts'
import type { CliIo, HttpAnswer } from './context.ts'
import { EXIT } from './exit.ts'

const LONGEST_BODY = 65_536

/** Past every proxy of the environment: none reaches this machine's loopback. */
async function get(url: string, deadlineMs: number): Promise<HttpAnswer> {
  const abandoned = new AbortController()
  const deadline = systemClock.after(deadlineMs, () => abandoned.abort(new DOMException('no answer in time', 'TimeoutError')))
  try {
    const response = await makeFetch({ direct: true })(url, { signal: abandoned.signal })
    return { status: response.status, body: (await response.text()).slice(0, LONGEST_BODY) }
  } finally {
    deadline.cancel()
  }
}

let unwritten = false

/** A reader that has seen enough, such as `head`, is no failure. */
function notWritten(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE' || unwritten) return
  unwritten = true
  process.stderr.write(`pglease: the output could not be written (${error.code ?? 'unknown error'})\n`)
}

process.stdout.on('error', notWritten)
// nothing is left to say it on
process.stderr.on('error', () => {})

/** Ends the process when everything has been read, whatever it still has open. */
export function endProcess(status: number): void {
  process.stdout.end(() => process.exit(unwritten ? EXIT.internal : status))
}

export const processIo: CliIo = {
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  clock: systemClock,
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
  get,
}
