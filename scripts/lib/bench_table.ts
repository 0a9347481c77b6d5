// Turns the benchmark's pairs into medians, spreads and a table, and says which limit is kept.
import type { BenchCase, Figure } from './bench_cases.ts'
import type { Sample } from './bench_load.ts'

/** One round: the two that are compared, and PostgreSQL without a proxy where that was measured. */
export interface Pair {
  direct?: Sample
  /** What is compared with: pgbouncer, or another pglease. */
  base: Sample
  tested: Sample
}

export interface Spread {
  median: number
  least: number
  most: number
}

export interface Comparison {
  /** Processor time per unit, tested/base. */
  cpu: Spread
  /** Units per second, tested/base. */
  rate: Spread
  /** MB. */
  resident: Spread
}

export interface Names {
  base: string
  tested: string
}

/** The middle value (the mean of the two middle ones of an even number), the least and the most. Throws for none. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new Error('a spread of no values')
  const sorted = values.toSorted((one, other) => one - other)
  const at = (index: number) => sorted[index] ?? Number.NaN
  const middle = Math.floor(sorted.length / 2)
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2
  return { median, least: at(0), most: at(sorted.length - 1) }
}

const cpuPerUnit = (sample: Sample) => sample.cpuSeconds / sample.units

/** Ratios are made pair by pair: what changes on the machine between rounds meets both. */
export function compare(pairs: readonly Pair[]): Comparison {
  return {
    cpu: spread(pairs.map(({ base, tested }) => cpuPerUnit(tested) / cpuPerUnit(base))),
    rate: spread(pairs.map(({ base, tested }) => tested.rate / base.rate)),
    resident: spread(pairs.map(({ tested }) => tested.memory.resident)),
  }
}

export type Verdict = 'target met' | 'within' | 'MISSED' | '-'

/** The case's limit against the median. */
export function verdict({ limit }: BenchCase, comparison: Comparison): Verdict {
  if (!limit) return '-'
  const { median } = comparison[limit.figure]
  const keeps = (asked: number) => (limit.figure === 'rate' ? median >= asked : median <= asked)
  if (!keeps(limit.bound)) return 'MISSED'
  return limit.target === undefined || keeps(limit.target) ? 'target met' : 'within'
}

const FIGURES: Record<Figure, string> = { cpu: 'CPU ratio', rate: 'rate ratio', resident: 'resident MB' }

function limitText({ limit }: BenchCase): string {
  if (!limit) return '-'
  const bound = `${FIGURES[limit.figure]} ${limit.figure === 'rate' ? '≥' : '≤'} ${limit.bound}`
  return limit.target === undefined ? bound : `${bound}, target ${limit.target}`
}

const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2))
const ratioText = ({ median, least, most }: Spread) => `${median.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`

/** Microseconds per transaction, milliseconds per MB. */
const cpuText = (sample: Sample, one: BenchCase) => digits(cpuPerUnit(sample) * (one.kind === 'copy' ? 1e3 : 1e6))

const memoryText = ({ memory: { resident, own } }: Sample) => `${digits(resident)} MB, ${digits(own)} own`

function medianSample(samples: readonly Sample[]): Sample {
  const middle = (figure: (sample: Sample) => number) => spread(samples.map(figure)).median
  const memory = { resident: middle((one) => one.memory.resident), own: middle((one) => one.memory.own) }
  return { units: 1, rate: middle((one) => one.rate), cpuSeconds: middle(cpuPerUnit), memory }
}

/** One line while the benchmark runs. */
export function progressLine(one: BenchCase, number: number, count: number, pair: Pair, names: Names): string {
  const say = (name: string, sample: Sample) =>
    `${name} ${digits(sample.rate)}/s ${cpuText(sample, one)} ${one.kind === 'copy' ? 'ms' : 'us'}`
  const direct = pair.direct ? `direct ${digits(pair.direct.rate)}/s  ` : ''
  const { cpu, rate } = compare([pair])
  const ratios = `cpu ${cpu.median.toFixed(2)} rate ${rate.median.toFixed(2)}`
  const who = `${say(names.base, pair.base)}  ${say(names.tested, pair.tested)}`
  return `${one.name} ${number}/${count}  ${direct}${who}  ${ratios}  resident ${memoryText(pair.tested)}`
}

/** What a case came to, on one line. */
export function resultLine(one: BenchCase, pairs: readonly Pair[]): string {
  const { cpu, rate, resident } = compare(pairs)
  const figures = `CPU ratio ${ratioText(cpu)}, rate ratio ${ratioText(rate)}, resident ${digits(resident.median)} MB`
  return `${one.name}: ${figures}; asked: ${limitText(one)}: ${verdict(one, compare(pairs))}`
}

/** A Markdown table of the cases and their pairs. */
export function table(results: readonly { one: BenchCase; pairs: readonly Pair[] }[], names: Names): string {
  const head = ['case', 'pairs', 'direct /s', `${names.base} /s`, `${names.tested} /s`, 'rate ratio']
  head.push(
    `CPU ${names.base}`,
    `CPU ${names.tested}`,
    'CPU ratio',
    `resident ${names.base}`,
    `resident ${names.tested}`,
    'asked',
    'result',
  )
  const rows = results.map(({ one, pairs }) => {
    const base = medianSample(pairs.map((pair) => pair.base))
    const tested = medianSample(pairs.map((pair) => pair.tested))
    const direct = pairs.flatMap((pair) => (pair.direct ? [pair.direct.rate] : []))
    const comparison = compare(pairs)
    const unit = one.kind === 'copy' ? 'ms' : 'us'
    return [
      one.name,
      String(pairs.length),
      direct.length > 0 ? digits(spread(direct).median) : '-',
      digits(base.rate),
      digits(tested.rate),
      ratioText(comparison.rate),
      `${cpuText(base, one)} ${unit}`,
      `${cpuText(tested, one)} ${unit}`,
      ratioText(comparison.cpu),
      memoryText(base),
      memoryText(tested),
      limitText(one),
      verdict(one, comparison),
    ]
  })
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
