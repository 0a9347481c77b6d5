// Says which pglease this is.
import process from 'node:process'
import manifest from '../../package.json' with { type: 'json' }

/** Replaced by the build (`--define PGLEASE_COMMIT='"abc1234"'`); absent when run from source. */
declare const PGLEASE_COMMIT: string | undefined

export interface Version {
  readonly version: string
  readonly commit: string
  /** `Bun 1.4.5` or `Deno 2.9.6` */
  readonly runtime: string
}

export function currentVersion(): Version {
  const { bun, deno, node } = process.versions
  const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`
  return { version: manifest.version, commit: typeof PGLEASE_COMMIT === 'string' ? PGLEASE_COMMIT : 'unknown', runtime }
}

/** `pglease 0.1.0 (commit abc1234, Bun 1.4.5)` */
export function versionLine({ version, commit, runtime }: Version): string {
  return `pglease ${version} (commit ${commit}, ${runtime})`
}
