// Keeps docs/acceptance.md: a section per line with its newest figures, and one sentence for each of the two runs before.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { type AcceptLine, type Figure, figureText } from './accept_line.ts'
import { LINE_NAMES } from './accept_lines.ts'
import { mustRun, repository } from './run.ts'

const PAGE = join(repository, 'docs/acceptance.md')
const EARLIER_RUNS = 2
const INTRODUCTION = `# Acceptance

What was measured when the lines of the acceptance list ran, each at its full length, against real servers.
\`scripts/accept A3\` runs one line and \`scripts/accept A\` all of them; each run writes its figures here.
A section shows the newest run and, in a line each, the ${EARLIER_RUNS} runs before it.
`

export interface RunOf {
  line: AcceptLine
  seed: number
  seconds: number
  figures: readonly Figure[]
  /** Why the line ended before its figures were complete. */
  failure?: string
}

/** Date, commit and machine. */
async function circumstances(): Promise<string> {
  const commit = (await mustRun(['git', 'describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'])).trim()
  const processors = cpus()
  const model = processors[0]?.model.trim() || 'unknown processor'
  return `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${commit}; ${processors.length} x ${model}, Linux ${release()}`
}

const cell = (text: string | number) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')

function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ name, value, unit, bound, ok }) => {
    const measured = unit === undefined ? value : `${value} ${unit}`
    return `| ${cell(name)} | ${cell(measured)} | ${cell(bound)} | ${bound === '' ? '' : ok ? 'ok' : '**missed**'} |`
  })
  return ['| figure | measured | bound | |', '|---|---|---|---|', ...rows].join('\n')
}

export function verdict({ figures, failure }: RunOf): string {
  if (failure !== undefined) return `failed: ${failure.split('\n')[0]}`
  const bounded = figures.filter(({ bound }) => bound !== '')
  const missed = bounded.filter(({ ok }) => !ok)
  return missed.length === 0 ? `all ${bounded.length} figures met` : `missed: ${missed.map(figureText).join('; ')}`
}

/** The section of a run; `before` is the line's section so far. */
export function section(run: RunOf, where: string, before = ''): string {
  const { line, seed, seconds, figures, failure } = run
  const said = `${where}; seed ${seed}, ${Math.round(seconds)} s: ${verdict(run)}`
  const last = /^Newest run: (.*)$/m.exec(before)?.[1]
  const older = [...before.matchAll(/^- (.*)$/gm)].map(([, text]) => text ?? '')
  const earlier = (last === undefined ? older : [last, ...older]).slice(0, EARLIER_RUNS)
  const parts = [`## ${line.name}`, line.title, `Newest run: ${said}`]
  if (figures.length > 0) parts.push(table(figures))
  if (failure !== undefined) parts.push(`\`\`\`\n${failure.trim()}\n\`\`\``)
  if (earlier.length > 0) parts.push(`Earlier runs:\n\n${earlier.map((text) => `- ${text}`).join('\n')}`)
  return `${parts.join('\n\n')}\n`
}

/** `page` with the section of `name` replaced or put in its place among the others. */
export function withSection(page: string, name: string, text: string): string {
  const sections = new Map<string, string>()
  for (const part of page.split(/^(?=## )/m)) {
    const found = /^## ([A-Z]\d+)$/m.exec(part)?.[1]
    if (found !== undefined) sections.set(found, part.trimEnd())
  }
  sections.set(name, text.trimEnd())
  const inOrder = LINE_NAMES.map((one) => sections.get(one)).filter((one) => one !== undefined)
  return `${[INTRODUCTION.trimEnd(), ...inOrder].join('\n\n')}\n`
}

/** Writes the figures of `run` into docs/acceptance.md. */
export async function writeRun(run: RunOf): Promise<void> {
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : ''
  const before = page.split(/^(?=## )/m).find((part) => part.startsWith(`## ${run.line.name}\n`))
  writeFileSync(PAGE, withSection(page, run.line.name, section(run, await circumstances(), before)))
}
