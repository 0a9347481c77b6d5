// The lines of the acceptance list: the one named A3 is `line` of accept_a3.ts, where that is written.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AcceptLine } from './accept_line.ts'

export const LINE_NAMES = ['A1', 'A2', 'A3', 'A4', 'A5', 'A6', 'A7', 'A8', 'A9', 'A10', 'A11'] as const

/** The line with this name; undefined when nobody has written it. */
export async function loadLine(name: string): Promise<AcceptLine | undefined> {
  const file = join(import.meta.dirname, `accept_${name.toLowerCase()}.ts`)
  if (!existsSync(file)) return undefined
  const { line } = (await import(file)) as { line: AcceptLine }
  if (line.name !== name) throw new Error(`${file} holds the line ${line.name}`)
  return line
}
