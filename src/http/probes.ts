// Probes and metrics: all that http_addr serves. No probe dials PostgreSQL or Vault.
import type { Context } from 'hono'
import { Hono } from 'hono/tiny'
import { harden, methodNotAllowed, notFound } from './headers.ts'

export interface ProbeCheck {
  readonly name: string
  readonly ok: boolean
  /** Why not, for a person; shown only when it is not ok. Never a secret. */
  readonly reason?: string
}

export interface ProbeParts {
  startup(): readonly ProbeCheck[]
  ready(): readonly ProbeCheck[]
  renderMetrics(): Promise<string>
  metricsContentType: string
}

type Question = () => readonly ProbeCheck[]

/** That this runs is the answer. */
const alive: Question = () => [{ name: 'event_loop', ok: true }]

function answer(context: Context, checks: readonly ProbeCheck[]): Response {
  const ok = checks.every((check) => check.ok)
  const told = checks.map(({ name, ok: passed, reason }) => ({ name, ok: passed, ...(passed || reason === undefined ? {} : { reason }) }))
  return context.json({ status: ok ? 'ok' : 'failing', checks: told }, ok ? 200 : 503)
}

/** Answers for http_addr. An error of `parts` is thrown on: the listener makes a 500 without detail of it. */
export function publicApp(parts: ProbeParts): (request: Request) => Response | Promise<Response> {
  const app = new Hono()
  harden(app)
  const startup: Question = () => parts.startup()
  const ready: Question = () => parts.ready()
  const questions: readonly (readonly [string, Question])[] = [
    ['/startupz', startup],
    ['/readyz', ready],
    ['/livez', alive],
    ['/startup', startup],
    ['/readiness', ready],
    ['/liveness', alive],
    ['/healthz', alive],
  ]
  for (const [path, question] of questions) app.get(path, (context) => answer(context, question()))
  app.get('/metrics', async (context) => context.body(await parts.renderMetrics(), 200, { 'Content-Type': parts.metricsContentType }))
  const paths = [...questions.map(([path]) => path), '/metrics']
  // hono answers HEAD as GET without a body
  for (const path of paths) app.all(path, methodNotAllowed('GET, HEAD'))
  notFound(app, paths)
  return (request) => app.fetch(request)
}
