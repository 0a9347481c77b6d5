// The real Vault server of the tests: found, or built once per version of its source.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cached, cachePath } from './cache.ts'
import { mustRun, repository } from './run.ts'
import { findTool } from './tools.ts'

const source = join(repository, 'test/vault-server')

const FAMILY = 'vault-server'

/** The hash of everything that the server is built from. */
function version(): string {
  const hash = createHash('sha256')
  for (const name of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(source, name)))
  return hash.digest('hex').slice(0, 16)
}

/**
 * The path of the Vault test server: PGLEASE_TEST_VAULT_BINARY, else the cached one, else a new build (minutes with empty Go
 * caches). Undefined with a reason on stderr when there is neither a server nor Go to build it.
 */
export async function vaultServer(): Promise<string | undefined> {
  const given = process.env.PGLEASE_TEST_VAULT_BINARY
  if (given) return given
  if (!existsSync(cachePath(FAMILY, version())) && !findTool('go')) {
    console.error(
      'The real Vault server is built with Go (1.25.3 or later), and there is no `go` on PATH: install it from https://go.dev/dl/',
    )
    return undefined
  }
  return cached(FAMILY, version(), async (path) => {
    console.error('Building the Vault test server (once; 5 to 7 minutes when Go has nothing cached) ...')
    await mustRun(['go', 'build', '-trimpath', '-ldflags=-s -w', '-o', path, '.'], { cwd: source })
  })
}
