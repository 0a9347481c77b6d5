// What readers hand on: raw values with their sources, and the collector of mistakes and warnings.
import type { Scope } from './scope.ts'
import type { Mistake } from './settings.ts'

/** A value as it was written; scalars keep their text, so that a password 0123 stays one. */
export type Raw = string | readonly string[]

export interface Entry {
  /** Undefined for a setting of the process. */
  readonly scope: Scope | undefined
  readonly name: string
  readonly raw: Raw
  readonly source: string
}

/** Reads a file as text, or throws an error that may carry `code`. */
export type ReadFile = (path: string) => string

const PLAIN_NAME = /^[A-Za-z0-9_.$-]{1,63}$/
const LONGEST_SHOWN = 60

/** A text from outside, quoted, without control characters and not longer than a line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text)
}

/** How a setting is named to people, and the key of what is known about it: `listen_port`, `databases.app.host`. Never the same for two. */
export function pathOf(scope: Scope | undefined, name: string): string {
  if (scope === undefined) return name
  const shown = PLAIN_NAME.test(scope.name) ? scope.name : JSON.stringify(scope.name)
  return name === '' ? `${scope.kind}.${shown}` : `${scope.kind}.${shown}.${name}`
}

/** Collects everything that is wrong, so that all of it is reported at once. */
export class Findings {
  readonly mistakes: Mistake[] = []
  readonly warnings: string[] = []

  mistake(setting: string, source: string, problem: string, fix: string): void {
    this.mistakes.push({ setting, source, problem, fix })
  }

  warn(text: string): void {
    this.warnings.push(text)
  }
}

/** The system's code of a failed read (ENOENT, EACCES, EISDIR), never its message: that quotes the path, which may be a misplaced secret. */
export function failureCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return error instanceof Error ? error.name : 'unknown error'
}

/** Text of a file. What is no UTF-8 is refused: a password would silently become another one. */
export function readTextFile(readFile: ReadFile, path: string): string {
  const text = readFile(path)
  if (text.includes('\ufffd')) throw Object.assign(new Error('a character is not UTF-8'), { code: 'it is not UTF-8' })
  return text.replace(/^\ufeff/, '')
}

/** Content of a file that holds one value: without the line ends that editors leave. */
export function readValueFile(readFile: ReadFile, path: string): { readonly text: string } | { readonly code: string } {
  try {
    return { text: readTextFile(readFile, path).replace(/[\r\n]+$/, '') }
  } catch (error) {
    return { code: failureCode(error) }
  }
}
