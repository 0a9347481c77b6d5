// Starts pglease itself (the compiled binary unless PGLEASE_UNDER_TEST says otherwise) and watches it from outside.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { stringify } from 'yaml'
import { Child, type ChildEnd, EVENT_WAIT_MS, poll } from './child.ts'
import { Metrics } from './metrics-text.ts'

const repository = resolve(import.meta.dirname, '../..')

export interface PgleaseOptions {
  /** Written as the YAML file of `--config`. Without it there is no file: settings come from `env`. */
  config?: Record<string, unknown>
  /** Added to an environment that holds no setting of pglease. Undefined removes. */
  env?: Record<string, string | undefined>
  /** Arguments after those of the configuration. */
  args?: readonly string[]
  cwd?: string
  /** A command that executes the command line which follows it. */
  wrapper?: readonly string[]
  /** Don't wait for the listeners (they open late, or never). */
  noWait?: boolean
}

export interface RunOptions extends PgleaseOptions {
  /** What happens to the process meanwhile. */
  during?: (child: Child) => Promise<void>
}

export interface LogLine {
  time?: string
  level?: string
  event: string
  msg?: string
  kind?: string
  address?: string
  database?: string
  reason?: string
  code?: string
  [field: string]: unknown
}

interface HttpAnswer {
  status: number
  text: string
}

type ListenerKind = 'database' | 'http' | 'admin' | 'unix'

/** The command of what is tested: `PGLEASE_UNDER_TEST` may be a command line such as `deno run -A src/main.ts`. */
function commandUnderTest(): string[] {
  const given = process.env.PGLEASE_UNDER_TEST
  if (!given) return [join(repository, 'dist/pglease')]
  // a file of the checkout is meant from its top, whatever the working directory of the process will be
  const [program = '', ...rest] = given.split(' ').map((word) => (/^(src|dist)\//.test(word) ? join(repository, word) : word))
  return [program === 'deno' ? denoProgram() : program, ...rest]
}

/** npm's `deno` command is a Node script that starts the program: signals and its end would be the script's. */
function denoProgram(): string {
  const program = join(repository, 'node_modules/deno/deno')
  return existsSync(program) ? program : 'deno'
}

const FOREIGN = /^(VAULT_|BAO_|DB_|PGLEASE_|PG[A-Z]+$|BUN_|NODE_)/

function environment(more: Record<string, string | undefined>): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined && !FOREIGN.test(name)) result[name] = value
  for (const [name, value] of Object.entries(more)) {
    if (value === undefined) delete result[name]
    else result[name] = value
  }
  return result
}

function asLog(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const parsed = JSON.parse(line) as LogLine
    return typeof parsed.event === 'string' ? parsed : undefined
  } catch {
    return undefined
  }
}

interface Prepared {
  folder: string
  child: Child
}

/** Writes the configuration and starts the process. */
function launch(options: PgleaseOptions, before: readonly string[] = []): Prepared {
  const folder = mkdtempSync(join(tmpdir(), 'pglease-run-'))
  const args = [...before]
  const env = { ...options.env }
  if (options.config) {
    const file = join(folder, 'pglease.yaml')
    const ports = { listen_addr: '127.0.0.1', listen_port: 0, http_addr: '127.0.0.1', http_port: 0, admin_port: 0 }
    const given = environment(env)
    const defaults = Object.fromEntries(Object.entries(ports).filter(([name]) => given[`PGLEASE_${name.toUpperCase()}`] === undefined))
    writeFileSync(file, stringify({ ...defaults, ...options.config }), { mode: 0o600 })
    args.push('--config', file)
  } else {
    for (const name of ['PGLEASE_LISTEN_PORT', 'PGLEASE_HTTP_PORT', 'PGLEASE_ADMIN_PORT']) if (!(name in env)) env[name] = '0'
  }
  const command = [...commandUnderTest(), ...args, ...(options.args ?? [])]
  const child = new Child(command, { name: 'pglease', cwd: options.cwd ?? folder, env: environment(env) }, options.wrapper)
  child.closeStdin()
  return { folder, child }
}

/** A running pglease. */
export class Pglease {
  readonly child: Child
  readonly exit: Promise<ChildEnd>
  readonly #folder: string
  readonly #addresses = new Map<ListenerKind, string[]>()
  /** Every log line so far that is an event. */
  readonly log: LogLine[] = []

  constructor({ folder, child }: Prepared) {
    this.child = child
    this.exit = child.exit
    this.#folder = folder
    child.onLine((line) => {
      const event = asLog(line)
      if (!event) return
      this.log.push(event)
      if (event.event === 'listening' && event.kind && event.address) {
        const kind = event.kind as ListenerKind
        this.#addresses.set(kind, [...(this.#addresses.get(kind) ?? []), event.address])
      }
    })
  }

  get pid(): number {
    return this.child.pid
  }

  /** The configuration file's folder; also the working directory unless `cwd` was given. */
  get folder(): string {
    return this.#folder
  }

  /** Where clients connect. */
  get port(): number {
    return this.#port('database')
  }

  get httpPort(): number {
    return this.#port('http')
  }

  get adminPort(): number {
    return this.#port('admin')
  }

