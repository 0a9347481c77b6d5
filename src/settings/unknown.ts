// Reports names that are no settings: refused ones with the reason, misspelt ones with what was probably meant.
import { GLOBALS, PER_DATABASE, rowsOf } from './declarations.ts'
import { type Findings, pathOf } from './entry.ts'
import { whyRefused } from './refused.ts'
import type { Scope } from './scope.ts'
import { suggest } from './suggest.ts'

/** Names that may stand at the top of a file, under a database or under a user. */
export function knownNames(scope: Scope | undefined): readonly string[] {
  const names = [...rowsOf(scope).keys()]
  return scope === undefined ? [...names, 'databases', 'users'] : names
}

function unknownProblem(scope: Scope | undefined, name: string, spell: (name: string) => string): readonly [string, string] {
  const refused = whyRefused(name)
  if (refused !== undefined) return [refused, 'Remove it.']
  if (scope?.kind !== 'databases' && PER_DATABASE.has(name)) return ['belongs to a database', `Move it under databases.<name>.${name}.`]
  if (scope !== undefined && GLOBALS.has(name)) return ['belongs to the whole process', `Move ${name} to the top of the file.`]
  const meant = suggest(name, knownNames(scope))
  if ((meant === 'databases' || meant === 'users') && spell(meant) !== meant) {
    return ['is not a setting', `Write ${meant}: into the file that --config or PGLEASE_CONFIG names.`]
  }
  return ['is not a setting', meant === undefined ? 'Remove it; docs/settings.md lists all settings.' : `Did you mean ${spell(meant)}?`]
}

/** One mistake about `name`; `spell` shows a suggestion as its source would write it (PGLEASE_X, --x). */
export function reportUnknown(
  findings: Findings,
  scope: Scope | undefined,
  name: string,
  source: string,
  spell: (name: string) => string = (known) => known,
): void {
  // A name that could be no setting may be a misplaced value: its place is told, the text is not.
  const setting = /^[A-Za-z0-9_.$-]{1,64}$/.test(name) ? pathOf(scope, name) : scope === undefined ? 'config' : pathOf(scope, '')
  const [problem, fix] = unknownProblem(scope, name, spell)
  findings.mistake(setting, source, problem, fix)
}
