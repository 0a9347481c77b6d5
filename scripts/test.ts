// Runs every test: unit tests on Bun and Deno, then end-to-end tests in two lanes, each with a PostgreSQL and a Vault of its own.
import { prepareDrivers } from '../test/kit/drivers.ts'
import { type OwnPostgres, startPostgres } from '../test/kit/postgres.ts'
import { type OwnVault, startVault } from '../test/kit/vault.ts'
import { buildBinary } from './lib/binary.ts'
import { run } from './lib/run.ts'
import { add, summary, type Tally, tally } from './lib/tally.ts'
import { endToEndTests, unitTests } from './lib/test_files.ts'
import { vaultServer } from './lib/vault.ts'

const ON_DENO = 'deno run -A src/main.ts'
const SMOKE = './test/e2e.smoke.test.ts'
const LONGEST_FILE_MS = 20 * 60_000
/** Most files wait for leases and timeouts, so two at a time hardly slow each other down. */
const LANES = [1, 2]

const filter = process.argv[2]
const total: Tally = { passed: 0, failed: 0, skipped: 0 }

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

/** Runs one command of tests, adds it up and shows its output when something failed. */
async function runTests(name: string, command: readonly string[], env: Record<string, string> = {}): Promise<void> {
  const { code, output, ms } = await run(command, { output: 'collect', env: { NO_COLOR: '1', ...env }, timeoutMs: LONGEST_FILE_MS })
  const result = tally(output, code)
  add(total, result)
  if (result.failed > 0) console.log(output.trimEnd())
  else for (const [line] of output.matchAll(/^SKIPPED: .*$/gm)) console.log(line)
  console.log(`${result.failed > 0 ? 'FAILED' : 'ok    '} ${name}: ${summary(result)} (${seconds(ms)})`)
}

/** Runs `task`; an error is one failure and is shown. */
async function attempt<T>(name: string, task: () => Promise<T>): Promise<T | undefined> {
  const started = performance.now()
  try {
    const result = await task()
    console.log(`ok     ${name} (${seconds(performance.now() - started)})`)
    return result
  } catch (error) {
    total.failed++
    console.log(`FAILED ${name}: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
}

const bunTest = (files: readonly string[]) => [process.execPath, 'test', '--timeout=120000', ...files]
const denoTest = (files: readonly string[]) => ['deno', 'test', '-A', '--no-check', ...files]

interface Job {
  name: string
  file: string
  env?: Record<string, string>
}

/** Runs jobs until none is left, one at a time, against servers that only this lane uses. */
async function lane(number: number, jobs: Job[], vaultBinary: string | undefined): Promise<void> {
  let postgres: OwnPostgres | undefined
  let vault: OwnVault | undefined
  try {
    postgres = await attempt(`PostgreSQL ${number} starts`, () => startPostgres())
    if (vaultBinary) vault = await attempt(`Vault ${number} starts`, () => startVault())
    const servers: Record<string, string> = {}
    if (postgres) servers.PGLEASE_TEST_POSTGRES = JSON.stringify(postgres.address)
    if (vault)
      servers.PGLEASE_TEST_VAULT = JSON.stringify({ address: vault.address, rootToken: vault.rootToken, unsealKey: vault.unsealKey })
    if (vaultBinary) servers.PGLEASE_TEST_VAULT_BINARY = vaultBinary
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift())
      await runTests(job.name, bunTest([job.file]), { ...servers, ...job.env })
  } finally {
    await vault?.stop()
    await postgres?.stop()
  }
}

async function endToEnd(files: readonly string[]): Promise<void> {
  const vaultBinary = await attempt('the Vault test server is there', vaultServer)
  // nothing is built while a test measures how long something takes
  if (files.some((file) => file.includes('driver'))) await attempt("the drivers' programs are there", prepareDrivers)
  const jobs: Job[] = files.map((file) => ({ name: file, file }))
  if (files.includes(SMOKE)) jobs.push({ name: `${SMOKE} on Deno`, file: SMOKE, env: { PGLEASE_UNDER_TEST: ON_DENO } })
  await Promise.all(LANES.map((number) => lane(number, jobs, vaultBinary)))
}

async function main(): Promise<void> {
  const files = endToEndTests().filter((file) => filter === undefined || file.includes(filter))
  if (files.length === 0) console.log(`no end-to-end test has ${filter} in its name`)
  await attempt('build', () => buildBinary())
  if (filter === undefined) {
    const units = unitTests()
    await runTests('unit tests on Bun', bunTest(units))
    await runTests('unit tests on Deno', denoTest(units))
  }
  if (files.length > 0) await endToEnd(files)
}

await attempt('all tests ran', main)
console.log(summary(total))
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0)
