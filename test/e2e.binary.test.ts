// The binary for itself: nothing beside it is needed, and nothing that lies in its working directory is obeyed.
import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBinary } from '../scripts/lib/binary.ts'
import { Child } from './kit/child.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { unique } from './kit/vault-database.ts'

/** A directory of the test's own, with nothing in it. */
function emptyDirectory(s: Scenario): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'binary-')))
  s.defer(() => rmSync(folder, { recursive: true }))
  return folder
}

async function binaryIn(folder: string): Promise<string> {
  const copy = join(folder, 'pglease')
  copyFileSync(await buildBinary(), copy)
  chmodSync(copy, 0o755)
  return copy
}

async function output(program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}) {
  const child = new Child([program, ...args], { name: 'pglease', cwd, env })
  child.closeStdin()
  const { code } = await child.exit
  return { code, stdout: child.stdout, stderr: child.stderr }
}

/** What would run code, or change settings, if the program took its working directory for a project of its runtime. */
function makeHostile(folder: string): string {
  const mark = join(folder, 'ran')
  const evil = `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(mark)}, 'x')\n`
  writeFileSync(join(folder, 'evil.ts'), evil)
  writeFileSync(
    join(folder, 'bunfig.toml'),
    'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n[serve.static]\nplugins = ["./evil.ts"]\n',
  )
  const dotenv =
    'PGLEASE_LISTEN_PORT=1\nPGLEASE_NO_SUCH_SETTING=1\nDB_HOST=evil.example\nVAULT_ADDR=http://evil.example\nNODE_TLS_REJECT_UNAUTHORIZED=0\n'
  for (const name of ['.env', '.env.local', '.env.production', '.env.development']) writeFileSync(join(folder, name), dotenv)
  writeFileSync(join(folder, 'package.json'), '{"type":"commonjs","main":"./evil.ts","imports":{"#*":"./evil.ts"}}')
  writeFileSync(join(folder, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./evil.ts"]}}}')
  for (const name of ['hono', 'ky', 'yaml', 'commander']) {
    mkdirSync(join(folder, 'node_modules', name), { recursive: true })
    writeFileSync(join(folder, 'node_modules', name, 'index.js'), evil)
  }
  return mark
}

scenario('the binary runs alone in an empty directory, with an empty environment, and leaves nothing behind', async (s) => {
  const folder = emptyDirectory(s)
  const program = await binaryIn(folder)
  const version = await output(program, ['version'], folder)
  assert.equal(version.code, 0, version.stderr)
  assert.match(version.stdout, /^pglease \d+\.\d+\.\d+/)
  assert.equal((await output(program, ['--help'], folder)).code, 0)
  const nothing = await output(program, ['check'], folder)
  assert.equal(nothing.code, 78, nothing.stderr)
  assert.deepEqual(readdirSync(folder), ['pglease'])
})

scenario('a hostile directory changes nothing: no setting is read from it and no code of it runs', async (s) => {
  const folder = emptyDirectory(s)
  const program = await binaryIn(folder)
  const mark = makeHostile(folder)
  const before = readdirSync(folder).sort()
  const clean = emptyDirectory(s)
  for (const args of [['version'], ['check']]) {
    const [here, elsewhere] = [await output(program, args, folder), await output(program, args, clean)]
    assert.deepEqual(here, elsewhere, args.join())
  }
  assert.deepEqual(readdirSync(folder).sort(), before, `${mark} shows that code ran`)
})

scenario('it serves from a hostile directory as from any other', async (s) => {
  const folder = emptyDirectory(s)
  makeHostile(folder)
  const before = readdirSync(folder).sort()
  const postgres = await sharedPostgres()
  const [dbname, user] = [await postgres.createDatabase(), unique('user_')]
  await postgres.createUser(user, 'pw-of-links')
  s.defer(async () => {
    await postgres.dropDatabase(dbname)
    await postgres.sql(`DROP ROLE "${user}"`)
  })
  const { host, port } = postgres
  const databases = { app: { host, port, dbname, user, password: 'pw-of-links', server_tls_sslmode: 'disable' } }
  const pglease = await s.pglease({ config: { databases }, cwd: folder })
  const client = await pglease.client('app')
  s.defer(() => client.end())
  assert.deepEqual((await client.query('SELECT current_user AS role')).rows, [{ role: user }])
  assert.deepEqual(readdirSync(folder).sort(), before)
})
