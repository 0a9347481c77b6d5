// The commands of the binary: what they print, with which status they end, and that a hostile directory does not reach them.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBadWire } from './kit/bad-wire.ts'
import { type Child, freePort, poll } from './kit/child.ts'
import { type PgleaseResult, runPglease } from './kit/pglease.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault, type VaultServer } from './kit/vault.ts'
import {
  type AppRole,
  appRole,
  appRoleSettings,
  createToken,
  type DatabaseMount,
  databasePolicy,
  mountDatabase,
  tokenAccessors,
} from './kit/vault-database.ts'

const DATABASES = { app: { host: 'db.internal', user: 'u', password: 'hunter2' } }

test('version says version, commit and runtime', async () => {
  const { code, stdout, stderr } = await runPglease(['version'])
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^pglease \d+\.\d+\.\d+ \(commit ([0-9a-f]{12}(-dirty)?|unknown), Bun \d+\.\d+\.\d+\)\n$/)
})

test('--help and help show commands, flags and examples', async () => {
  for (const [command = '', ...wanted] of [
    ['--help', 'serve', 'check', 'healthcheck', 'wait', 'version', 'Examples:', 'DB_HOST=db.internal DB_NAME=app VAULT_PATH='],
    ['serve --help', '--listen-port', '--config', 'Examples:'],
    ['check --help', '--online', 'Examples:'],
    ['healthcheck --help', '--startup', '--ready', '--live'],
    ['help settings', 'query_wait_timeout', 'vault_path'],
    ['help exit', '78', 'configuration'],
    ['help signals', 'TERM'],
  ]) {
    const { code, stdout, stderr } = await runPglease(command.split(' '))
    assert.deepEqual([code, stderr], [0, ''], command)
    for (const text of wanted) assert.ok(stdout.includes(text), `${command} shows ${text}\n${stdout}`)
  }
})

test('a wrong command line ends with 64 and shows no value that may be secret', async () => {
  for (const [command, report] of [
    ['sevre', /Did you mean serve/],
    ['serve --listen-prot 1', /unknown option '--listen-prot'/],
    ['serve --vault-token=hunter2', /a secret has no flag: set PGLEASE_VAULT_TOKEN/],
    ['serve --no-such=hunter2', /unknown option '--no-such'/],
    ['help nothing', /no topic/],
    ['healthcheck --live --ready', /takes one of/],
    ['wait --max soon', /not a duration/],
  ] as const) {
    const { code, stdout, stderr } = await runPglease(
      command.split(' '),
      command.startsWith('help') ? {} : { config: { databases: DATABASES } },
    )
    assert.deepEqual([code, stdout], [64, ''], `${command}: ${stderr}`)
    assert.match(stderr, report)
    assert.ok(!stderr.includes('hunter2'))
  }
})

test('check shows every effective value with its source and no secret', async () => {
  const { code, stdout } = await runPglease(['check'], {
    config: { default_pool_size: 7, databases: DATABASES },
    env: { PGLEASE_QUERY_WAIT_TIMEOUT: '90s', VAULT_TOKEN: 'hunter2-token' },
    args: ['--max-client-conn', '55'],
  })
  assert.equal(code, 0)
  assert.match(stdout, /^default_pool_size +7 +file .*pglease\.yaml:\d+$/m)
  assert.match(stdout, /^query_wait_timeout +90s +PGLEASE_QUERY_WAIT_TIMEOUT$/m)
  assert.match(stdout, /^max_client_conn +55 +--max-client-conn$/m)
  assert.match(stdout, /^server_lifetime +1h +built-in$/m)
  assert.match(stdout, /^databases\.app\.password +\[redacted\] +file /m)
  assert.match(stdout, /^vault_token +\[redacted\] +VAULT_TOKEN$/m)
  assert.ok(!stdout.includes('hunter2'))
})

const missing = await noVault()

