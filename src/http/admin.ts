// The admin listener: status page, the state for tools, its changes as they happen, and quit.
import { Hono } from 'hono/tiny'
import type { LogLine } from '../log.ts'
import { accessRefusal, isFromBrowser, REQUEST_HEADER } from './access.ts'
import type { AdminState } from './admin_state.ts'
import { EventHub } from './events.ts'
import { harden, methodNotAllowed, notFound } from './headers.ts'
import { STATUS_PAGE, STATUS_PAGE_POLICY } from './status_page.ts'

export interface AdminParts {
  state(): AdminState
  onEvent(listener: (line: LogLine) => void): () => void
  recent(): readonly LogLine[]
  /** Undefined: quit is off, as it is unless the configuration asks for it. */
  quit: (() => void) | undefined
  /** Runs `task` every `ms` until the returned function is called. */
  every(ms: number, task: () => void): () => void
  /** Whether names may be in the Host header: for a listener that is not on loopback. Off when absent. */
  readonly anyHost?: boolean
  /** Ends every open stream of events: the listener's close waits for them. */
  readonly closing?: AbortSignal
}

const PLACES = ['GET /', 'GET /api/state', 'GET /api/events', 'POST /quitquitquit']
const QUIT_IS_OFF = 'quitquitquit is off: set `quitquitquit: true` (PGLEASE_QUITQUITQUIT=true) to allow it\n'

/** Answers for admin_addr. An error of `parts` is thrown on: the listener makes a 500 without detail of it. */
export function adminApp(parts: AdminParts): (request: Request) => Response | Promise<Response> {
  const app = new Hono()
  harden(app)
  const rules = { anyHost: parts.anyHost ?? false }
  app.use(async (context, next) => {
    const refusal = accessRefusal(context.req.raw, rules, context.req.path === '/')
    if (refusal !== undefined) return context.text(`refused: ${refusal}\n`, 403)
    await next()
  })
  app.get('/', (context) => context.html(STATUS_PAGE, 200, { 'Content-Security-Policy': STATUS_PAGE_POLICY }))
  app.get('/api/state', (context) => context.json(parts.state()))
  addEvents(app, parts)
  addQuit(app, parts)
  app.all('/', methodNotAllowed('GET, HEAD'))
  app.all('/api/state', methodNotAllowed('GET, HEAD'))
  app.all('/api/events', methodNotAllowed('GET'))
  notFound(app, [...PLACES, `(all but / with the header ${REQUEST_HEADER}: true)`])
  return (request) => app.fetch(request)
}

function addEvents(app: Hono, parts: AdminParts): void {
  const hub = new EventHub(parts)
  if (parts.closing?.aborted) hub.close()
  parts.closing?.addEventListener('abort', () => hub.close(), { once: true })
  app.get('/api/events', (context, next) => {
    // hono answers HEAD as GET and drops the body: its stream would never end
    if (context.req.method === 'HEAD') return next()
    if (hub.full) return context.text('too many listen to events already: close a status page\n', 503, { 'Retry-After': '5' })
    // a proxy in between must pass each event on at once
    const headers = { 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' }
    return context.body(hub.open(), 200, headers)
  })
}

function addQuit(app: Hono, parts: AdminParts): void {
  let asked = false
  app.post('/quitquitquit', (context) => {
    if (parts.quit === undefined) return context.text(QUIT_IS_OFF, 404)
    if (isFromBrowser(context.req.raw)) return context.text('refused: a browser may not end pglease\n', 403)
    // a second request must not count as a second signal, which would end it at once
    if (!asked) parts.quit()
    asked = true
    return context.text('pglease drains and ends\n')
  })
  app.all('/quitquitquit', (context) => {
    return parts.quit === undefined ? context.text(QUIT_IS_OFF, 404) : methodNotAllowed('POST')(context)
  })
}
