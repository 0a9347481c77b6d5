// Opens the HTTP ports: probes and metrics for everyone, the status page for this machine.
import { ListenError } from './app_listeners.ts'
import type { State } from './app_state.ts'
import type { Clock, Timer } from './clock.ts'
import { adminApp } from './http/admin.ts'
import { publicApp } from './http/probes.ts'
import { boundedScrapes } from './http/scrape.ts'
import type { ConfiguredLog } from './log_lines.ts'
import type { Metrics } from './metrics.ts'
import { hostPort } from './net/address.ts'
import { type FetchHandler, type HttpListener, serveHttp } from './net/http_server.ts'
import { isLocal } from './settings/local.ts'
import type { Settings } from './settings/settings.ts'

export interface HttpParts {
  readonly settings: Settings
  readonly clock: Clock
  readonly log: ConfiguredLog
  readonly metrics: Metrics
  readonly state: State
  /** What `POST /quitquitquit` does; undefined = it is off. */
  readonly quit: (() => void) | undefined
}

export interface HttpListeners {
  close(): Promise<void>
}

/** Runs `task` every `ms` until the returned function is called. */
function every(clock: Clock, ms: number, task: () => void): () => void {
  let timer: Timer
  const again = () => {
    timer = clock.after(ms, again)
    task()
  }
  timer = clock.after(ms, again)
  return () => timer.cancel()
}

/** Rejects with a ListenError, and then none is left open. An empty address switches a listener off. */
export async function openHttp({ settings, clock, log, metrics, state, quit }: HttpParts): Promise<HttpListeners> {
  const listeners: HttpListener[] = []
  const bug = (error: unknown) => log.error('bug', `an HTTP request failed: ${error instanceof Error ? error.message : String(error)}`)
  const open = async (kind: 'http' | 'admin', host: string, port: number, handler: FetchHandler) => {
    if (host === '') return
    try {
      const listener = await serveHttp({ host, port }, handler, bug)
      listeners.push(listener)
      const address = hostPort(listener.address.host, listener.address.port)
      log.info('listening', `${kind === 'http' ? 'probes and metrics' : 'the status page'} on ${address}`, { kind, address })
    } catch (error) {
      await Promise.all(listeners.map((listener) => listener.close()))
      throw new ListenError(`${kind}_addr or ${kind}_port`, error)
    }
  }
  const closing = new AbortController()
  const probes = publicApp({
    startup: () => state.startup(),
    ready: () => state.ready(),
    renderMetrics: boundedScrapes(() => metrics.render(), clock),
    metricsContentType: metrics.contentType,
  })
  const admin = adminApp({
    state: () => state.admin(),
    onEvent: (listener) => log.onLine(listener),
    recent: () => log.recent(),
    quit,
    every: (ms, task) => every(clock, ms, task),
    anyHost: !isLocal(settings.admin_addr),
    closing: closing.signal,
  })
  await open('http', settings.http_addr, settings.http_port, probes)
  await open('admin', settings.admin_addr, settings.admin_port, admin)
  return {
    close: async () => {
      closing.abort()
      await Promise.all(listeners.map((listener) => listener.close()))
    },
  }
}
