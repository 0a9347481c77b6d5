// The lines of the acceptance lists: the one named A3 is `line` of accept_a3.ts, where that is written.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AcceptLine } from './accept_line.ts'

/** How many lines each list has. */
const LISTS = { A: 11, B: 9 } as const

/** `A1` to the last, list after list. */
export const LINE_NAMES: readonly string[] = Object.entries(LISTS).flatMap(([list, count]) =>
  Array.from({ length: count }, (_, at) => `${list}${at + 1}`),
)

/** The lines that `name` means: a line, or a list with all its lines. Empty when there is none. */
export function linesOf(name: string): readonly string[] {
  const wanted = name.toUpperCase()
  return LINE_NAMES.filter((line) => line === wanted || line.slice(0, 1) === wanted)
}

/** The line with this name; undefined when nobody has written it. */
export async function loadLine(name: string): Promise<AcceptLine | undefined> {
  const file = join(import.meta.dirname, `accept_${name.toLowerCase()}.ts`)
  if (!existsSync(file)) return undefined
  const { line } = (await import(file)) as { line: AcceptLine }
  if (line.name !== name) throw new Error(`${file} holds the line ${line.name}`)
  return line
}
