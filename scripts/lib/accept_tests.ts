// Lines of the acceptance list that are a command or a test file: their counts as figures.
import { atLeast, exactly, type Figure } from './accept_line.ts'
import { type RunOptions, run } from './run.ts'
import { type Tally, tally } from './tally.ts'

/** The last `N passed, N failed, N skipped` of `output`, as scripts/test and scripts/image-test print it. */
export function summaryIn(output: string): Tally {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)].at(-1)
  if (!last) return { passed: 0, failed: 1, skipped: 0 }
  return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3]) }
}

export function tallyFigures(name: string, { passed, failed, skipped }: Tally): Figure[] {
  return [atLeast(`${name}: passed`, passed, 1), exactly(`${name}: failed`, failed, 0), exactly(`${name}: skipped`, skipped, 0)]
}

const LONGEST_MS = 30 * 60_000

/** Runs test files on Bun, or on Deno. Their output is shown when one fails. */
export async function testFiles(
  name: string,
  files: readonly string[],
  runtime: 'bun' | 'deno' = 'bun',
  env: RunOptions['env'] = {},
): Promise<Figure[]> {
  const command = runtime === 'bun' ? [process.execPath, 'test', '--timeout=120000'] : ['deno', 'test', '-A', '--no-check']
  const result = await run([...command, ...files], { output: 'collect', env: { NO_COLOR: '1', ...env }, timeoutMs: LONGEST_MS })
  const counts = tally(result.output, result.code)
  if (counts.failed > 0) console.log(result.output)
  return tallyFigures(name, counts)
}
