// Runs lines of the acceptance list at their full length and writes the figures into docs/acceptance.md.
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type OwnPostgres, startPostgres } from '../test/kit/postgres.ts'
import { Scenario } from '../test/kit/scenario.ts'
import { type OwnVault, startVault } from '../test/kit/vault.ts'
import { type AcceptContext, type AcceptLine, figureText } from './lib/accept_line.ts'
import { LINE_NAMES, linesOf, loadLine } from './lib/accept_lines.ts'
import { type RunOf, verdict, writeRun } from './lib/accept_page.ts'
import { buildBinary } from './lib/binary.ts'

const HELP = `scripts/accept LINE...: runs lines of the acceptance list and writes their figures into docs/acceptance.md.

  A B             all lines of the list
  A3 A5           these
  --seed N        what a scenario leaves to chance comes from N (by chance)
  --dry           don't write docs/acceptance.md
  --list          the lines, and which of them are written

Exit status 1 when a figure is out of its bounds, a line failed or is not written.`

interface Servers {
  postgres: OwnPostgres
  vault: OwnVault
}

interface Plan {
  names: readonly string[]
  seed: number
  write: boolean
}

function parse(): Plan | 'help' | 'list' {
  const flag = { type: 'boolean', default: false } as const
  const options = { help: flag, list: flag, dry: flag, seed: { type: 'string' } } as const
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  if (values.help) return 'help'
  if (values.list) return 'list'
  const unknown = positionals.find((name) => linesOf(name).length === 0)
  if (unknown !== undefined) throw new Error(`there is no line ${unknown}`)
  const names = positionals.flatMap(linesOf)
  if (names.length === 0) throw new Error('name a line, or A for all of that list')
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
  if (!Number.isInteger(seed) || seed < 0) throw new Error('--seed takes a whole number')
  return { names, seed, write: !values.dry }
}

/** One PostgreSQL and one Vault for all lines that want them, found by `sharedPostgres` and `sharedVault` too. */
class SharedServers {
  #servers: Servers | undefined

  async get(): Promise<Servers> {
    if (this.#servers) return this.#servers
    console.log('starting PostgreSQL and Vault')
    const postgres = await startPostgres()
    try {
      const vault = await startVault()
      this.#servers = { postgres, vault }
      process.env.PGLEASE_TEST_POSTGRES = JSON.stringify(postgres.address)
      process.env.PGLEASE_TEST_VAULT = JSON.stringify({
        address: vault.address,
        rootToken: vault.rootToken,
        unsealKey: vault.unsealKey,
      })
      return this.#servers
    } catch (error) {
      await postgres.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    await this.#servers?.vault.stop()
    await this.#servers?.postgres.stop()
  }
}

function contextOf(line: AcceptLine, servers: Servers | undefined, scenario: Scenario, seed: number): AcceptContext {
  const given = <Name extends keyof Servers>(name: Name): Servers[Name] => {
    if (!servers) throw new Error(`${line.name} asked for no shared servers`)
    return servers[name]
  }
  return {
    get postgres() {
      return given('postgres')
    },
    get vault() {
      return given('vault')
    },
    scenario,
    seed,
    say: (text) => console.log(`${new Date().toISOString().slice(11, 19)} ${line.name}: ${text}`),
  }
}

async function runLine(line: AcceptLine, shared: SharedServers, seed: number): Promise<RunOf> {
  console.log(`\n${line.name}: ${line.title} (seed ${seed})`)
  const servers = line.servers === false ? undefined : await shared.get()
  const scenario = new Scenario()
  const started = performance.now()
  const passed = () => (performance.now() - started) / 1000
  try {
    const figures = await line.run(contextOf(line, servers, scenario, seed))
    return { line, seed, seconds: passed(), figures }
  } catch (error) {
    scenario.printLogs()
    return { line, seed, seconds: passed(), figures: [], failure: error instanceof Error ? error.message : String(error) }
  } finally {
    const late = await scenario.end()
    if (late) console.error(`after ${line.name}: ${late}`)
  }
}

/** A copy: a build meanwhile must not change what is tested. */
async function keepBinary(folder: string): Promise<void> {
  if (process.env.PGLEASE_UNDER_TEST) return
  const copy = join(folder, 'pglease')
  copyFileSync(await buildBinary(), copy)
  chmodSync(copy, 0o755)
  process.env.PGLEASE_UNDER_TEST = copy
}

async function runLines({ names, seed, write }: Plan): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'accept-'))
  const shared = new SharedServers()
  const results: string[] = []
  let good = true
  try {
    await keepBinary(folder)
    for (const name of names) {
      const line = await loadLine(name)
      if (!line) {
        results.push(`${name}: not written`)
        good = false
        continue
      }
      const run = await runLine(line, shared, seed)
      for (const figure of run.figures) console.log(`${figure.ok ? 'ok    ' : 'MISSED'} ${figureText(figure)}`)
      if (run.failure !== undefined) console.log(`FAILED ${name}: ${run.failure}`)
      if (write) await writeRun(run)
      results.push(`${name}: ${verdict(run)}`)
      good &&= run.failure === undefined && run.figures.every(({ ok }) => ok)
    }
  } finally {
    await shared.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(`\n${results.join('\n')}`)
  return good ? 0 : 1
}

async function list(): Promise<void> {
  for (const name of LINE_NAMES) console.log(`${name}: ${(await loadLine(name))?.title ?? 'not written'}`)
}

function parsed(): ReturnType<typeof parse> | undefined {
  try {
    return parse()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return undefined
  }
}

async function main(): Promise<number> {
  const plan = parsed()
  if (plan === undefined) return 64
  if (plan !== 'help' && plan !== 'list') return runLines(plan)
  if (plan === 'help') console.log(HELP)
  else await list()
  return 0
}

process.exit(await main())
