// B9: what the complete pooler costs beside the binary from before, in alternating pairs.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AcceptLine, atLeast, atMost, type Figure, told } from './accept_line.ts'
import { mustRun, repository } from './run.ts'

/** The last one before sessions, statements, cancels and limits were built. */
const BEFORE = 'b4e0c1c'
const LONGEST_MS = 3600_000
const CASES = ['simple', 'extended', 'connect', 'copy', 'tls']
/** Pairs are short so that many of them see the same machine. */
const LENGTH = ['--pairs', '5', '--seconds', '4', '--warm-up', '6']
/** `simple-16: CPU ratio 1.00 (0.93 to 1.08), rate ratio 1.02 (0.94 to 1.12), ...`: the newer binary's figure over the older one's. */
const RESULT = /^(?<name>\S+): CPU ratio (?<cpu>\S+) (?<spread>\(.*?\)), rate ratio (?<rate>\S+) /gm

/** Builds the binary of the commit in a checkout of its own below `folder`. Answers its path. */
async function buildBefore(folder: string): Promise<string> {
  const checkout = join(folder, 'before')
  await mustRun(['git', 'worktree', 'add', '--detach', checkout, BEFORE])
  await mustRun([process.execPath, 'install', '--frozen-lockfile'], { cwd: checkout })
  await mustRun([process.execPath, 'scripts/build.ts'], { cwd: checkout })
  return join(checkout, 'dist/pglease')
}

function figures(output: string): Figure[] {
  return [...output.matchAll(RESULT)].flatMap(({ groups }) => {
    const { name = '', cpu = '', spread = '', rate = '' } = groups ?? {}
    // one client waits for each answer: there it is the rate that says what the way costs
    if (name.endsWith('-1')) return [atLeast(`${name}: rate`, Number(rate), 0.95), told(`${name}: processor time`, `${cpu} ${spread}`)]
    return [atMost(`${name}: processor time`, Number(cpu), 1.05), told(`${name}: its spread`, spread)]
  })
}

export const line: AcceptLine = {
  name: 'B9',
  title: `scripts/bench with the binary of commit ${BEFORE} and this one in alternating pairs, ratios of the medians: no case is worse by more than 5 %.`,
  servers: false,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), 'accept-b9-'))
    try {
      const against = await buildBefore(folder)
      const only = CASES.flatMap((name) => ['--only', name])
      const command = ['scripts/bench', ...LENGTH, '--no-direct', ...only, '--against', against]
      const output = await mustRun(command, { output: 'both', timeoutMs: LONGEST_MS })
      const found = figures(output)
      if (found.length === 0) throw new Error('scripts/bench printed no result')
      return found
    } finally {
      rmSync(folder, { recursive: true, force: true })
      await mustRun(['git', 'worktree', 'prune'], { cwd: repository })
    }
  },
}
