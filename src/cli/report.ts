// The text of what `check` and a refused start tell.
import { effectiveLines } from '../settings/effective.ts'
import type { LoadedSettings, Mistake } from '../settings/settings.ts'
import type { OnlineStep } from './context.ts'

export function mistakesText(mistakes: readonly Mistake[]): string {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`
  const lines = mistakes.map(({ setting, source, problem, fix }) => {
    const from = source === '' || source === setting ? '' : ` (${source})`
    return `  ${setting}${from} ${problem}. ${fix}\n`
  })
  return `pglease: ${count} in the configuration\n${lines.join('')}`
}

export function warningsText(warnings: readonly string[]): string {
  return warnings.map((warning) => `warning: ${warning}\n`).join('')
}

/** Three columns: setting, value, source. Line breaks in a value are shown as \n. */
export function effectiveText(loaded: LoadedSettings): string {
  const lines = effectiveLines(loaded).map((line) => ({ ...line, value: line.value === '' ? '-' : line.value.replaceAll('\n', '\\n') }))
  const pathWidth = Math.max(...lines.map((line) => line.path.length))
  const valueWidth = Math.min(48, Math.max(...lines.map((line) => line.value.length)))
  return lines.map((line) => `${line.path.padEnd(pathWidth)}  ${line.value.padEnd(valueWidth)}  ${line.source}\n`).join('')
}

/** One line per step; what failed is named again in the last line. */
export function stepsText(steps: readonly OnlineStep[]): string {
  const lines = steps.map(({ name, ok, ms, detail }) => {
    const more = detail === undefined || detail === '' ? '' : `: ${detail}`
    return `${ok ? 'ok    ' : 'FAILED'}  ${name} (${Math.round(ms)} ms)${more}\n`
  })
  const failed = steps.find((step) => !step.ok)
  return `${lines.join('')}${failed === undefined ? 'all steps passed\n' : `the step that failed: ${failed.name}\n`}`
}
