// Loads settings from texts instead of the machine.
import { type LoadInput, type LoadResult, load } from '../../src/settings/load.ts'
import type { LoadedSettings, Mistake } from '../../src/settings/settings.ts'

export interface Given {
  readonly yaml?: string
  readonly env?: Readonly<Record<string, string>>
  readonly flags?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
}

function inputOf(given: Given): LoadInput {
  const files: Record<string, string> = { ...given.files }
  const flags = new Map(Object.entries(given.flags ?? {}))
  if (given.yaml !== undefined) {
    files['config.yaml'] = given.yaml
    flags.set('config', 'config.yaml')
  }
  const readFile = (path: string) => {
    const text = files[path]
    if (text === undefined) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' })
    return text
  }
  return { env: given.env ?? {}, flags, readFile }
}

export const loadFrom = (given: Given): LoadResult => load(inputOf(given))

/** The settings, or a failure that shows the mistakes. */
export function good(given: Given): LoadedSettings {
  const result = loadFrom(given)
  if ('mistakes' in result) throw new Error(JSON.stringify(result.mistakes, undefined, 1))
  return result
}

/** The mistakes, or a failure when there are none. */
export function bad(given: Given): readonly Mistake[] {
  const result = loadFrom(given)
  if ('mistakes' in result) return result.mistakes
  throw new Error('loaded without a mistake')
}

/** `setting | source | problem | fix` of each mistake. */
export const lines = (mistakes: readonly Mistake[]): readonly string[] =>
  mistakes.map(({ setting, source, problem, fix }) => `${setting} | ${source} | ${problem} | ${fix}`)

export const ONE = 'databases:\n  app: { host: db, user: me, password: pw }\n'