  /** The addresses of `kind` as logged: `127.0.0.1:6432`, `[::1]:6432`, a socket's path. */
  addresses(kind: ListenerKind): readonly string[] {
    return this.#addresses.get(kind) ?? []
  }

  /** Waits for the `listening` event of `kind`. */
  async listening(kind: ListenerKind): Promise<string> {
    const event = await this.waitForLog('listening', (line) => line.kind === kind)
    return String(event.address)
  }

  /** Options for `pg`. Any user and password do under `auth_type: any`. */
  connection(database: string, user = 'app'): pg.ClientConfig {
    return { host: '127.0.0.1', port: this.port, database, user, password: 'any', connectionTimeoutMillis: EVENT_WAIT_MS }
  }

  /** A connected client of the `pg` driver. Its asynchronous errors go to `errors`. */
  async client(database: string, user?: string): Promise<pg.Client & { errors: Error[] }> {
    const errors: Error[] = []
    const client = Object.assign(new pg.Client(this.connection(database, user)), { errors })
    client.on('error', (error) => errors.push(error))
    await client.connect()
    return client
  }

  /** The first log line with `event` for which `predicate` holds, from those already written on. */
  async waitForLog(event: string, predicate: (line: LogLine) => boolean = () => true, waitMs = EVENT_WAIT_MS): Promise<LogLine> {
    const matches = (line: LogLine | undefined) => line !== undefined && line.event === event && predicate(line)
    const seen = this.log.find(matches)
    if (seen) return seen
    const line = await this.child.waitForLine((text) => matches(asLog(text)), waitMs, `log event ${event}`)
    return asLog(line) as LogLine
  }

  /** The log lines with `event`. */
  logged(event: string): LogLine[] {
    return this.log.filter((line) => line.event === event)
  }

  /** Waits until /readyz answers 200. */
  waitReady(waitMs = EVENT_WAIT_MS): Promise<void> {
    return this.#waitForStatus('/readyz', 200, waitMs)
  }

  /** Waits until /startupz answers 200: every exact database has a proven credential. */
  waitStarted(waitMs = EVENT_WAIT_MS): Promise<void> {
    return this.#waitForStatus('/startupz', 200, waitMs)
  }

  /** GET on the public HTTP listener. */
  http(path: string, init?: RequestInit): Promise<HttpAnswer> {
    return request(this.httpPort, path, init)
  }

  /** A request to the admin listener, with the header that it asks for. */
  admin(path: string, init: RequestInit = {}): Promise<HttpAnswer> {
    return request(this.adminPort, path, { ...init, headers: { 'X-Pglease-Request': 'true', ...init.headers } })
  }

  async metrics(): Promise<Metrics> {
    const { status, text } = await this.http('/metrics')
    if (status !== 200) throw new Error(`/metrics answered ${status}`)
    return new Metrics(text)
  }

  signal(signal: NodeJS.Signals): void {
    this.child.signal(signal)
  }

  /** SIGTERM, and the end. `SIGKILL` after 40 s. Removes the configuration. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ChildEnd> {
    const ended = await this.child.stop(signal, 40_000)
    rmSync(this.#folder, { recursive: true, force: true })
    return ended
  }

  #port(kind: ListenerKind): number {
    const addresses = this.addresses(kind)
    const address = addresses.find((text) => text.startsWith('127.')) ?? addresses[0]
    if (!address) throw new Error(`pglease has no ${kind} listener\n${this.child.tail()}`)
    return Number(address.slice(address.lastIndexOf(':') + 1))
  }

  async #waitForStatus(path: string, wanted: number, waitMs: number): Promise<void> {
    let last = ''
    await poll(
      `${path} answers ${wanted}`,
      async () => {
        if (this.child.ended) throw new Error(`pglease ended\n${this.child.tail()}`)
        const { status, text } = await this.http(path)
        last = `${status} ${text}`
        return status === wanted ? true : undefined
      },
      waitMs,
      () => `${last}\n${this.child.tail()}`,
    )
  }
}

async function request(port: number, path: string, init?: RequestInit): Promise<HttpAnswer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual', ...init })
  return { status: response.status, text: await response.text() }
}

/** Starts pglease and waits until its database and HTTP listeners are open. */
export async function startPglease(options: PgleaseOptions = {}): Promise<Pglease> {
  const pglease = new Pglease(launch(options))
  if (options.noWait) return pglease
  try {
    if (options.config?.listen_addr !== '') await pglease.listening('database')
    if (options.config?.http_addr !== '') await pglease.listening('http')
  } catch (error) {
    await pglease.stop('SIGKILL')
    throw error
  }
  return pglease
}

export interface PgleaseResult extends ChildEnd {
  stdout: string
  stderr: string
}

/** Runs a command such as `['check']` (before `--config`) to its end. */
export async function runPglease(command: readonly string[], options: RunOptions = {}, waitMs = EVENT_WAIT_MS): Promise<PgleaseResult> {
  const { folder, child } = launch(options, command)
  const disturbed = options.during?.(child)
  const late = setTimeout(() => child.signal('SIGKILL'), waitMs)
  const ended = await child.exit
  clearTimeout(late)
  await disturbed
  rmSync(folder, { recursive: true, force: true })
  return { ...ended, stdout: child.stdout, stderr: child.stderr }
}
