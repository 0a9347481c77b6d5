// The process's real edges: environment, files, standard streams and HTTP on loopback.
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { systemClock } from '../clock.ts'
import type { CliIo, HttpAnswer } from './context.ts'

const LONGEST_BODY = 65_536

async function get(url: string, deadlineMs: number): Promise<HttpAnswer> {
  const abandoned = new AbortController()
  const deadline = systemClock.after(deadlineMs, () => abandoned.abort(new DOMException('no answer in time', 'TimeoutError')))
  try {
    const response = await fetch(url, { redirect: 'manual', signal: abandoned.signal })
    return { status: response.status, body: (await response.text()).slice(0, LONGEST_BODY) }
  } finally {
    deadline.cancel()
  }
}

export const processIo: CliIo = {
  env: process.env,
  readFile: (path) => readFileSync(path, 'utf8'),
  clock: systemClock,
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
  get,
}
