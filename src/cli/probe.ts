// Asks a running pglease on this machine how it is: `healthcheck` and `wait`.
import * as v from 'valibot'
import { delay } from '../clock.ts'
import type { ProbeAddress } from '../settings/settings.ts'
import type { CliIo } from './context.ts'
import { EXIT, type ExitCode } from './exit.ts'

export type Question = 'startup' | 'ready' | 'live'

const PATHS: Readonly<Record<Question, string>> = { startup: '/startupz', ready: '/readyz', live: '/livez' }
const DEADLINE_MS = 2_000
const PAUSE_MS = 250

const ANSWER = v.object({ checks: v.array(v.object({ name: v.string(), ok: v.boolean(), reason: v.optional(v.string(), '') })) })

/** Where the probes of this configuration are, or undefined when they are off or on a port that the system chose. */
export function probeUrl(probes: ProbeAddress, question: Question): string | undefined {
  const { http_addr: address, http_port: port } = probes
  if (address === '' || port === 0) return undefined
  const host = address === '*' || address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}${PATHS[question]}`
}

/** The reasons of the checks that failed, from the body of a probe. */
function reasons(body: string): string {
  try {
    const parsed = v.safeParse(ANSWER, JSON.parse(body))
    if (!parsed.success) return ''
    const failed = parsed.output.checks.filter((check) => !check.ok)
    return failed.map((check) => `: ${check.name}${check.reason === '' ? '' : ` (${check.reason})`}`).join('')
  } catch {
    return ''
  }
}

interface Answer {
  readonly ok: boolean
  readonly text: string
}

async function ask(io: CliIo, url: string, deadlineMs: number): Promise<Answer> {
  try {
    const { status, body } = await io.get(url, deadlineMs)
    return status === 200 ? { ok: true, text: 'ok' } : { ok: false, text: `${url} answered ${status}${reasons(body)}` }
  } catch (error) {
    const timedOut = error instanceof Error && error.name === 'TimeoutError'
    return { ok: false, text: timedOut ? `${url} did not answer within ${deadlineMs} ms` : `${url} cannot be reached` }
  }
}

function noProbes(io: CliIo): ExitCode {
  io.writeError('pglease: the probes are switched off (http_addr is empty), or http_port is 0\n')
  return EXIT.failed
}

/** One question, one answer, within two seconds. */
export async function healthcheck(io: CliIo, probes: ProbeAddress, question: Question): Promise<ExitCode> {
  const url = probeUrl(probes, question)
  if (url === undefined) return noProbes(io)
  const answer = await ask(io, url, DEADLINE_MS)
  if (answer.ok) io.write(`${answer.text}\n`)
  else io.writeError(`pglease: ${answer.text}\n`)
  return answer.ok ? EXIT.done : EXIT.failed
}

/** Asks until pglease is ready, for at most `maximumMs`. */
export async function waitUntilReady(io: CliIo, probes: ProbeAddress, maximumMs: number): Promise<ExitCode> {
  const url = probeUrl(probes, 'ready')
  if (url === undefined) return noProbes(io)
  const end = io.clock.monotonicMs() + maximumMs
  for (;;) {
    const left = end - io.clock.monotonicMs()
    const answer = await ask(io, url, Math.max(1, Math.min(DEADLINE_MS, Math.ceil(left))))
    if (answer.ok) return EXIT.done
    if (io.clock.monotonicMs() + PAUSE_MS >= end) {
      io.writeError(`pglease: not ready in time: ${answer.text}\n`)
      return EXIT.timedOut
    }
    await delay(io.clock, PAUSE_MS)
  }
}
