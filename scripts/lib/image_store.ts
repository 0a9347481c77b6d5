// Builds container images with buildah in a store of its own: no registry, no daemon, nothing left behind.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mustRun, repository, run } from './run.ts'

/** What `buildah inspect` says of an image, as far as it is looked at. */
export interface ImageConfig {
  User: string
  Entrypoint: string[] | null
  Cmd: string[] | null
  ExposedPorts: Record<string, unknown> | null
  Labels: Record<string, string> | null
}

export class ImageStore {
  /** A folder for whatever the images are made of; removed with the store. */
  readonly folder: string
  readonly #command: readonly string[]

  private constructor(folder: string, driver: string) {
    this.folder = folder
    this.#command = ['buildah', '--storage-driver', driver, '--root', join(folder, 'store'), '--runroot', join(folder, 'run')]
  }

  /** An empty store. The overlay driver needs a file system that takes it; vfs copies and works everywhere. */
  static async open(): Promise<ImageStore> {
    for (const driver of ['overlay', 'vfs']) {
      const store = new ImageStore(mkdtempSync(join(tmpdir(), 'pglease-images-')), driver)
      const tried = await run([...store.#command, 'from', '--pull-never', '--name', 'probe', 'scratch'], { output: 'collect' })
      if (tried.code === 0) {
        await store.buildah('rm', 'probe')
        return store
      }
      rmSync(store.folder, { recursive: true, force: true })
      if (driver === 'vfs') throw new Error(`buildah has no storage that works here\n${tried.output}`)
    }
    throw new Error('unreachable')
  }

  async buildah(...args: string[]): Promise<string> {
    return (await mustRun([...this.#command, ...args])).trim()
  }

  /** Makes the image `name` from a folder's files, owners kept (a tar keeps them). `config` are flags of `buildah config`. */
  async importFolder(name: string, root: string, config: readonly string[] = []): Promise<void> {
    const tar = join(this.folder, 'import.tar')
    await mustRun(['tar', '-C', root, '--numeric-owner', '-cf', tar, '.'])
    const container = await this.buildah('from', '--pull-never', 'scratch')
    await this.buildah('add', '-q', container, tar, '/')
    if (config.length > 0) await this.buildah('config', ...config, container)
    await this.buildah('commit', '-q', '--rm', container, name)
    rmSync(tar)
  }

  /** Builds the repository's `dockerfile` as `name`; `flags` are those of `buildah bud`. Answers what it printed. */
  build(name: string, dockerfile: string, flags: readonly string[]): Promise<string> {
    const fixed = ['--isolation', 'chroot', '--pull=never', '--timestamp', '0', '-t', name, '-f', join(repository, dockerfile)]
    return this.buildah('bud', ...fixed, ...flags, repository)
  }

  async config(image: string): Promise<ImageConfig> {
    const inspected = JSON.parse(await this.buildah('inspect', '--type', 'image', image)) as { Docker: { config: ImageConfig } }
    return inspected.Docker.config
  }

  /** A container of `image`, mounted: the folder of its root. */
  async mount(image: string): Promise<string> {
    const container = await this.buildah('from', '--pull-never', image)
    return this.buildah('mount', container)
  }

  /** An empty folder inside the store's. */
  makeFolder(name: string): string {
    const folder = join(this.folder, name)
    mkdirSync(folder, { recursive: true })
    return folder
  }

  async close(): Promise<void> {
    await run([...this.#command, 'umount', '--all'], { output: 'collect' })
    await run([...this.#command, 'rm', '--all'], { output: 'collect' })
    await run(['umount', join(this.folder, 'store', 'overlay')], { output: 'collect' })
    rmSync(this.folder, { recursive: true, force: true })
  }
}
