// Wrong settings end every command with 78 and one report of all of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runPglease } from './kit/pglease.ts'
import { runWithBrokenFile, runWithWrong, SECRET, unreported, WRONG_SETTINGS } from './scenarios/settings.ts'

test('many kinds of wrong settings are all reported at once, by every command that needs them', async () => {
  for (const command of [[], ['check'], ['check', '--online']]) {
    const result = await runWithWrong(command)
    assert.equal(result.code, 78, result.stderr)
    assert.equal(result.stdout, '')
    assert.deepEqual(unreported(result), [], result.stderr)
    const count = Number(/^pglease: (\d+) mistakes in the configuration$/m.exec(result.stderr)?.[1])
    assert.equal(count, WRONG_SETTINGS.length, `one mistake for each\n${result.stderr}`)
    assert.ok(!result.stderr.includes(SECRET), 'no secret is shown')
  }
})

test('commands that ask a running pglease are told of the settings that they need', async () => {
  for (const command of [['healthcheck'], ['wait', '--max', '1s']]) {
    const { code, stdout, stderr } = await runWithWrong(command)
    assert.deepEqual([code, stdout], [78, ''])
    assert.match(stderr, /^pglease: a mistake in the configuration\n {2}http_port .*"many" is not a whole number\. .*\n$/)
  }
})

test('each kind alone is one mistake', async () => {
  for (const wrong of WRONG_SETTINGS) {
    const result = await runWithWrong(['check'], [wrong])
    assert.equal(result.code, 78, wrong.kind)
    assert.match(result.stderr, /^pglease: a mistake in the configuration\n/, `${wrong.kind}\n${result.stderr}`)
    assert.deepEqual(unreported(result, [wrong]), [], result.stderr)
  }
})

test('a file that cannot be read as settings is refused with the place', async () => {
  const reference = (line: number) => (line === 0 ? 'a' : `b${line - 1}`)
  const bomb = Array.from({ length: 30 }, (_, line) => `b${line}: &b${line} [*${reference(line)}, *${reference(line)}]\n`).join('')
  for (const [kind, text, report] of [
    ['no YAML', 'databases: {\n  app: [', /yaml:2\) the indentation is wrong/],
    ['a key twice', 'http_port: 1\nhttp_port: 2\ndatabases: {}\n', /yaml:2\) the same name stands here twice/],
    ['a list', '- a\n- b\n', /yaml\) is not a list of settings/],
    ['several documents', 'a: b\n---\nc: d\n', /yaml:\d\) there is more than one document/],
    ['aliases that explode', `a: &a [x, x]\n${bomb}`, /b29 .* is not a setting/],
    ['bytes', 'default_pool_size: "\u0000\u0001"\n', /default_pool_size .*"\\u0000\\u0001" is not a whole number/],
    ['databases that are none', 'databases:\n  app: 5\n', /databases\.app .*yaml:2\) holds no settings/],
    ['a deep nest', '['.repeat(20_000), /yaml:1\) /],
    ['much too large', 'x'.repeat(3_000_000), /yaml\) is too large or too deeply nested/],
  ] as const) {
    const { code, stderr, stdout } = await runWithBrokenFile(text)
    assert.equal(code, 78, `${kind}: ${stderr}`)
    assert.equal(stdout, '')
    assert.match(stderr, report, kind)
    assert.ok(stderr.split('\n').length < 50, `${kind}: the report is short\n${stderr.slice(0, 2000)}`)
  }
})

test('no database is a mistake, also with nothing else set', async () => {
  const { code, stderr } = await runPglease(['check'], {})
  assert.equal(code, 78)
  assert.match(stderr, /database/)
})
