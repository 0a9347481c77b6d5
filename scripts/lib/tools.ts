// Finds programs that npm does not have; installs them on Debian as root, else says how.
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './run.ts'

/** Debian's package and, where they are not on PATH, other folders of each tool. */
const TOOLS: Record<string, { package: string; folders?: readonly string[] }> = {
  pgbouncer: { package: 'pgbouncer', folders: ['/usr/sbin'] },
  pgbench: { package: 'postgresql-15', folders: ['/usr/lib/postgresql/15/bin'] },
  psql: { package: 'postgresql-client-15', folders: ['/usr/lib/postgresql/15/bin'] },
  buildah: { package: 'buildah' },
  chromium: { package: 'chromium' },
  prometheus: { package: 'prometheus' },
  promtool: { package: 'prometheus' },
  openssl: { package: 'openssl' },
  setpriv: { package: 'util-linux' },
  unshare: { package: 'util-linux' },
}

/** The path of `name` on PATH or in its known folders. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...(TOOLS[name]?.folders ?? [])]
  for (const folder of folders) {
    if (!folder) continue
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // the next folder
    }
  }
  return undefined
}

/** What a person types to get `name`. */
export function installCommand(name: string): string {
  return `apt-get install --no-install-recommends -y ${TOOLS[name]?.package ?? name}`
}

/** Finds `name`, or installs it when root on Debian. Undefined (and a line on stderr with the command) when that is not possible. */
export async function needTool(name: string): Promise<string | undefined> {
  const path = findTool(name)
  if (path) return path
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    const env = { DEBIAN_FRONTEND: 'noninteractive' }
    await run(['apt-get', 'update', '-q'], { env, output: 'collect' })
    const { output } = await run(installCommand(name).split(' '), { env, output: 'collect' })
    const installed = findTool(name)
    if (installed) return installed
    console.error(output)
  }
  console.error(`${name} is missing; on Debian: ${installCommand(name)}`)
  return undefined
}
