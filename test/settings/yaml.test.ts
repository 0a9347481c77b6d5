// The YAML file: lines of mistakes, and nothing of the file in them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bad, good, lines, ONE } from './load_kit.ts'

const first = (yaml: string) => lines(bad({ yaml }))[0]!

test('lists, aliases, quotes and comments work; scalars keep their text', () => {
  const yaml = `# comment
listen_addr: [127.0.0.1]
unix_socket_mode: 0700
ignore_startup_parameters: "a, b"
databases:
  one: &base
    host: db
    user: yes
    password: 1e3
    connect_query: |
      select 1;
      select 2
  two: *base
`
  const { settings, sources } = good({ yaml })
  assert.deepEqual(settings.listen_addr, ['127.0.0.1'])
  assert.equal(settings.unix_socket_mode, 0o700)
  assert.deepEqual(settings.ignore_startup_parameters, ['a', 'b'])
  const two = settings.databases.get('two')!
  assert.equal(two.user, 'yes')
  assert.equal(two.password?.reveal(), '1e3')
  assert.equal(two.connect_query, 'select 1;\nselect 2\n')
  assert.equal(sources.get('databases.one.password'), 'file config.yaml:9')
})

test('syntax errors name the line and quote nothing', () => {
  const cases: readonly [string, RegExp][] = [
    ['listen_port: 1\nvault_token hunter2\nhttp_port: 2\n', /^config \| file config\.yaml:[23] \|/],
    ['vault_token: "hunter2\n', /^config \| file config\.yaml:\d \| a character is missing/],
    ['vault_token: @hunter2\n', /^config \| file config\.yaml:1 \|/],
    ['vault_token: *hunter2\n', /^config \| file config\.yaml:1 \||^vault_token/],
    ['a: {hunter2\n', /^config \| file config\.yaml:\d/],
    ['listen_port: 1\nlisten_port: 2\n', /^config \| file config\.yaml:2 \| the same name stands here twice/],
    ['--- \na: 1\n---\nb: 2\n', /more than one document/],
    ['hunter2\n', /^config \| file config\.yaml \| is not a list of settings/],
    ['- hunter2\n', /^config \| file config\.yaml \| is not a list of settings/],
    [`${'['.repeat(20_000)}`, /^config \|/],
    [`a: ${'x'.repeat(1_100_000)}`, /too large/],
  ]
  for (const [yaml, expected] of cases) {
    const found = lines(bad({ yaml }))
    assert.match(found[0]!, expected)
    assert.ok(!found.join().includes('hunter2'), found.join())
  }
})

test('wrong shapes are named', () => {
  assert.match(first('databases: x\n'), /^databases \| file config\.yaml:1 \| is not a list of named databases/)
  assert.match(first('databases:\n  app:\n'), /^databases\.app \| file config\.yaml:2 \| holds no settings/)
  assert.match(first(`listen_port:\n${ONE}`), /^listen_port \| file config\.yaml:1 \| has no value/)
  assert.match(first(`listen_port: { a: 1 }\n${ONE}`), /^listen_port \| file config\.yaml:1 \| holds further settings/)
  assert.match(first(`listen_addr: [[1]]\n${ONE}`), /^listen_addr \|.*has no value/)
  assert.match(first(`auth_file: x\n${ONE}`), /^auth_file \| file config\.yaml:1 \| is not supported yet/)
  assert.match(first(`logfile: x\n${ONE}`), /^logfile \|.*pglease logs to standard error/)
  assert.match(
    first('databases:\n  app: { host: h, user: u, listen_port: 1 }\n'),
    /^databases\.app\.listen_port \|.*belongs to the whole process/,
  )
  assert.match(first(`"token=hunter2": 1\n${ONE}`), /^config \| file config\.yaml:1 \| is not a setting/)
})

test('password and password_file together, or a missing file, are mistakes', () => {
  const both = lines(bad({ yaml: 'databases:\n  app: { host: h, user: u, password: hunter2, password_file: /p }\n', files: { '/p': 'x' } }))
  assert.deepEqual(both, ['databases.app.password | file config.yaml:2 | is set twice, also by password | Keep one of the two.'])
  assert.match(
    first('databases:\n  app: { host: h, user: u, password_file: hunter2 }\n'),
    /^databases\.app\.password_file \| file config\.yaml:2 \| names a file that cannot be read \(ENOENT\) \| Name/,
  )
})
