// Starts pgbouncer or pglease for the benchmark with equal settings, and reads what the process itself used.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { Child, freePort, poll } from '../../test/kit/child.ts'
import { unprivileged } from '../../test/kit/postgres-binaries.ts'
import { RawClient } from '../../test/kit/raw-client.ts'
import { query } from '../../test/kit/raw-messages.ts'
import { repository } from './run.ts'
import { needTool } from './tools.ts'

/** Both poolers: transaction mode, 20 server connections, nobody is asked for a password. */
const POOL_SIZE = 20
const MAX_CLIENTS = 3000
/** USER_HZ: the unit of the times in /proc is 10 ms on every Linux. */
const TICKS_PER_SECOND = 100
const BYTES_PER_MB = 1e6

export const DATABASE = 'bench'

/** Where PostgreSQL is, and how a proxy logs in to it. */
export interface Upstream {
  host: string
  port: number
  /** For pgbouncer, and for pglease with `fixed`. */
  user: string
  password: string
  /** PEM file of the authority that signed PostgreSQL's certificate. */
  caFile: string
  /** Settings of pglease that log in to Vault, and the path of its credential; none with a fixed credential. */
  vault?: { settings: Record<string, string>; path: string }
}

/** MB of 1,000,000 bytes. */
export interface Memory {
  resident: number
  /** Of it what is no page of a file: the kernel shares those, and takes them back when memory is short. */
  own: number
}

/** A running proxy. */
export class Pooler {
  readonly name: string
  readonly port: number
  readonly #child: Child
  readonly #folder: string

  constructor(name: string, port: number, child: Child, folder: string) {
    this.name = name
    this.port = port
    this.#child = child
    this.#folder = folder
  }

  /** Seconds of processor time, user and system, of all threads since the start. */
  cpuSeconds(): number {
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }

  memory(): Memory {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    const megabytes = (field: string) => (Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / BYTES_PER_MB
    return { resident: megabytes('VmRSS'), own: megabytes('RssAnon') }
  }

  async stop(): Promise<void> {
    await this.#child.stop('SIGTERM', 2000)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The last lines of its log. */
  log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8').split('\n').slice(-30).join('\n')
  }

  /** Waits until a query through it has an answer. */
  async ready(password: string): Promise<this> {
    const answer = async () => {
      if (this.#child.ended) throw new Error(`${this.name} ended\n${this.log()}`)
      const client = new RawClient(connect(this.port, '127.0.0.1'))
      try {
        await client.login({ user: DATABASE, database: DATABASE, password })
        await client.ask(query('select 1'))
        return client.received.some((one) => one.type === 'D') || undefined
      } catch {
        return undefined
      } finally {
        client.vanish()
      }
    }
    await poll(`${this.name} answers a query`, answer, 30_000, () => this.log())
    return this
  }
}

/** Its output goes to a file: a reader of its log lines would take processor time from what is measured. */
function start(
  name: string,
  port: number,
  folder: string,
  { password }: Upstream,
  command: readonly string[],
  wrapper: readonly string[] = [],
): Promise<Pooler> {
  const script = 'log=$1; shift; exec "$@" >"$log" 2>&1'
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(VAULT_|BAO_|DB_|PGLEASE_|PG[A-Z]+$)/.test(key)))
  const child = new Child(
    ['sh', '-c', script, 'sh', join(folder, 'log'), ...command],
    { name, cwd: folder, env: env as Record<string, string> },
    wrapper,
  )
  return new Pooler(name, port, child, folder).ready(password)
}

const newFolder = (name: string) => mkdtempSync(join(tmpdir(), `bench-${name}-`))

/** pgbouncer refuses to run as root. */
export async function startPgbouncer(upstream: Upstream, tls: boolean): Promise<Pooler> {
  const program = await needTool('pgbouncer')
  if (!program) throw new Error('there is no pgbouncer to compare with')
  const folder = newFolder('pgbouncer')
  const port = await freePort()
  const { host, user, password, caFile } = upstream
  const lines = [
    '[databases]',
    `${DATABASE} = host=${host} port=${upstream.port} dbname=${DATABASE} user=${user} password=${password}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    `default_pool_size = ${POOL_SIZE}`,
    `max_client_conn = ${MAX_CLIENTS}`,
    'ignore_startup_parameters = extra_float_digits',
    `server_tls_sslmode = ${tls ? 'verify-full' : 'disable'}`,
    ...(tls ? [`server_tls_ca_file = ${caFile}`] : []),
  ]
  writeFileSync(join(folder, 'pgbouncer.ini'), `${lines.join('\n')}\n`)
  unprivileged().own(folder)
  return start('pgbouncer', port, folder, upstream, [program, join(folder, 'pgbouncer.ini')], unprivileged().wrapper)
}

/** `command` is an executable's path, or a command line such as `bun src/main.ts` with absolute paths. */
export async function startPglease(name: string, command: string, upstream: Upstream, tls: boolean): Promise<Pooler> {
  const folder = newFolder('pglease')
  const port = await freePort()
  const { host, user, password, caFile, vault } = upstream
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    http_addr: '127.0.0.1',
    http_port: 0,
    admin_port: 0,
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: POOL_SIZE,
    max_client_conn: MAX_CLIENTS,
    ...vault?.settings,
    databases: {
      [DATABASE]: {
        host,
        port: upstream.port,
        dbname: DATABASE,
        server_tls_sslmode: tls ? 'verify-full' : 'disable',
        ...(tls ? { server_tls_ca_file: caFile } : {}),
        ...(vault ? { vault_path: vault.path } : { user, password }),
      },
    },
  }
  const file = join(folder, 'pglease.yaml')
  writeFileSync(file, stringify(settings), { mode: 0o600 })
  return start(name, port, folder, upstream, [...command.split(' '), '--config', file])
}

/** A relay without a protocol, on the same runtime and the same sockets: what is left for pglease to lose is above this. */
export async function startBare(name: string, upstream: Upstream): Promise<Pooler> {
  const port = await freePort()
  const script = join(repository, 'scripts/lib/bench_bare.ts')
  return start(name, port, newFolder('bare'), upstream, [process.execPath, script, String(port), upstream.host, String(upstream.port)])
}
