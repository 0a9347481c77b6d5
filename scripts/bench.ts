// Measures pglease beside pgbouncer and PostgreSQL alone, in interleaved pairs; docs/performance.md explains the figures.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type BenchCase, CASES, casesNamed, type PgbenchCase } from './lib/bench_cases.ts'
import { runCopy, runIdle, runPgbench, type Sample, type Way } from './lib/bench_load.ts'
import { conditions, Results } from './lib/bench_results.ts'
import { compare, type Pair, progressLine, resultLine, verdict } from './lib/bench_table.ts'
import { keepBinary, type Subject, startWorld, type World } from './lib/bench_world.ts'
import { buildBinary } from './lib/binary.ts'

const HELP = `scripts/bench: pglease beside pgbouncer and PostgreSQL alone, in interleaved pairs.

  --quick           3 pairs of 3 s, 2 s warm-up; a first look; limits are printed, not enforced
  --only NAME       only cases whose name begins with NAME (repeatable): ${CASES.map((one) => one.name).join(' ')}
  --pairs N         pairs per case (7)
  --seconds N       length of each pgbench run (10)
  --warm-up N       seconds of warm-up per case and proxy (10)
  --binary PATH     the pglease to measure: a file, or a command line with absolute paths (dist/pglease, built first)
  --against PATH    compare with this pglease in place of pgbouncer
  --bare            measure a relay without a protocol in place of pglease: the least that this runtime and its sockets cost
  --fresh           start the proxies anew (and warm them up) for every pair: shows what differs from start to start
  --fixed           a password from the configuration in place of Vault's lease
  --no-direct       leave PostgreSQL alone out
  --resume          go on with the pairs of an interrupted run of the same commit and options (dist/bench.json)
  --write           put the table into docs/performance.md

Exit status 1 when a limit is missed in a run against pgbouncer that is not quick. A full run takes some 45 minutes.`

interface Plan {
  cases: BenchCase[]
  pairs: number
  seconds: number
  warmUp: number
  direct: boolean
  fresh: boolean
  base: Subject
  tested: Subject
}

function parse() {
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    options: {
      help: flag,
      quick: flag,
      fresh: flag,
      fixed: flag,
      bare: flag,
      resume: flag,
      write: flag,
      'no-direct': flag,
      only: { type: 'string', multiple: true, default: [] },
      pairs: { type: 'string' },
      seconds: { type: 'string' },
      'warm-up': { type: 'string' },
      binary: { type: 'string' },
      against: { type: 'string' },
    },
  })
  return values
}

function count(text: string | undefined, usual: number): number {
  const value = text === undefined ? usual : Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${text} is not a number of 1 or more`)
  return value
}

type Options = ReturnType<typeof parse>

/** A file is copied first: a build meanwhile must not change what is measured. */
async function subject(name: string, given: string | undefined, folder: string): Promise<Subject> {
  const command = given ?? (await buildBinary())
  const isFile = !command.includes(' ') && !['pgbouncer', 'bare'].includes(command)
  return { name, command: isFile ? keepBinary(command, folder, name) : command }
}

async function plan(options: Options, folder: string): Promise<Plan> {
  const { quick, against } = options
  return {
    cases: casesNamed(options.only),
    pairs: count(options.pairs, quick ? 3 : 7),
    seconds: count(options.seconds, quick ? 3 : 10),
    warmUp: count(options['warm-up'], quick ? 2 : 10),
    direct: !options['no-direct'] && against === undefined,
    fresh: options.fresh,
    base: against === undefined ? { name: 'pgbouncer', command: 'pgbouncer' } : await subject('against', against, folder),
    tested: options.bare ? await subject('bare relay', 'bare', folder) : await subject('pglease', options.binary, folder),
  }
}

const load = (world: World, way: Way, one: BenchCase, { seconds }: Plan): Promise<Sample> => {
  if (one.kind === 'pgbench') return runPgbench(world, way, one, seconds)
  if (one.kind === 'copy') return runCopy(world, way, one, seconds)
  if (way === 'direct') throw new Error('idle clients are counted at a proxy')
  return runIdle(way, one.clients)
}

/** Idle clients come after a load: what it left behind stays resident. */
async function warmUp(world: World, one: BenchCase, what: Plan): Promise<void> {
  const before: PgbenchCase = { kind: 'pgbench', name: 'warm-up', protocol: 'simple', clients: 64 }
  for (const subject of [what.base, what.tested]) {
    const proxy = await world.proxy(subject, one.kind === 'pgbench' && one.tls === true)
    if (one.kind === 'copy') await runCopy(world, proxy, one, what.warmUp)
    else await runPgbench(world, proxy, one.kind === 'pgbench' ? one : before, what.warmUp)
  }
}

async function measurePair(world: World, one: BenchCase, what: Plan, number: number): Promise<Pair> {
  const tls = one.kind === 'pgbench' && one.tls === true
  const [base, tested] = [await world.proxy(what.base, tls), await world.proxy(what.tested, tls)]
  const direct = what.direct && one.kind !== 'idle' ? { direct: await load(world, 'direct', one, what) } : {}
  // who goes first changes, so that neither always follows the other
  const order = number % 2 === 0 ? [base, tested] : [tested, base]
  const samples = new Map<Way, Sample>()
  for (const way of order) samples.set(way, await load(world, way, one, what))
  const of = (way: Way) => samples.get(way) as Sample
  return { ...direct, base: of(base), tested: of(tested) }
}

async function measureCase(world: World, one: BenchCase, what: Plan, results: Results): Promise<void> {
  // one reading is enough: memory with so many clients hardly differs, and the next would be after more logins
  const pairs = one.kind === 'idle' ? 1 : what.pairs
  const names = { base: what.base.name, tested: what.tested.name }
  const done = results.pairs(one).length
  if (done >= pairs) return
  await warmUp(world, one, what)
  for (let number = done; number < pairs; number++) {
    if (what.fresh && number > done) {
      await world.stopProxies()
      await warmUp(world, one, what)
    }
    const pair = await measurePair(world, one, what, number)
    results.add(one, pair)
    console.log(progressLine(one, number + 1, pairs, pair, names))
  }
  console.log(resultLine(one, results.pairs(one)))
}

async function bench(options: Options, folder: string): Promise<number> {
  const what = await plan(options, folder)
  const now = await conditions(what.seconds, options.fixed, { base: what.base.name, tested: what.tested.name })
  const results = new Results(now, options.resume)
  console.log(`${now.commit}; ${now.machine}; credential: ${now.credential}; ${what.pairs} pairs of ${what.seconds} s`)
  const world = await startWorld({ scale: 10, fixedCredential: options.fixed })
  try {
    for (const one of what.cases) await measureCase(world, one, what, results)
  } finally {
    await world.stop()
  }
  console.log(`\n${results.table()}`)
  if (options.write) results.write()
  if (options.quick || options.bare || options.against !== undefined) return 0
  const missed = results.measured().filter(({ one, pairs }) => verdict(one, compare(pairs)) === 'MISSED')
  return missed.length > 0 ? 1 : 0
}

const options = parse()
if (options.help) {
  console.log(HELP)
} else {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    process.exitCode = await bench(options, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
