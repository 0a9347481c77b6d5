// Lays out the effective settings with their sources, for `check` and the log; secrets are never shown.
import { GLOBALS, PER_DATABASE, PER_USER } from './declarations.ts'
import { pathOf } from './entry.ts'
import { BUILT_IN } from './resolve.ts'
import { databaseScope, userScope } from './scope.ts'
import type { LoadedSettings } from './settings.ts'
import { showValue } from './value.ts'

export interface EffectiveLine {
  /** `listen_port`, `databases.app.host` */
  readonly path: string
  /** As the configuration would write it; '' when nothing is set; `[redacted]` for a secret. */
  readonly value: string
  readonly source: string
}

/** Every setting of the process, then every setting of every database, and what its user has of its own beside those. */
export function effectiveLines(loaded: LoadedSettings): readonly EffectiveLine[] {
  const lines: EffectiveLine[] = []
  const sourceOf = (path: string) => loaded.sources.get(path) ?? BUILT_IN
  const globals = new Map<string, unknown>(Object.entries(loaded.settings))
  /** Several databases may have one user. */
  const shown = new Set<string>()
  for (const [name, row] of GLOBALS) lines.push({ path: name, value: showValue(row, globals.get(name)), source: sourceOf(name) })
  for (const database of loaded.settings.databases.values()) {
    const values = new Map<string, unknown>(Object.entries(database))
    for (const [name, row] of PER_DATABASE) {
      const path = pathOf(databaseScope(database.name), name)
      lines.push({ path, value: showValue(row, values.get(name)), source: sourceOf(path) })
    }
    const user = userScope(database.user ?? database.vault_path ?? '')
    for (const [name, row] of PER_USER) {
      const path = pathOf(user, name)
      if (shown.has(path) || !loaded.sources.has(path)) continue
      shown.add(path)
      lines.push({ path, value: showValue(row, values.get(name)), source: sourceOf(path) })
    }
  }
  return lines
}
