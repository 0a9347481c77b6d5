// Equivalents of the two base images of Dockerfile.distroless, assembled from Debian's packages: no registry is asked.
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { ImageStore } from './image_store.ts'
import { mustRun } from './run.ts'

export const BASE_IMAGE = 'localhost/base-nossl:nonroot'
export const BUN_IMAGE = 'localhost/bun:host'

const NONROOT = 65532
const BASE_PACKAGES = ['base-files', 'netbase', 'tzdata', 'media-types', 'libc6']
const BUILDER_PACKAGES = ['base-files', 'libc6', 'dash', 'coreutils', 'libacl1', 'libattr1', 'libgmp10', 'libselinux1', 'libpcre2-8-0']

/** Downloads `packages` once and unpacks them below a new folder. */
async function unpack(store: ImageStore, name: string, packages: readonly string[]): Promise<string> {
  const downloads = store.makeFolder(`packages-${name}`)
  const root = store.makeFolder(`root-${name}`)
  const { DEBIAN_FRONTEND, LC_ALL } = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  await mustRun(['apt-get', 'download', '-q', ...packages], { cwd: downloads, env: { DEBIAN_FRONTEND, LC_ALL } })
  for (const archive of readdirSync(downloads).sort()) await mustRun(['dpkg-deb', '-x', join(downloads, archive), root])
  return root
}

/** gcr.io/distroless/base-nossl-debian12:nonroot: the C library, certificates, time zones, and nobody who is root. */
async function makeBase(store: ImageStore): Promise<void> {
  const root = await unpack(store, 'base', BASE_PACKAGES)
  const certificates = await unpack(store, 'certificates', ['ca-certificates'])
  const bundle = join(root, 'etc/ssl/certs/ca-certificates.crt')
  mkdirSync(join(root, 'etc/ssl/certs'), { recursive: true })
  const folder = join(certificates, 'usr/share/ca-certificates/mozilla')
  for (const name of readdirSync(folder).sort()) appendFileSync(bundle, readFileSync(join(folder, name)))
  const users = ['root:x:0:0:root:/root:/sbin/nologin', 'nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin']
  users.push(`nonroot:x:${NONROOT}:${NONROOT}:nonroot:/home/nonroot:/sbin/nologin`)
  writeFileSync(join(root, 'etc/passwd'), `${users.join('\n')}\n`)
  writeFileSync(join(root, 'etc/group'), `root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:${NONROOT}:\n`)
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n')
  mkdirSync(join(root, 'home/nonroot'), { mode: 0o700 })
  chownSync(join(root, 'home/nonroot'), NONROOT, NONROOT)
  chmodSync(join(root, 'tmp'), 0o1777)
  await store.importFolder(BASE_IMAGE, root, ['--user', String(NONROOT), '--workingdir', '/home/nonroot'])
}

/** oven/bun: a shell, the basic commands and the Bun that runs this script. */
async function makeBuilder(store: ImageStore): Promise<void> {
  const root = await unpack(store, 'builder', BUILDER_PACKAGES)
  const shell = join(root, 'bin/sh')
  if (!existsSync(shell)) symlinkSync('dash', shell)
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true })
  copyFileSync(process.execPath, join(root, 'usr/local/bin/bun'))
  chmodSync(join(root, 'usr/local/bin/bun'), 0o755)
  chmodSync(join(root, 'tmp'), 0o1777)
  await store.importFolder(BUN_IMAGE, root, ['--env', 'PATH=/usr/local/bin:/usr/bin:/bin'])
}

/** Puts BASE_IMAGE and BUN_IMAGE into `store`. */
export async function makeBases(store: ImageStore): Promise<void> {
  await makeBase(store)
  await makeBuilder(store)
}