interface Online {
  vault: VaultServer
  mount: DatabaseMount
  login: AppRole
  check(change?: {
    top?: Record<string, unknown>
    facts?: Record<string, unknown>
    during?: (child: Child) => Promise<void>
    env?: Record<string, string>
  }): Promise<PgleaseResult>
}

async function online(run: Scenario, without: readonly ('creds' | 'revoke')[] = []): Promise<Online> {
  const [vault, postgres] = [await sharedVault(), await sharedPostgres()]
  const mount = await mountDatabase(vault, postgres, { defaultTtl: 60, maxTtl: 120 })
  run.defer(() => mount.dispose())
  const login = await appRole(vault, { policy: databasePolicy(mount, without), tokenTtl: 60 })
  const { host, port } = postgres
  const database = { host, port, dbname: 'postgres', vault_path: mount.path, server_tls_sslmode: 'disable' }
  const check: Online['check'] = ({ top = {}, facts = {}, during, env = {} } = {}) =>
    runPglease(
      ['check', '--online'],
      {
        config: { ...appRoleSettings(vault, login), ...top, databases: { app: { ...database, ...facts } } },
        ...(during && { during }),
        env,
      },
      60_000,
    )
  return { vault, mount, login, check }
}

scenario('check --online leases, logs in and revokes, and leaves nothing behind', async (run) => {
  if (missing && skip(missing)) return
  const { vault, mount, login, check } = await online(run)
  const before = (await tokenAccessors(vault)).length
  const { code, stdout, stderr } = await check()
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /^ok {4} {2}.*Vault.* \(\d+ ms\)$/m)
  assert.match(stdout, /^ok {4} {2}log in to 127\.0\.0\.1:\d+, database postgres \(\d+ ms\)$/m)
  assert.match(stdout, /^ok {4} {2}revoke .*$/m)
  assert.match(stdout, /^all steps passed$/m)
  assert.deepEqual([await mount.leases(), await mount.leasedRoles()], [[], []])
  assert.equal((await tokenAccessors(vault)).length, before)
  assert.ok(!(stdout + stderr).includes(login.secretId))
})

scenario('a proxy of the environment is not asked for a Vault on this machine', async (run) => {
  if (missing && skip(missing)) return
  const { check } = await online(run)
  const { code, stdout } = await check({ env: { http_proxy: `http://127.0.0.1:${await freePort()}` } })
  assert.equal(code, 0, stdout)
})

scenario('check --online names the step that failed, says why, and ends with 1', async (run) => {
  if (missing && skip(missing)) return
  const { mount, check } = await online(run)
  const closed = await freePort()
  for (const [change, step, why] of [
    [{ top: { vault_addr: `http://127.0.0.1:${closed}` } }, /Vault/, /Vault is unreachable/],
    [{ top: { vault_secret_id: 'wrong' } }, /Vault/, /login to Vault failed|Vault denied|Vault refused/],
    [{ facts: { vault_path: `${mount.mount}/creds/nowhere` } }, /lease .*nowhere/, /Vault (denied access|has nothing|refused)/],
    [{ facts: { port: closed } }, /log in to 127\.0\.0\.1/, /connection to the server failed/],
    [{ facts: { dbname: 'nowhere' } }, /log in to .*nowhere/, /no such database/],
    [{ facts: { server_tls_sslmode: 'require' } }, /log in to 127\.0\.0\.1/, /TLS to the server failed/],
    [{ facts: { server_require_auth: ['trust'] } }, /log in to 127\.0\.0\.1/, /server_require_auth/],
  ] as const) {
    const { code, stdout, stderr } = await check(change)
    assert.equal(code, 1, `${JSON.stringify(change)}\n${stdout}${stderr}`)
    const failed = /^FAILED {2}(.*) \(\d+ ms\): (.*)$/m.exec(stdout)
    assert.match(String(failed?.[1]), step, stdout)
    assert.match(String(failed?.[2]), why, stdout)
    assert.match(stdout, /^the step that failed: .*$/m)
    assert.deepEqual(await mount.leases(), [], 'what was leased is revoked all the same')
  }
})

