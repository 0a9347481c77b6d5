// Runs a program in an image's root as a strict Kubernetes pod does: read-only, 65532, no capability, no new privileges.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from '../../test/kit/child.ts'

export const NONROOT = 65532

export interface ImageRun {
  env?: Record<string, string>
  /** Working directory inside the image. */
  cwd?: string
  /** Folders of this machine that are mounted, read-only, by their path inside the image. */
  folders?: Record<string, string>
}

/**
 * Every step ends in exec, so the process id is the program's own. Bun needs /proc; the devices are the four that every
 * container has. Nothing at all is writable.
 */
const SCRIPT = `set -eu
root=$1; work=$2; shift 2
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro,nosuid,nodev "$root$2"
  shift 2
done
shift
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,nosuid none "$root/dev"
for device in null zero random urandom; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root/dev"
mount -o remount,bind,ro,nosuid,nodev "$root"
exec setpriv --no-new-privs --clear-groups unshare "--root=$root" "--wd=$work" --setgid ${NONROOT} --setuid ${NONROOT} "$@"
`

/** What a container engine puts into every root before it starts. */
export function prepareRoot(root: string, folders: readonly string[]): void {
  for (const folder of ['proc', 'dev', ...folders]) mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(join(root, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n')
  writeFileSync(join(root, 'etc/resolv.conf'), '')
}

/** Starts `command` in the mounted `root`; it sees this machine's network. */
export function runInImage(root: string, command: readonly string[], options: ImageRun = {}): Child {
  const folders = Object.entries(options.folders ?? {}).flatMap(([inside, outside]) => [outside, inside])
  const wrapper = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'image', root, options.cwd ?? '/home/nonroot']
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...options.env }
  return new Child([...wrapper, ...folders, '--', ...command], { name: command.join(' '), env })
}
