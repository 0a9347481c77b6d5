// Reports names that are no settings: refused ones with the reason, misspelt ones with what was probably meant.
import { GLOBALS, PER_DATABASE } from './declarations.ts'
import { type Findings, pathOf } from './entry.ts'
import { whyRefused } from './refused.ts'
import { suggest } from './suggest.ts'

/** Names that may stand at the top of a file or under a database. */
export function knownNames(database: string | undefined): readonly string[] {
  return database === undefined ? [...GLOBALS.keys(), 'databases'] : [...PER_DATABASE.keys()]
}

function unknownProblem(database: string | undefined, name: string, spell: (name: string) => string): readonly [string, string] {
  const refused = whyRefused(name)
  if (refused !== undefined) return [refused, 'Remove it.']
  if (database === undefined && PER_DATABASE.has(name)) return ['belongs to a database', `Move it under databases.<name>.${name}.`]
  if (database !== undefined && GLOBALS.has(name)) return ['belongs to the whole process', `Move ${name} to the top of the file.`]
  const meant = suggest(name, knownNames(database))
  return ['is not a setting', meant === undefined ? 'Remove it; docs/settings.md lists all settings.' : `Did you mean ${spell(meant)}?`]
}

/** One mistake about `name`; `spell` shows a suggestion as its source would write it (PGLEASE_X, --x). */
export function reportUnknown(
  findings: Findings,
  database: string | undefined,
  name: string,
  source: string,
  spell: (name: string) => string = (known) => known,
): void {
  // A name that could be no setting may be a misplaced value: its place is told, the text is not.
  const setting = /^[A-Za-z0-9_.$-]{1,64}$/.test(name) ? pathOf(database, name) : database === undefined ? 'config' : pathOf(database, '')
  const [problem, fix] = unknownProblem(database, name, spell)
  findings.mistake(setting, source, problem, fix)
}
