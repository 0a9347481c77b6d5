// The real Vault server of the tests: found, or built once per version of its source.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory, withLock } from './cache.ts'
import { repository, run } from './run.ts'
import { findTool } from './tools.ts'

const source = join(repository, 'test/vault-server')

/** Where the built server is, or will be: the name holds the hash of everything that it is built from. */
function vaultServerPath(): string {
  const hash = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(source, name)))
  return join(cacheDirectory(), 'vault-server', hash.digest('hex').slice(0, 16))
}

/**
 * The path of the Vault test server: PGLEASE_TEST_VAULT_BINARY, else the cached one, else a new build (minutes with empty Go
 * caches). Undefined with a reason on stderr when there is neither a server nor Go to build it.
 */
export async function vaultServer(): Promise<string | undefined> {
  const given = process.env.PGLEASE_TEST_VAULT_BINARY
  if (given) return given
  const path = vaultServerPath()
  if (existsSync(path)) return path
  if (!findTool('go')) {
    console.error(
      'The real Vault server is built with Go (1.25.3 or later), and there is no `go` on PATH: install it from https://go.dev/dl/',
    )
    return undefined
  }
  return withLock('vault-server', async () => {
    if (existsSync(path)) return path
    mkdirSync(join(cacheDirectory(), 'vault-server'), { recursive: true })
    console.error('Building the Vault test server (once; 5 to 7 minutes when Go has nothing cached) ...')
    const work = `${path}.${process.pid}`
    const { code, output } = await run(['go', 'build', '-trimpath', '-ldflags=-s -w', '-o', work, '.'], { cwd: source, output: 'collect' })
    if (code !== 0) throw new Error(`the Vault test server could not be built\n${output}`)
    renameSync(work, path)
    return path
  })
}
