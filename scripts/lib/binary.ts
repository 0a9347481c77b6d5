// Builds dist/pglease: the one command line that decides what the binary is.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository, run } from './run.ts'

/**
 * The two no-autoload flags keep the binary from reading `.env` and `bunfig.toml` of its working directory; with
 * --use-system-ca it trusts the system's certificates.
 */
const FLAGS = [
  '--compile',
  '--minify',
  '--bytecode',
  '--format=esm',
  '--no-compile-autoload-dotenv',
  '--no-compile-autoload-bunfig',
  '--compile-exec-argv=--use-system-ca',
]

interface BuildOptions {
  /** Bun's target, such as `bun-linux-arm64`; this machine's unless given. */
  target?: string
  /** Path of the executable; `dist/pglease` unless given. */
  outfile?: string
}

/** Builds (unless nothing changed since the last build) and answers the executable's path. */
export async function buildBinary(options: BuildOptions = {}): Promise<string> {
  const outfile = options.outfile ?? join(repository, 'dist', options.target ? `pglease-${options.target.replace(/^bun-/, '')}` : 'pglease')
  const commit = await currentCommit()
  const command = ['build', ...FLAGS, ...(options.target ? [`--target=${options.target}`] : [])]
  command.push(`--define=PGLEASE_COMMIT=${JSON.stringify(commit)}`, 'src/main.ts')
  const stamp = `${outfile}.inputs`
  const inputs = hashOfInputs(command)
  if (existsSync(outfile) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return outfile
  mkdirSync(join(repository, 'dist'), { recursive: true })
  rmSync(stamp, { force: true })
  const work = `${outfile}.${process.pid}`
  const { code, output } = await run([process.execPath, ...command, '--outfile', work], { output: 'collect' })
  if (code !== 0) {
    rmSync(work, { force: true })
    throw new Error(`bun build failed\n${output}`)
  }
  renameSync(work, outfile)
  writeFileSync(stamp, inputs)
  return outfile
}

/** SOURCE_COMMIT (an image's build has no git), else the short commit, `-dirty` when sources differ from it; `unknown` outside a git checkout. */
async function currentCommit(): Promise<string> {
  const given = process.env.SOURCE_COMMIT
  if (given) return given
  const commit = await run(['git', 'rev-parse', '--short=12', 'HEAD'], { output: 'collect' })
  if (commit.code !== 0) return 'unknown'
  const changes = await run(['git', 'status', '--porcelain', '--', 'src', 'package.json', 'bun.lock'], { output: 'collect' })
  return commit.output.trim() + (changes.output.trim() === '' ? '' : '-dirty')
}

/** Every source's contents, the packages' versions, Bun's version and the command line. */
function hashOfInputs(command: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify([process.versions.bun, command]))
  const sources = readdirSync(join(repository, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('src', name))
    .filter((name) => statSync(join(repository, name)).isFile())
  for (const name of [...sources.sort(), 'package.json', 'bun.lock', 'tsconfig.json']) {
    hash.update(`\0${name}\0`).update(readFileSync(join(repository, name)))
  }
  return hash.digest('hex')
}