test('a reader that has seen enough is no failure; a full disk is one', async () => {
  const databases = Object.fromEntries(
    Array.from({ length: 100 }, (_, each) => [`database${each}`, { host: 'h', user: 'u', password: 'p' }]),
  )
  const through = (shell: string) =>
    runPglease(['check'], { config: { databases }, wrapper: ['bash', '-o', 'pipefail', '-c', `"$@" ${shell}`, 'bash'] })
  const seen = await through('| head -1')
  assert.deepEqual([seen.code, seen.stderr, seen.stdout.split('\n').length], [0, '', 2])
  const unread = await through('| true')
  assert.deepEqual([unread.code, unread.stderr, unread.stdout], [0, '', ''])
  const full = await through('> /dev/full')
  assert.deepEqual([full.code, full.stderr], [70, 'pglease: the output could not be written (ENOSPC)\n'])
  const slow = await through('| (read -r line; cat)')
  assert.match(slow.stdout, /^databases\.database99\.connect_query .*\n$/m)
})

scenario('check --online logs in to every database, also without a password', async () => {
  const { host, port } = await sharedPostgres()
  const database = { host, port, dbname: 'postgres', user: 'nobody_of_that_name', server_tls_sslmode: 'disable' }
  const { code, stdout } = await runPglease(['check', '--online'], { config: { databases: { app: database } } })
  assert.equal(code, 1, stdout)
  assert.match(stdout, /^FAILED {2}log in to 127\.0\.0\.1:\d+, database postgres \(\d+ ms\): .*28P01/m)
})

scenario('check --online says what it could not revoke', async (run) => {
  if (missing && skip(missing)) return
  const { vault, mount, check } = await online(run)
  const rule = `path "sys/leases/revoke/${mount.path}/*" { capabilities = ["update"] }`
  const token = await createToken(vault, databasePolicy(mount, ['revoke']), 60)
  const foreign = await check({ top: { vault_auth_method: 'token', vault_token: token } })
  assert.equal(foreign.code, 1, foreign.stdout)
  assert.match(foreign.stdout, /^FAILED {2}revoke .* ms\): the policy does not allow leases to be revoked/m)
  assert.ok(foreign.stdout.includes(rule), foreign.stdout)
  assert.equal((await mount.leases()).length, 1)
  await vault.send('PUT', `sys/leases/revoke-force/${mount.path}`)
  // our own token takes its leases with it, but a pglease that serves would leave each to its end
  const own = await (await online(run, ['revoke'])).check()
  assert.equal(own.code, 0, own.stdout)
  assert.match(own.stdout, /^ok {6}revoke .* ms\): the policy does not allow leases to be revoked/m)
})

scenario('check --online that is interrupted revokes what it leased', async (run) => {
  if (missing && skip(missing)) return
  const wire = await startBadWire(await sharedPostgres())
  run.defer(() => wire.stop())
  wire.hold()
  const { mount, check } = await online(run)
  const during = async (child: Child) => {
    await poll('a lease', async () => (await mount.leases()).length === 1 || undefined)
    child.signal('SIGINT')
  }
  const { code, stdout } = await check({ facts: { host: wire.host, port: wire.port }, during })
  assert.equal(code, 1, stdout)
  assert.match(stdout, /^FAILED {2}the check \(\d+ ms\): interrupted by SIGINT$/m)
  assert.deepEqual([await mount.leases(), await mount.leasedRoles()], [[], []])
})

