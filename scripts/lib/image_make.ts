// The image under test, built and mounted, with the servers that its checks need.
import { existsSync } from 'node:fs'
import { type OwnPostgres, startPostgres } from '../../test/kit/postgres.ts'
import { BASE_IMAGE, BUN_IMAGE, makeBases } from './image_bases.ts'
import { prepareRoot } from './image_run.ts'
import { type ImageConfig, ImageStore } from './image_store.ts'
import { run } from './run.ts'

const IMAGE = 'localhost/pglease:test'
const DEBIAN_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** Folders that checks mount into the image. */
export const CONFIGURATION_FOLDER = '/etc/pglease'
export const HOSTILE_FOLDER = '/hostile'

export interface TestImage {
  store: ImageStore
  config: ImageConfig
  /** The folder of the mounted root. */
  root: string
  /** What the build was told; `unknown` outside a git checkout. */
  commit: string
  postgres(): Promise<OwnPostgres>
  close(): Promise<void>
}

/** The certificates with which this machine reaches the package registry. */
function certificateFlags(): string[] {
  const file = process.env.NODE_EXTRA_CA_CERTS || process.env.SSL_CERT_FILE || DEBIAN_CERTIFICATES
  return existsSync(file) ? ['-v', `${file}:${file}:ro`, '--build-arg', `NODE_EXTRA_CA_CERTS=${file}`] : []
}

/** Builds the image in an empty store. */
export async function makeImage(): Promise<TestImage> {
  const store = await ImageStore.open()
  let server: Promise<OwnPostgres> | undefined
  const close = async () => {
    await (await server)?.stop()
    await store.close()
  }
  try {
    await makeBases(store)
    const git = await run(['git', 'rev-parse', '--short=12', 'HEAD'], { output: 'collect' })
    const commit = git.code === 0 ? git.output.trim() : 'unknown'
    const bases = ['--build-arg', `BUN_IMAGE=${BUN_IMAGE}`, '--build-arg', `BASE_IMAGE=${BASE_IMAGE}`]
    await store.build(IMAGE, 'Dockerfile.distroless', [...bases, ...certificateFlags(), '--build-arg', `COMMIT=${commit}`])
    const [config, root] = [await store.config(IMAGE), await store.mount(IMAGE)]
    prepareRoot(root, [CONFIGURATION_FOLDER, HOSTILE_FOLDER])
    const postgres = () => {
      server ??= startPostgres()
      return server
    }
    return { store, config, root, commit, postgres, close }
  } catch (error) {
    await close()
    throw error
  }
}
