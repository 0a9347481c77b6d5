// What the benchmark runs against: a PostgreSQL with data, a real Vault that leases its roles, certificates.
import { chmodSync, copyFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificates } from '../../test/kit/certificates.ts'
import { type OwnPostgres, startPostgres } from '../../test/kit/postgres.ts'
import { unprivileged } from '../../test/kit/postgres-binaries.ts'
import { type OwnVault, startVault } from '../../test/kit/vault.ts'
import { appRole, appRoleSettings, databasePolicy, mountDatabase } from '../../test/kit/vault-database.ts'
import { DATABASE, type Pooler, startBare, startPgbouncer, startPglease, type Upstream } from './bench_proxy.ts'
import { mustRun } from './run.ts'
import { needTool } from './tools.ts'

/** What one COPY moves, in rows of 100 bytes. */
export const COPY_MEGABYTES = 300
const ROW_BYTES = 100
const BYTES_PER_MB = 1e6
const HOUR_S = 3600

export interface WorldOptions {
  /** pgbench's scale. */
  scale: number
  /** A password from the configuration in place of Vault's lease. */
  fixedCredential: boolean
}

export interface Programs {
  pgbench: string
  psql: string
}

/** Who is measured: the program and how it is started. */
export interface Subject {
  name: string
  /** `pgbouncer`, `bare` (a relay without a protocol), or pglease's command. */
  command: string
}

export class World {
  readonly programs: Programs
  readonly upstream: Upstream
  readonly postgres: OwnPostgres
  /** The text of the COPY table. */
  readonly copyFile: string
  readonly #folder: string
  readonly #vault: OwnVault | undefined
  readonly #proxies = new Map<string, Pooler>()

  constructor(programs: Programs, upstream: Upstream, postgres: OwnPostgres, folder: string, vault: OwnVault | undefined) {
    this.programs = programs
    this.upstream = upstream
    this.postgres = postgres
    this.#folder = folder
    this.copyFile = join(folder, 'copy.txt')
    this.#vault = vault
  }

  /** The running proxy of `subject`, started when first asked for and kept. */
  async proxy(subject: Subject, tls: boolean): Promise<Pooler> {
    const key = `${subject.name}${tls ? ' with TLS' : ''}`
    const running = this.#proxies.get(key)
    if (running) return running
    const { name, command } = subject
    const proxy = await this.#start(name, command, tls)
    this.#proxies.set(key, proxy)
    return proxy
  }

  #start(name: string, command: string, tls: boolean): Promise<Pooler> {
    if (command === 'pgbouncer') return startPgbouncer(this.upstream, tls)
    if (command === 'bare') return startBare(name, this.upstream)
    return startPglease(name, command, this.upstream, tls)
  }

  /** Ends the proxies: the next case or pair starts them anew. */
  async stopProxies(): Promise<void> {
    for (const proxy of this.#proxies.values()) await proxy.stop()
    this.#proxies.clear()
  }

  async stop(): Promise<void> {
    await this.stopProxies()
    await this.#vault?.stop()
    await this.postgres.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

async function programs(): Promise<Programs> {
  const [pgbench, psql] = [await needTool('pgbench'), await needTool('psql')]
  if (!pgbench || !psql) throw new Error('pgbench and psql are needed')
  return { pgbench, psql }
}

/** Starts the servers, fills the tables, sets up Vault. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const tools = await programs()
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'bench-world-')))
  const certificates = makeCertificates()
  const at = (name: string) => join(folder, name)
  writeFileSync(at('ca.crt'), certificates.ca)
  writeFileSync(at('server.crt'), certificates.server.cert)
  writeFileSync(at('server.key'), certificates.server.key.reveal(), { mode: 0o600 })
  chmodSync(folder, 0o755)
  unprivileged().own(folder)
  const postgres = await startPostgres({
    maxConnections: 300,
    config: {
      shared_buffers: '512MB',
      autovacuum: false,
      max_wal_size: '4GB',
      ssl: true,
      ssl_cert_file: at('server.crt'),
      ssl_key_file: at('server.key'),
    },
  })
  let vault: OwnVault | undefined
  try {
    await fill(postgres, tools, options, at('copy.txt'))
    const { host, port } = postgres
    const upstream: Upstream = { host, port, user: DATABASE, password: 'of-the-benchmark', caFile: at('ca.crt') }
    await postgres.createUser(upstream.user, upstream.password)
    if (!options.fixedCredential) {
      vault = await startVault()
      upstream.vault = await lease(vault, postgres)
    }
    return new World(tools, upstream, postgres, folder, vault)
  } catch (error) {
    await vault?.stop()
    await postgres.stop()
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

async function lease(vault: OwnVault, postgres: OwnPostgres): Promise<NonNullable<Upstream['vault']>> {
  const mount = await mountDatabase(vault, postgres, { defaultTtl: HOUR_S, maxTtl: 24 * HOUR_S })
  const login = await appRole(vault, { policy: databasePolicy(mount) })
  return { settings: appRoleSettings(vault, login), path: mount.path }
}

/** pgbench's tables, and one of text for COPY that is also written to `copyFile`. */
async function fill(postgres: OwnPostgres, tools: Programs, options: WorldOptions, copyFile: string): Promise<void> {
  await postgres.createDatabase(DATABASE)
  const address = ['-h', postgres.host, '-p', String(postgres.port), '-U', postgres.superuser]
  const env = { PGPASSWORD: postgres.password, PGSSLMODE: 'disable' }
  await mustRun([tools.pgbench, ...address, '-i', '-q', '-s', String(options.scale), '--unlogged-tables', DATABASE], { env })
  const rows = (COPY_MEGABYTES * BYTES_PER_MB) / ROW_BYTES
  const text = `SELECT lpad(i::text, ${ROW_BYTES - 1}, 'x') AS line FROM generate_series(1, ${rows}) AS i`
  await postgres.sql(`CREATE UNLOGGED TABLE bench_copy AS ${text}`, DATABASE)
  await postgres.sql('GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO app', DATABASE)
  await postgres.sql('VACUUM (FREEZE, ANALYZE)', DATABASE)
  await postgres.sql('CHECKPOINT')
  await mustRun([tools.psql, ...address, '-X', '-q', '-o', copyFile, '-c', 'COPY bench_copy TO STDOUT', DATABASE], { env })
}

/** A copy of a binary: a rebuild meanwhile must not change what is measured. */
export function keepBinary(path: string, folder: string, name: string): string {
  const copy = join(folder, name)
  copyFileSync(path, copy)
  chmodSync(copy, 0o755)
  return copy
}
