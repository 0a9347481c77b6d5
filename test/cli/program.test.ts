// The command line: commands, flags, texts and exit statuses.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CliIo, HttpAnswer, OnlineStep } from '../../src/cli/context.ts'
import { EXIT, EXIT_MEANINGS } from '../../src/cli/exit.ts'
import { runCommandLine } from '../../src/cli/program.ts'
import type { Clock } from '../../src/clock.ts'
import type { LoadedSettings } from '../../src/settings/settings.ts'

/** Time passes only in timers, which run at once. */
class HastyClock implements Clock {
  now = 0
  monotonicMs = () => this.now
  wallMs = () => this.now
  random = () => 0
  after(delayMs: number, task: () => void) {
    this.now += delayMs
    queueMicrotask(task)
    return { cancel() {} }
  }
}

interface Outcome {
  readonly exit: number
  readonly out: string
  readonly err: string
  readonly urls: readonly string[]
  readonly served: readonly LoadedSettings[]
  readonly ms: number
}

const ENV = { DB_HOST: 'localhost', DB_NAME: 'app', VAULT_PATH: 'database/creds/r', VAULT_TOKEN: 'hunter2' }

interface World {
  readonly env?: Readonly<Record<string, string>>
  readonly answers?: readonly (HttpAnswer | Error)[]
  readonly steps?: readonly OnlineStep[]
  readonly serve?: () => Promise<number>
}

async function run(argv: readonly string[], world: World = {}): Promise<Outcome> {
  const clock = new HastyClock()
  const urls: string[] = []
  const served: LoadedSettings[] = []
  let out = ''
  let err = ''
  const io: CliIo = {
    env: world.env ?? ENV,
    readFile: () => {
      throw Object.assign(new Error('none'), { code: 'ENOENT' })
    },
    clock,
    write: (text) => {
      out += text
    },
    writeError: (text) => {
      err += text
    },
    get: async (url) => {
      const answer = world.answers?.[Math.min(urls.length, world.answers.length - 1)] ?? new Error('refused')
      urls.push(url)
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const exit = await runCommandLine(argv, io, {
    serve: async (loaded) => {
      served.push(loaded)
      return world.serve ? await world.serve() : EXIT.done
    },
    checkOnline: async () => ({ steps: world.steps ?? [] }),
  })
  return { exit, out, err, urls, served, ms: clock.now }
}

test('serve is the default command and takes every setting but secrets as a flag', async () => {
  for (const argv of [[], ['serve'], ['--listen-port', '7000', '--no-such']]) {
    const { exit, served } = await run(argv)
    assert.equal(exit, argv.includes('--no-such') ? EXIT.usage : EXIT.done)
    assert.equal(served.length, argv.includes('--no-such') ? 0 : 1)
  }
  const { served } = await run(['--listen-port', '7000', '--log-connections=false', '--quitquitquit', '--listen-addr', ''], {
    env: { ...ENV, PGLEASE_UNIX_SOCKET_DIR: '/run' },
  })
  assert.equal(served[0]?.settings.listen_port, 7000)
  assert.equal(served[0]?.settings.log_connections, false)
  assert.equal(served[0]?.settings.quitquitquit, true)
  assert.deepEqual(served[0]?.settings.listen_addr, [])
  assert.equal(served[0]?.sources.get('listen_port'), '--listen-port')
})

test('serve hands on its exit status, and a bug becomes 70', async () => {
  assert.equal((await run([], { serve: async () => EXIT.terminated })).exit, 143)
  const broken = await run([], { serve: () => Promise.reject(new Error('broken')) })
  assert.equal(broken.exit, EXIT.internal)
  assert.equal(broken.err, 'pglease: internal error: broken\n')
})

test('mistakes end serve and check with 78, all on standard error', async () => {
  for (const command of [[], ['serve'], ['check'], ['check', '--online']]) {
    const { exit, out, err, served } = await run([...command, '--http-port', 'x', '--listen-addr', '0.0.0.0'])
    assert.equal(exit, EXIT.configuration)
    assert.equal(out, '')
    assert.equal(served.length, 0)
    assert.match(
      err,
      /^pglease: 2 mistakes in the configuration\n {2}http_port \(--http-port\) "x" is not a whole number\. .*\n {2}listen_addr \(--listen-addr\) /,
    )
  }
  assert.equal((await run([], { env: {} })).exit, EXIT.configuration)
})

test('healthcheck and wait need to know no more than where to ask', async () => {
  const answers = [{ status: 200, body: '' }]
  for (const command of ['healthcheck', 'wait']) {
    for (const env of [{}, { PGLEASE_HTTP_PORT: '1234', PGLEASE_POOL_MODE: 'nonsense', DB_HOST: 'db', DB_NAME: '' }]) {
      const { exit, err, urls } = await run([command], { env, answers })
      assert.deepEqual([exit, err, urls], [EXIT.done, '', [`http://127.0.0.1:${'DB_HOST' in env ? 1234 : 9090}/readyz`]])
    }
    const { exit, err } = await run([command, '--config', 'gone.yaml', '--http-port', 'x', '--listen-port', 'y'], { answers })
    assert.equal(exit, EXIT.configuration)
    assert.match(err, /^pglease: 2 mistakes .*\n {2}config \(--config\) .*\n {2}http_port \(--http-port\) /)
  }
})

test('check shows every effective value with its source and no secret', async () => {
  const { exit, out } = await run(['check', '--default-pool-size', '5'])
  assert.equal(exit, EXIT.done)
  assert.match(out, /^default_pool_size +5 +--default-pool-size$/m)
  assert.match(out, /^databases\.app\.host +localhost +DB_HOST$/m)
  assert.match(out, /^vault_token +\[redacted\] +VAULT_TOKEN$/m)
  assert.ok(!out.includes('hunter2'))
})

test('check --online names the step that failed', async () => {
  const steps = [
    { name: 'Vault login', ok: true, ms: 12.4 },
    { name: 'lease database/creds/r', ok: false, ms: 3, detail: 'Vault denied access' },
  ]
  const failed = await run(['check', '--online'], { steps })
  assert.equal(failed.exit, EXIT.failed)
  assert.match(
    failed.out,
    /ok {6}Vault login \(12 ms\)\nFAILED {2}lease database\/creds\/r \(3 ms\): Vault denied access\nthe step that failed: lease database\/creds\/r\n$/,
  )
  assert.equal((await run(['check', '--online'], { steps: steps.slice(0, 1) })).exit, EXIT.done)
})

test('healthcheck asks one question on loopback', async () => {
  const ok = { status: 200, body: '' }
  assert.deepEqual((await run(['healthcheck'], { answers: [ok] })).urls, ['http://127.0.0.1:9090/readyz'])
  assert.deepEqual((await run(['healthcheck', '--live'], { answers: [ok] })).urls, ['http://127.0.0.1:9090/livez'])
  const startup = await run(['healthcheck', '--startup', '--http-port', '1234', '--http-addr', '::'], { answers: [ok] })
  assert.deepEqual(startup.urls, ['http://[::1]:1234/startupz'])
  assert.equal(startup.exit, EXIT.done)
  const body = JSON.stringify({
    status: 'failed',
    checks: [
      { name: 'app', ok: false, reason: 'no credential yet' },
      { name: 'x', ok: true },
    ],
  })
  const unready = await run(['healthcheck'], { answers: [{ status: 503, body }] })
  assert.equal(unready.exit, EXIT.failed)
  assert.equal(unready.err, 'pglease: http://127.0.0.1:9090/readyz answered 503: app (no credential yet)\n')
  assert.match((await run(['healthcheck'], { answers: [{ status: 302, body: '<html>' }] })).err, /answered 302\n/)
  assert.match((await run(['healthcheck'])).err, /cannot be reached/)
  assert.equal((await run(['healthcheck', '--http-addr', ''])).exit, EXIT.failed)
  assert.equal((await run(['healthcheck', '--live', '--ready'])).exit, EXIT.usage)
})

test('wait asks until it is ready, or gives up in time', async () => {
  const later = await run(['wait', '--max', '5s'], {
    answers: [new Error('refused'), { status: 503, body: '' }, { status: 200, body: '' }],
  })
  assert.equal(later.exit, EXIT.done)
  assert.equal(later.urls.length, 3)
  const never = await run(['wait', '--max', '2s'])
  assert.equal(never.exit, EXIT.timedOut)
  assert.ok(never.ms <= 2000 && never.ms >= 1500, String(never.ms))
  assert.equal((await run(['wait', '--max', 'soon'])).exit, EXIT.usage)
})

test('usage errors say what was meant and show no secret', async () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [['chek'], /Did you mean check\?/],
    [['--vault-token=hunter2'], /a secret has no flag: set PGLEASE_VAULT_TOKEN/],
    [['--vault-tken=hunter2'], /unknown option '--vault-tken'/],
    [['--listen-prot', '1'], /Did you mean --listen-port/],
    [['--listen-port'], /argument missing/],
    [['check', 'extra'], /too many arguments/],
    [['--config', 'x.yaml', 'check', '--online'], /flags follow the command: pglease check --config \.\.\./],
    [['--log-level=debug', 'wait'], /flags follow the command: pglease wait --log-level \.\.\./],
    [['help', 'setings'], /Did you mean settings\?/],
  ]
  for (const [argv, expected] of cases) {
    const { exit, err } = await run(argv)
    assert.equal(exit, EXIT.usage, argv.join(' '))
    assert.match(err, expected)
    assert.ok(!err.includes('hunter2'), err)
  }
})

