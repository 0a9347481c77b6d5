// Keeps the benchmark's pairs as they come, so that an interrupted run is not lost, and writes docs/performance.md.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { BenchCase } from './bench_cases.ts'
import { CASES } from './bench_cases.ts'
import { type Names, type Pair, table } from './bench_table.ts'
import { mustRun, repository } from './run.ts'

const KEPT = join(repository, 'dist/bench.json')
const PAGE = join(repository, 'docs/performance.md')
const BEGIN = '<!-- figures: written by scripts/bench --write -->'
const END = '<!-- end of figures -->'

/** What must be equal for two results to stand in one table. */
export interface Conditions {
  commit: string
  machine: string
  seconds: number
  credential: string
  names: Names
}

interface Kept {
  conditions: Conditions
  date: string
  cases: Record<string, Pair[]>
}

export async function conditions(seconds: number, fixedCredential: boolean, names: Names): Promise<Conditions> {
  const commit = await mustRun(['git', 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'])
  const processors = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return {
    commit: commit.trim(),
    machine: `${processors.length} x ${processors[0]?.model.trim() || 'unknown processor'}, ${memory} GB, Linux ${release()}`,
    seconds,
    credential: fixedCredential ? 'a password from the configuration' : "Vault's lease",
    names,
  }
}

export class Results {
  readonly #kept: Kept

  /** Pairs kept by an earlier run under the same conditions are taken over with `resume`. */
  constructor(now: Conditions, resume: boolean) {
    const fresh: Kept = { conditions: now, date: new Date().toISOString(), cases: {} }
    const earlier = resume && existsSync(KEPT) ? (JSON.parse(readFileSync(KEPT, 'utf8')) as Kept) : undefined
    this.#kept = earlier && JSON.stringify(earlier.conditions) === JSON.stringify(now) ? earlier : fresh
  }

  pairs(one: BenchCase): readonly Pair[] {
    return this.#kept.cases[one.name] ?? []
  }

  add(one: BenchCase, pair: Pair): void {
    this.#kept.cases[one.name] = [...this.pairs(one), pair]
    mkdirSync(join(repository, 'dist'), { recursive: true })
    writeFileSync(KEPT, JSON.stringify(this.#kept))
  }

  measured(): { one: BenchCase; pairs: readonly Pair[] }[] {
    return CASES.map((one) => ({ one, pairs: this.pairs(one) })).filter(({ pairs }) => pairs.length > 0)
  }

  table(): string {
    return table(this.measured(), this.#kept.conditions.names)
  }

  /** Puts the table, with its date, commit and machine, in the place of the last one in docs/performance.md. */
  write(): void {
    const { commit, machine, seconds, credential } = this.#kept.conditions
    const head = `${this.#kept.date.slice(0, 10)}, commit ${commit}; ${machine}; runs of ${seconds} s; credential: ${credential}.`
    const page = readFileSync(PAGE, 'utf8')
    const [before, rest] = page.split(BEGIN)
    const after = rest?.split(END)[1]
    if (before === undefined || after === undefined) throw new Error(`${PAGE} lacks the lines ${BEGIN} and ${END}`)
    writeFileSync(PAGE, `${before}${BEGIN}\n${head}\n\n${this.table()}\n${END}${after}`)
  }
}
