// The drivers of the matrix: what each needs, how its program in test/drivers is installed and built once, run, and read.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { cached } from '../../scripts/lib/cache.ts'
import { mustRun, type RunResult, repository, run } from '../../scripts/lib/run.ts'
import { findTool, installCommand } from '../../scripts/lib/tools.ts'

export type DriverMode = 'transaction' | 'session'

export interface Driver {
  name: string
  /** Folder below test/drivers. */
  folder: string
  /** Programs that must be on PATH. */
  tools: readonly string[]
  /** Fills the empty folder `target` from `source`. Without it there is nothing to install or build. */
  build?(source: string, target: string): Promise<void>
  /** The command that runs the cases; the mode is appended. */
  command(source: string, target: string): readonly string[]
  /** The command of its sessions that keep statements while the schema changes; seconds and sessions are appended. */
  plans?(source: string, target: string): readonly string[]
  env?(target: string): Record<string, string>
}

/** Where the program connects. */
interface DriverTarget {
  host: string
  port: number
  database: string
  user: string
  password: string
}

interface DriverCase {
  name: string
  ok: boolean
  detail: string
}

export interface DriverRun {
  /** Version of the driver, and of the server as it told the driver. */
  version: string
  server: string
  cases: readonly DriverCase[]
  code: number
  output: string
}

const BUILD_MS = 10 * 60_000
const RUN_MS = 3 * 60_000
const PGJDBC = '42.7.14'
// a build must not take the processors from the servers that are under test
const gently = (command: readonly string[]) => ['nice', '-n', '10', ...command]

