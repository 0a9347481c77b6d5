// The composition root: settings in, objects built, callbacks wired, listeners open, until a signal ends it.
import process from 'node:process'
import { buildClients, type Clients } from './app_clients.ts'
import { buildDatabases, type Served } from './app_databases.ts'
import { type HttpListeners, openHttp } from './app_http.ts'
import { ListenError, openListeners } from './app_listeners.ts'
import { type Observed, State } from './app_state.ts'
import { buildVault } from './app_vault.ts'
import { type Clock, delay, systemClock } from './clock.ts'
import type { Log } from './log.ts'
import { type ConfiguredLog, createLog } from './log_lines.ts'
import { LineWriter } from './log_writer.ts'
import { type BuildInfo, Metrics } from './metrics.ts'
import { pickNetwork } from './net/pick.ts'
import { onSignal } from './net/signals.ts'
import type { Listener } from './net/transport.ts'
import type { Secret } from './secret.ts'
import type { LoadedSettings, Settings } from './settings/settings.ts'
import { type ServeEnd, Shutdown, type StopSignal } from './shutdown.ts'
import type { Routes } from './tenant/route.ts'
import type { Vault } from './vault/vault.ts'
import { ParameterNames } from './wire/parameters.ts'

const STANDARD_ERROR = 2
/** Timeouts are looked at this often; the shortest that makes sense is a second. */
const TICK_MS = 250
/** How often is looked whether the servers have closed their sides. */
const LINKS_WATCH_MS = 10
/** How long the last log lines may take to be read. */
const LAST_WORDS_MS = 1_000

/** unavailable: a port or socket cannot be had. */
export type ServeResult = ServeEnd | 'unavailable'

interface OpenLog {
  readonly log: ConfiguredLog
  readonly writer: LineWriter
}

function openLog({ log_format, log_level }: Settings, clock: Clock): OpenLog {
  const format = log_format === 'auto' ? (process.stderr.isTTY ? 'text' : 'json') : log_format
  const dropped = (count: number) => log.warning('log_lines_dropped', `${count} log lines were dropped: nobody read them`, { count })
  const writer = new LineWriter(STANDARD_ERROR, clock, dropped)
  const log = createLog({ format, level: log_level, clock, write: (line) => writer.write(line) })
  return { log, writer }
}

/** No secret of the configuration is ever logged, wherever it may turn up. */
function redactConfigured(log: ConfiguredLog, settings: Settings): void {
  const secrets: (Secret | undefined)[] = [settings.vault_token, settings.vault_secret_id]
  for (const { password } of settings.databases.values()) secrets.push(password)
  for (const secret of secrets) if (secret !== undefined) log.redact(secret)
}

function watchSignals(end: (name: StopSignal) => void, log: Log): () => void {
  const ends = (['TERM', 'INT', 'QUIT'] as const).map((name) => onSignal(name, () => end(name)))
  const later = (['HUP', 'USR1', 'USR2'] as const).map((name) =>
    onSignal(name, () =>
      log.warning('signal', `SIG${name} is ignored: reload, pause and resume are not supported yet`, { signal: `SIG${name}` }),
    ),
  )
  return () => {
    for (const stop of [...ends, ...later]) stop?.()
  }
}

async function closeLinks(routes: Routes<Served>, clock: Clock): Promise<void> {
  const served = routes.all()
  for (const { pool, replications } of served) {
    pool.abort()
    replications.abort()
  }
  do await delay(clock, LINKS_WATCH_MS)
  while (served.some(({ pool, replications }) => pool.connections + replications.size > 0))
}

interface Running {
  readonly routes: Routes<Served>
  readonly clients: Clients
  readonly vault: Vault | undefined
  readonly listeners: Listener[]
}

function buildShutdown(running: Running, settings: Settings, clock: Clock, log: Log): Shutdown {
  const { routes, clients, vault, listeners } = running
  return new Shutdown({
    clock,
    log,
    settings: () => settings,
    clients: () => clients.registry.size,
    refuseClients: () => {
      for (const listener of listeners.splice(0)) listener.close()
    },
    endIdleClients: () => clients.endIdle(),
    endAllClients: () => clients.endAll(),
    closeLinks: () => closeLinks(routes, clock),
    revoke: async (budgetMs) => vault?.close(budgetMs),
  })
}

/** Logs once when every exact database has been proven: what orchestrators and people wait for. */
function tickAll(observed: Observed, state: State, log: Log): void {
  for (const { pool, replications } of observed.routes.all()) {
    pool.tick()
    replications.tick()
  }
  if (!state.noteStarted()) return
  const count = observed.routes.all().length
  log.info('ready', `every database can be served (${count})`, { count })
}

async function run(loaded: LoadedSettings, build: BuildInfo, clock: Clock, log: ConfiguredLog): Promise<ServeResult> {
  const { settings, warnings } = loaded
  // first of all: leases are on their way before anything listens. A handler never runs before this function's first await
  const unwatch = watchSignals((name) => shutdown.signal(name), log)
  const { version, commit, runtime } = build
  log.info('starting', `pglease ${version}`, { version, commit, runtime })
  for (const warning of warnings) log.warning('configuration', warning)
  const network = pickNetwork()
  const metrics = new Metrics(build)
  const names = new ParameterNames(settings.track_extra_parameters)
  const vault = buildVault(settings, clock, log, metrics)
  const routes = buildDatabases({ settings, network, clock, log, metrics, names, vault })
  let refusing = () => false
  const clients = buildClients({ settings, network, clock, log, metrics, names, routes, refusing: () => refusing() })
  const listeners: Listener[] = []
  const shutdown = buildShutdown({ routes, clients, vault, listeners }, settings, clock, log)
  refusing = () => shutdown.refusing
  const observed: Observed = { build, clock, routes, vault, metrics, registry: clients.registry, phase: () => shutdown.phase, listeners }
  const state = new State(observed)
  metrics.setSnapshot(() => state.snapshot())
  let http: HttpListeners | undefined
  try {
    const quit = settings.quitquitquit ? () => shutdown.signal('TERM') : undefined
    http = await openHttp({ settings, clock, log, metrics, state, quit })
    listeners.push(...(await openListeners(loaded, network, log, clients.accept)))
  } catch (error) {
    if (!(error instanceof ListenError)) throw error
    log.error('stopped', error.message, { reason: 'unavailable' })
    await Promise.all([http?.close(), vault?.close(LAST_WORDS_MS)])
    return 'unavailable'
  }
  const tick = () => {
    tickAll(observed, state, log)
    clients.tick()
    timer = clock.after(TICK_MS, tick)
  }
  let timer = clock.after(0, tick)
  const end = await shutdown.ended
  timer.cancel()
  unwatch()
  void http.close()
  return end
}

/** Serves until a signal ends it. Rejects only for an error of pglease itself. */
export async function serve(loaded: LoadedSettings, build: BuildInfo): Promise<ServeResult> {
  const clock = systemClock
  const { log, writer } = openLog(loaded.settings, clock)
  redactConfigured(log, loaded.settings)
  const result = await run(loaded, build, clock, log)
  await Promise.race([writer.flush(), delay(clock, LAST_WORDS_MS)])
  return result
}