scenario('healthcheck and wait ask the pglease of the same configuration', async (run) => {
  const postgres = await sharedPostgres()
  const wire = await startBadWire(postgres)
  run.defer(() => wire.stop())
  wire.stopListening()
  const { superuser: user, password } = postgres
  const config = {
    http_port: await freePort(),
    databases: { app: { host: wire.host, port: wire.port, dbname: 'postgres', user, password, server_tls_sslmode: 'disable' } },
  }
  const ask = (...command: string[]) => runPglease(command, { config })
  const absent = await ask('healthcheck')
  assert.equal(absent.code, 1)
  assert.match(absent.stderr, /cannot be reached/)
  assert.equal((await ask('wait', '--max', '1s')).code, 75)
  const pglease = await run.pglease({ config })
  assert.equal((await ask('healthcheck', '--live')).code, 0)
  for (const question of [[], ['--ready'], ['--startup']]) {
    const unready = await ask('healthcheck', ...question)
    assert.equal(unready.code, 1)
    assert.match(unready.stderr, /answered 503: .*app.*connection to the server failed/)
  }
  assert.equal((await ask('wait', '--max', '1s')).code, 75)
  const waiting = ask('wait', '--max', '30s')
  await wire.listen()
  assert.equal((await waiting).code, 0)
  for (const question of [[], ['--ready'], ['--startup'], ['--live']]) {
    const { code, stdout } = await ask('healthcheck', ...question)
    assert.deepEqual([code, stdout], [0, 'ok\n'])
  }
  await pglease.stop()
  assert.equal((await ask('healthcheck', '--live')).code, 1)
})

test('a port that is taken ends serve with 69 and names the setting', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  for (const setting of ['listen_port', 'http_port', 'admin_port']) {
    const { code, stderr } = await runPglease([], { config: { [setting]: port, databases: DATABASES } })
    assert.equal(code, 69, stderr)
    assert.match(stderr, new RegExp(setting))
  }
  server.close()
  const { code, stderr } = await runPglease([], { config: { unix_socket_dir: '/nonexistent', http_port: 0, databases: DATABASES } })
  assert.equal(code, 69, stderr)
  assert.match(stderr, /ENOENT .*\. Create the directory, or set unix_socket_dir to another one\./)
})

test('files of the working directory are not read: .env, bunfig.toml, package.json, tsconfig.json', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hostile-directory-'))
  try {
    const file = (name: string, text: string) => writeFileSync(join(folder, name), text)
    const evil = `require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'reached'))}, 'x'); process.exit(99)`
    file('evil.cjs', evil)
    file('bunfig.toml', 'preload = ["./evil.cjs"]\n[run]\npreload = ["./evil.cjs"]\n[test]\npreload = ["./evil.cjs"]\n')
    for (const name of ['.env', '.env.local', '.env.production', '.env.development']) {
      file(
        name,
        'NODE_TLS_REJECT_UNAUTHORIZED=0\nPGLEASE_NO_SUCH_SETTING=1\nPGLEASE_DEFAULT_POOL_SIZE=31337\nBUN_OPTIONS=--preload=./evil.cjs\n',
      )
    }
    file('package.json', '{"name":"evil","main":"evil.cjs","scripts":{"preload":"./evil.cjs"},"imports":{"#*":"./evil.cjs"}}')
    file('tsconfig.json', '{"compilerOptions":{"paths":{"*":["./evil.cjs"]}}}')
    for (const command of [['check'], ['version'], ['--help']]) {
      const { code, stdout, stderr } = await runPglease(
        command,
        command[0] === 'check' ? { config: { databases: DATABASES }, cwd: folder } : { cwd: folder },
      )
      assert.equal(code, 0, stderr)
      assert.ok(!stdout.includes('31337'))
      assert.equal(existsSync(join(folder, 'reached')), false)
    }
    const served = await runPglease(['check'], { config: { databases: DATABASES }, cwd: folder })
    assert.match(served.stdout, /^default_pool_size +20 +built-in$/m)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('serve refuses to start while NODE_TLS_REJECT_UNAUTHORIZED is 0', async () => {
  for (const command of [[], ['check'], ['check', '--online']]) {
    const { code, stderr } = await runPglease(command, { config: { databases: DATABASES }, env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })
    assert.equal(code, 78)
    assert.match(stderr, /NODE_TLS_REJECT_UNAUTHORIZED switches off the verification of every certificate\. Unset it/)
  }
})