async function build(command: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<void> {
  await mustRun(gently(command), { cwd, env, timeoutMs: BUILD_MS })
}

const python = (name: string, program: string): Driver => ({
  name,
  folder: 'python',
  tools: ['python3'],
  build: (source, target) =>
    build(['python3', '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', target, '-r', 'requirements.txt'], source),
  command: (source) => ['python3', join(source, program)],
  env: (target) => ({ PYTHONPATH: target, PYTHONDONTWRITEBYTECODE: '1' }),
})

const javascript = (name: string, program: string): Driver => ({
  name,
  folder: 'javascript',
  tools: ['bun'],
  command: (source) => ['bun', join(source, program)],
})

const shell = (name: string, program: string): Driver => ({
  name,
  folder: 'shell',
  tools: ['psql', 'pgbench'],
  command: (source) => ['sh', join(source, program)],
})

const java = (target: string, main: string) => ['java', '-cp', `${target}:${join(target, `postgresql-${PGJDBC}.jar`)}`, main]

export const DRIVERS: readonly Driver[] = [
  { ...python('psycopg 3', 'psycopg_cases.py'), plans: (source) => ['python3', join(source, 'psycopg_plans.py')] },
  python('asyncpg', 'asyncpg_cases.py'),
  {
    name: 'pgx',
    folder: 'go',
    tools: ['go'],
    build: (source, target) => build(['go', 'build', '-mod=readonly', '-o', join(target, 'cases'), '.'], source),
    command: (_source, target) => [join(target, 'cases')],
    plans: (_source, target) => [join(target, 'cases'), 'plans'],
  },
  {
    name: 'pgJDBC',
    folder: 'java',
    tools: ['javac', 'java', 'mvn'],
    build: async (source, target) => {
      const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
      const artifact = `-Dartifact=org.postgresql:postgresql:${PGJDBC}`
      await build(['mvn', '-q', '-B', copy, artifact, `-DoutputDirectory=${target}`], target)
      await build(['javac', '-cp', join(target, `postgresql-${PGJDBC}.jar`), '-d', target, 'Cases.java', 'Plans.java'], source)
    },
    command: (_source, target) => java(target, 'Cases'),
    plans: (_source, target) => java(target, 'Plans'),
  },
  {
    name: 'tokio-postgres',
    folder: 'rust',
    tools: ['cargo'],
    build: (source, target) => build(['cargo', 'build', '--quiet', '--release', '--locked'], source, { CARGO_TARGET_DIR: target }),
    command: (_source, target) => [join(target, 'release/drivers-tokio-postgres')],
  },
  javascript('pg', 'pg_cases.ts'),
  javascript('postgres', 'postgres_cases.ts'),
  shell('psql', 'psql_cases.sh'),
  shell('pgbench', 'pgbench_cases.sh'),
]

/** Debian's packages of the toolchains. */
const PACKAGES: Record<string, string> = {
  python3: 'python3-pip',
  go: 'golang-go',
  cargo: 'cargo',
  java: 'default-jdk',
  javac: 'default-jdk',
  mvn: 'maven',
}

/** rustup puts a cargo on PATH that has no toolchain behind it in another home directory. */
const runs = (tool: string): boolean => tool !== 'cargo' || spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0

/** Why this driver can't be run on this machine, with the command that changes it. */
export function missingFor(driver: Driver): string | undefined {
  const missing = driver.tools.find((tool) => !findTool(tool) || !runs(tool))
  if (missing === undefined) return undefined
  const name = PACKAGES[missing]
  return `${driver.name} needs ${missing}: ${name === undefined ? installCommand(missing) : `apt-get install -y ${name}`}`
}

function filesBelow(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

/** Names what was built by all that it was built from. */
function key(source: string): string {
  const hash = createHash('sha256')
  for (const file of [...filesBelow(source), import.meta.filename])
    hash.update(relative(repository, file)).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex').slice(0, 16)
}

/** Installs and builds once; answers the folder of the result. */
async function built({ folder, build }: Driver, source: string): Promise<string> {
  if (!build) return ''
  return cached(`drivers/${folder}`, key(source), async (path) => {
    mkdirSync(path)
    await build(source, path)
  })
}

/** Builds what is not built yet, outside of a test's time. A build that fails shows in the test, which tries it again. */
export async function prepareDrivers(): Promise<void> {
  for (const driver of DRIVERS)
    if (!missingFor(driver)) await built(driver, join(repository, 'test/drivers', driver.folder)).catch(() => undefined)
}

/** What a program printed: its `version` line and a line per case. */
export function readRun({ code, output }: Pick<RunResult, 'code' | 'output'>): DriverRun {
  const [, version = 'unknown', server = 'unknown'] = /^version (\S+) server (\S+)/m.exec(output) ?? []
  const cases = [...output.matchAll(/^(ok|FAIL) (\S+) ?(.*)$/gm)].map(([, verdict, name = '', detail = '']) => ({
    name,
    ok: verdict === 'ok',
    detail,
  }))
  if (code !== 0 && cases.every(({ ok }) => ok))
    cases.push({ name: 'program', ok: false, detail: `ended with ${code}: ${output.slice(-300)}` })
  return { version, server, cases, code, output }
}

const environment = (driver: Driver, target: string, to: DriverTarget) => ({
  PGHOST: to.host,
  PGPORT: String(to.port),
  PGDATABASE: to.database,
  PGUSER: to.user,
  PGPASSWORD: to.password,
  PGSSLMODE: 'disable',
  ...driver.env?.(target),
})

/** Runs the driver's cases. Its program is installed and built when it wasn't before. */
export async function runDriver(driver: Driver, to: DriverTarget, mode: DriverMode): Promise<DriverRun> {
  const source = join(repository, 'test/drivers', driver.folder)
  const target = await built(driver, source)
  const env = environment(driver, target, to)
  return readRun(await run([...driver.command(source, target), mode], { env, output: 'collect', timeoutMs: RUN_MS }))
}

/** What a driver's sessions saw while the schema changed. */
export interface PlansTally {
  rows: number
  /** Sessions that began meanwhile, and those of them that did all in one transaction. */
  fresh: number
  inBlocks: number
  /** 0A000, of a fresh session without a change since it prepared, and of one that was told already, without a change since. */
  refused: number
  refusedFresh: number
  refusedAgain: number
  /** Rows that were not decoded as what they are, and sessions that failed otherwise: the first five. */
  wrong: string[]
  failed: string[]
}

/** Runs `sessions` sessions of a driver that has `plans` for so long, and new ones all the time. */
export async function runPlans(driver: Driver, to: DriverTarget, seconds: number, sessions: number): Promise<PlansTally> {
  const source = join(repository, 'test/drivers', driver.folder)
  const target = await built(driver, source)
  const command = driver.plans?.(source, target) ?? []
  const env = environment(driver, target, to)
  const timeoutMs = seconds * 1000 + RUN_MS
  const { code, output } = await run([...command, String(seconds), String(sessions)], { env, output: 'collect', timeoutMs })
  const tally = output.split('\n').find((line) => line.startsWith('{'))
  if (code !== 0 || tally === undefined) throw new Error(`${driver.name} ended with ${code}: ${output.slice(-2000)}`)
  return JSON.parse(tally) as PlansTally
}
