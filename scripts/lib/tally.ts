// Counts what a test run of Bun or Deno says, skips of kit/skip.ts included.

export interface Tally {
  passed: number
  failed: number
  skipped: number
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
const COLOURS = /\x1b\[[0-9;]*m/g

/** Reads the summary lines of `bun test` (` 5 pass`) or `deno test` (`ok | 5 passed | 0 failed`). */
export function tally(output: string, exitCode: number): Tally {
  const text = output.replace(COLOURS, '')
  const bun = (word: string) => sum(text.matchAll(new RegExp(`^ *(\\d+) ${word}$`, 'gm')))
  const deno = (word: string) => sum(text.matchAll(new RegExp(`^(?:ok|FAILED) \\|.*?(\\d+) ${word}`, 'gm')))
  const marked = [...text.matchAll(/^SKIPPED: /gm)].length
  const passed = bun('pass') + deno('passed')
  const result = {
    // a test that called skip() ends without an error, so the runtime counts it as passed
    passed: Math.max(0, passed - marked),
    failed: bun('fail') + deno('failed'),
    skipped: marked + bun('skip') + bun('todo') + deno('ignored'),
  }
  // a runtime that crashed, or a file that could not be loaded, may print no count
  if (exitCode !== 0 && result.failed === 0) result.failed = 1
  if (passed + result.failed + result.skipped === 0) result.failed = 1
  return result
}

export function add(total: Tally, more: Tally): void {
  total.passed += more.passed
  total.failed += more.failed
  total.skipped += more.skipped
}

/** The last line of scripts/test. */
export const summary = ({ passed, failed, skipped }: Tally): string => `${passed} passed, ${failed} failed, ${skipped} skipped`

function sum(matches: Iterable<RegExpMatchArray>): number {
  let total = 0
  for (const [, count = '0'] of matches) total += Number(count)
  return total
}
