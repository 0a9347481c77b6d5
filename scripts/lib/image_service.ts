// Checks of the image at work: a real PostgreSQL behind it, probes, signals, credentials from Vault, a hostile folder.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { stringify } from 'yaml'
import { type Child, freePort, poll } from '../../test/kit/child.ts'
import { noVault, startVault } from '../../test/kit/vault.ts'
import { appRole, databasePolicy, mountDatabase } from '../../test/kit/vault-database.ts'
import type { Check } from './image_check.ts'
import { CONFIGURATION_FOLDER, HOSTILE_FOLDER, type TestImage } from './image_make.ts'
import { type ImageRun, NONROOT, runInImage } from './image_run.ts'
import { run } from './run.ts'

const APP = '/pglease'
/** Far above what it takes, far below shutdown_timeout. */
const STOP_WITHIN_MS = 5_000

interface Ports {
  listen: number
  http: number
}

const freePorts = async (): Promise<Ports> => ({ listen: await freePort(), http: await freePort() })

const portSettings = ({ listen, http }: Ports): Record<string, string> => ({
  PGLEASE_LISTEN_ADDR: '127.0.0.1',
  PGLEASE_LISTEN_PORT: String(listen),
  PGLEASE_HTTP_ADDR: '127.0.0.1',
  PGLEASE_HTTP_PORT: String(http),
  PGLEASE_ADMIN_ADDR: '',
})

/** Starts pglease in the image and waits until it is ready. */
async function serve(image: TestImage, ports: Ports, options: ImageRun): Promise<Child> {
  const child = runInImage(image.root, [APP], options)
  try {
    await poll('pglease is ready', async () => {
      if (child.ended) throw new Error(`pglease ended\n${child.tail()}`)
      const answer = await fetch(`http://127.0.0.1:${ports.http}/readyz`).catch(() => undefined)
      return answer?.status === 200 ? true : undefined
    })
    return child
  } catch (error) {
    await child.stop('SIGKILL')
    throw new Error(`${error instanceof Error ? error.message : error}\n${child.tail()}`)
  }
}

async function currentUser(ports: Ports, database: string): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port: ports.listen, user: 'anyone', password: 'anything', database })
  await client.connect()
  try {
    const { rows } = await client.query<{ current_user: string }>('SELECT current_user')
    return rows[0]?.current_user ?? ''
  } finally {
    await client.end()
  }
}

/** SIGTERM, and exit 0 soon. Answers the time it took. */
async function endsOnSigterm(child: Child): Promise<string> {
  const from = performance.now()
  const ended = await child.stop('SIGTERM', STOP_WITHIN_MS)
  assert.deepEqual(ended, { code: 0, signal: null }, child.tail())
  return `${Math.round(performance.now() - from)} ms`
}

/** What the kernel says of the process: who it is, what it may do, and that its root can't be written to. */
function provesConfinement(child: Child): void {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? ''
  assert.equal(field('Uid'), Array(4).fill(NONROOT).join('\t'))
  assert.equal(field('Gid'), Array(4).fill(NONROOT).join('\t'))
  assert.equal(field('Groups').trim(), '')
  assert.match(field('CapEff'), /^0+$/)
  assert.equal(field('NoNewPrivs'), '1')
  const mounts = readFileSync(`/proc/${child.pid}/mountinfo`, 'utf8').trim().split('\n')
  const root = mounts.map((line) => line.split(' ')).find(([, , , , target]) => target === '/')
  assert.match(root?.[5] ?? '', /^ro\b/, 'the root is writable')
}

async function fixedConfiguration(image: TestImage, ports: Ports): Promise<ImageRun> {
  const postgres = await image.postgres()
  const folder = image.store.makeFolder('configuration')
  const { host, port, superuser: user, password } = postgres
  const config = { databases: { app: { host, port, dbname: 'postgres', user, password } } }
  writeFileSync(join(folder, 'pglease.yaml'), stringify(config), { mode: 0o644 })
  const env = { ...portSettings(ports), PGLEASE_CONFIG: `${CONFIGURATION_FOLDER}/pglease.yaml` }
  return { env, folders: { [CONFIGURATION_FOLDER]: folder } }
}

const healthcheck = (image: TestImage, options: ImageRun) => runInImage(image.root, [APP, 'healthcheck'], options)

