// Lays out the effective settings with their sources, for `check` and the log; secrets are never shown.
import { GLOBALS, PER_DATABASE } from './declarations.ts'
import { pathOf } from './entry.ts'
import { BUILT_IN } from './resolve.ts'
import type { LoadedSettings } from './settings.ts'
import { showValue } from './value.ts'

export interface EffectiveLine {
  /** `listen_port`, `databases.app.host` */
  readonly path: string
  /** As the configuration would write it; '' when nothing is set; `[redacted]` for a secret. */
  readonly value: string
  readonly source: string
}

/** Every setting of the process, then every setting of every database. */
export function effectiveLines(loaded: LoadedSettings): readonly EffectiveLine[] {
  const lines: EffectiveLine[] = []
  const sourceOf = (path: string) => loaded.sources.get(path) ?? BUILT_IN
  const globals = new Map<string, unknown>(Object.entries(loaded.settings))
  for (const [name, row] of GLOBALS) lines.push({ path: name, value: showValue(row, globals.get(name)), source: sourceOf(name) })
  for (const database of loaded.settings.databases.values()) {
    const values = new Map<string, unknown>(Object.entries(database))
    for (const [name, row] of PER_DATABASE) {
      const path = pathOf(database.name, name)
      lines.push({ path, value: showValue(row, values.get(name)), source: sourceOf(path) })
    }
  }
  return lines
}