test('help lists what exists, with examples for each command', async () => {
  const { exit, out } = await run(['--help'], { env: {} })
  assert.equal(exit, EXIT.done)
  for (const command of ['serve', 'check', 'healthcheck', 'wait', 'version', 'help']) {
    assert.match(out, new RegExp(`^ {2}${command} `, 'm'))
    assert.match((await run([command, '--help'])).out, /\nExamples:\n {2}\S/)
    assert.match((await run(['help', command])).out, /\nExamples:\n {2}\S/)
  }
  assert.doesNotMatch(out, /^ {2}(?:quit|top|convert)\b/m)
  assert.match((await run(['serve', '--help'])).out, /--server-tls-sslmode/)
  assert.doesNotMatch((await run(['serve', '--help'])).out, /--vault-token[^-]/)
  assert.match((await run(['help', 'signals'])).out, /^ {2}HUP, USR1, USR2 {2}/m)
  for (const topic of ['settings', 'environment', 'signals']) assert.ok((await run(['help', topic])).out.length > 200)
})

test('version names version, commit and runtime', async () => {
  assert.equal((await run(['--version'], { env: {} })).out, (await run(['version'])).out)
  assert.match((await run(['version'], { env: {} })).out, /^pglease \d+\.\d+\.\d+ \(commit \S+, (?:Bun|Deno) \d+\.\d+\.\d+\)\n$/)
})

test('exit statuses are the promised ones', async () => {
  assert.deepEqual(Object.values(EXIT), [0, 1, 64, 69, 70, 75, 78, 130, 131, 143])
  const { out } = await run(['help', 'exit'])
  for (const meaning of Object.values(EXIT_MEANINGS)) assert.ok(out.includes(meaning))
})
