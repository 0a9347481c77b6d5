// A1: a fresh clone in an empty home directory.
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type AcceptContext, type AcceptLine, exactly, type Figure, told } from './accept_line.ts'
import { summaryIn, tallyFigures } from './accept_tests.ts'
import { mustRun, repository, run } from './run.ts'

const DEMO_MS = 20 * 60_000
const TEST_MS = 90 * 60_000
/** Where this machine fetches packages from is no part of what is proven. */
const SOURCES_OF_PACKAGES = ['.npmrc', '.config/go/env']

function emptyHome(folder: string): string {
  const home = join(folder, 'home')
  mkdirSync(home)
  for (const name of SOURCES_OF_PACKAGES) {
    if (!existsSync(join(homedir(), name))) continue
    mkdirSync(dirname(join(home, name)), { recursive: true })
    symlinkSync(join(homedir(), name), join(home, name))
  }
  return home
}

/** Nothing of this run, and none of the tools that it fetched. */
function environment(home: string): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { HOME: home }
  for (const name of Object.keys(process.env)) if (/^(PGLEASE_|XDG_|GOPATH$|GOCACHE$|BUN_)/.test(name)) env[name] = undefined
  const own = [join(homedir(), '.cache'), repository]
  env.PATH = (process.env.PATH ?? '')
    .split(':')
    .filter((path) => !own.some((one) => path.startsWith(one)))
    .join(':')
  return env
}

async function inClone(context: AcceptContext, folder: string): Promise<Figure[]> {
  const clone = join(folder, 'pglease')
  await mustRun(['git', 'clone', '--quiet', repository, clone])
  const commit = await mustRun(['git', 'rev-parse', '--short=12', 'HEAD'], { cwd: clone })
  const env = environment(emptyHome(folder))
  context.say('scripts/demo --rotations 3')
  const demo = await run(['scripts/demo', '--rotations', '3'], { cwd: clone, env, output: 'both', timeoutMs: DEMO_MS })
  const said = [...demo.output.matchAll(/^queries (\d+), failed (\d+), roles seen (\d+)$/gm)].at(-1)
  context.say('scripts/test')
  const test = await run(['scripts/test'], { cwd: clone, env, output: 'both', timeoutMs: TEST_MS })
  return [
    told('commit of the clone', commit.trim()),
    exactly('scripts/demo --rotations 3: exit status', demo.code, 0),
    exactly('scripts/demo: failed', said?.[2] ?? 'not said', '0'),
    told('scripts/demo: from nothing to its end', demo.ms / 1000, 's'),
    exactly('scripts/test: exit status', test.code, 0),
    ...tallyFigures('scripts/test', summaryIn(test.output)),
    told('scripts/test: with the build of the Vault server', test.ms / 1000, 's'),
  ]
}

export const line: AcceptLine = {
  name: 'A1',
  title:
    'With an empty home directory and only npm and Go: the demo replaces the credential three times without a failed query, and all tests pass.',
  servers: false,
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'fresh-'))
    try {
      return await inClone(context, folder)
    } finally {
      // Go makes its module cache read-only
      await run(['chmod', '-R', 'u+w', folder], { output: 'collect' })
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