const fixedCredential: Check = [
  'a fixed credential: read-only root, 65532, no capability; healthcheck; SIGTERM',
  async (image) => {
    const ports = await freePorts()
    const options = await fixedConfiguration(image, ports)
    const child = await serve(image, ports, options)
    try {
      provesConfinement(child)
      assert.equal(await currentUser(ports, 'app'), (await image.postgres()).superuser)
      const healthy = healthcheck(image, options)
      assert.equal((await healthy.exit).code, 0, healthy.tail())
      const took = await endsOnSigterm(child)
      const unhealthy = healthcheck(image, options)
      assert.equal((await unhealthy.exit).code, 1, unhealthy.tail())
      return `exit 0 after ${took}; healthcheck 0 while it serves, 1 afterwards`
    } finally {
      await child.stop('SIGKILL')
    }
  },
]

const vaultCredential: Check = [
  "Vault's credential, configured by the old image's variables alone",
  async (image) => {
    const reason = await noVault()
    if (reason) return { skipped: reason }
    const postgres = await image.postgres()
    const vault = await startVault()
    try {
      const mounted = await mountDatabase(vault, postgres, { defaultTtl: 60, maxTtl: 120 })
      const login = await appRole(vault, { policy: databasePolicy(mounted) })
      const ports = await freePorts()
      const env = {
        ...portSettings(ports),
        DB_HOST: postgres.host,
        DB_PORT: String(postgres.port),
        DB_NAME: 'postgres',
        TLS_MODE: 'disable',
        VAULT_ADDR: vault.address,
        VAULT_PATH: mounted.path,
        VAULT_AUTH_MOUNT: login.mount,
        VAULT_ROLE_ID: login.roleId,
        VAULT_SECRET_ID: login.secretId,
      }
      const child = await serve(image, ports, { env })
      try {
        const role = await currentUser(ports, 'postgres')
        assert.deepEqual(await mounted.leasedRoles(), [role])
        await endsOnSigterm(child)
        assert.deepEqual(await mounted.leasedRoles(), [], 'the role outlived pglease')
        return `${role}, gone after SIGTERM`
      } finally {
        await child.stop('SIGKILL')
      }
    } finally {
      await vault.stop()
    }
  },
]

/** A folder whose files take over a Bun program that reads them. Anyone may read it. */
function makeHostile(image: TestImage): string {
  const folder = image.store.makeFolder('hostile')
  // an unknown setting ends pglease with 78
  writeFileSync(join(folder, '.env'), 'PGLEASE_TAKEN_OVER=1\nBUN_OPTIONS=--preload=./taken-over.ts\n')
  writeFileSync(join(folder, 'bunfig.toml'), 'preload = ["./taken-over.ts"]\n')
  writeFileSync(join(folder, 'taken-over.ts'), 'console.log("TAKEN OVER"); process.exit(99)\n')
  writeFileSync(join(folder, 'victim.ts'), 'console.log(process.env.PGLEASE_TAKEN_OVER)\n')
  writeFileSync(join(folder, 'package.json'), '{"name": "taken-over", "version": "99.0.0", "type": "commonjs"}\n')
  return folder
}

const hostileFolder: Check = [
  'a hostile .env and bunfig.toml in the working directory, in the image and for the binary alone',
  async (image) => {
    const hostile = makeHostile(image)
    const control = await run([process.execPath, 'victim.ts'], { cwd: hostile, output: 'collect' })
    assert.equal(control.code, 99, `the trap does not work\n${control.output}`)

    const ports = await freePorts()
    const options = await fixedConfiguration(image, ports)
    const folders = { ...options.folders, [HOSTILE_FOLDER]: hostile }
    const child = await serve(image, ports, { ...options, folders, cwd: HOSTILE_FOLDER })
    try {
      assert.equal(readFileSync(`/proc/${child.pid}/environ`, 'utf8').includes('TAKEN_OVER'), false)
      assert.equal(await currentUser(ports, 'app'), (await image.postgres()).superuser)
      await endsOnSigterm(child)
    } finally {
      await child.stop('SIGKILL')
    }

    // The binary taken out of the image: one file, nothing beside it.
    const alone = join(image.root, APP)
    for (const cwd of [image.store.makeFolder('empty'), hostile]) {
      const { code, output } = await run([alone, 'version'], { cwd, output: 'collect' })
      assert.equal(code, 0, output)
      assert.match(output, new RegExp(`^pglease \\S+ \\(commit ${image.commit}, Bun `))
    }
    return 'neither was read'
  },
]

export const serviceChecks: readonly Check[] = [fixedCredential, hostileFolder, vaultCredential]
