// Whatever the file and the environment hold: loading never throws, and no text of its results holds a secret.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { effectiveText, mistakesText, warningsText } from '../../src/cli/report.ts'
import { GLOBALS, PER_DATABASE } from '../../src/settings/declarations.ts'
import { type Given, loadFrom } from './load_kit.ts'

const SECRET = 'hunter2secret'
const SECRET_NAMES = [...GLOBALS, ...PER_DATABASE].filter(([, row]) => row.kind === 'secret' || row.kind === 'url').map(([name]) => name)

function everyText(given: Given): string {
  const result = loadFrom(given)
  const text = 'mistakes' in result ? mistakesText(result.mistakes) : effectiveText(result)
  return text + warningsText(result.warnings) + JSON.stringify(result)
}

const names = fc.oneof(
  fc.constantFrom(...GLOBALS.keys(), ...PER_DATABASE.keys(), 'databases', 'users', 'password_file'),
  fc.string({ maxLength: 12 }),
)
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.string({ maxLength: 20 }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(names, tie('node'), { maxKeys: 5 }),
  ),
})).node

test('any YAML text loads or is refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (yaml) => void everyText({ yaml })),
    { numRuns: 500 },
  )
})

test('any tree under known and unknown names loads or is refused', () => {
  fc.assert(
    fc.property(fc.dictionary(names, tree, { maxKeys: 6 }), fc.dictionary(names, tree, { maxKeys: 3 }), (top, databases) => {
      void everyText({ yaml: JSON.stringify({ ...top, databases }) })
    }),
    { numRuns: 300 },
  )
})

test('any environment loads or is refused', () => {
  const name = fc.oneof(
    fc.constantFrom(
      ...[...GLOBALS.keys()].map((each) => `PGLEASE_${each.toUpperCase()}`),
      'DB_HOST',
      'DB_NAME',
      'DB_PORT',
      'VAULT_PATH',
      'VAULT_ADDR',
      'BAO_ADDR',
      'TLS_MODE',
      'PGLEASE_CONFIG',
    ),
    fc.string({ maxLength: 8 }).map((text) => `PGLEASE_${text}`),
  )
  fc.assert(
    fc.property(fc.dictionary(name, fc.string({ maxLength: 20 })), (env) => void everyText({ env })),
    { numRuns: 500 },
  )
})

test('secrets of every source stay hidden, whatever stands around them', () => {
  const around = fc.string({ maxLength: 6 })
  const holder = fc.constantFrom(...SECRET_NAMES)
  fc.assert(
    fc.property(around, around, holder, holder, fc.boolean(), (before, after, inFile, inEnvironment, listed) => {
      const value = `${before}${SECRET}${after}`
      const yaml = JSON.stringify({
        [inFile]: listed ? [value] : value,
        databases: { app: { host: 'db', user: 'u', [inFile]: value, password_file: '/p' } },
      })
      const env = {
        [`PGLEASE_${inEnvironment.toUpperCase()}`]: value,
        VAULT_TOKEN: value,
        BAO_SECRET_ID: value,
        VAULT_ADDR: `https://u:${value}@vault`,
      }
      const text = everyText({ yaml, env, files: { '/p': value } })
      assert.ok(!text.includes(SECRET), text)
    }),
    { numRuns: 300 },
  )
})

test('secrets of a configuration that loads stay hidden', () => {
  const loaded = loadFrom({
    env: { DB_HOST: 'localhost', DB_NAME: 'a', VAULT_PATH: 'database/creds/r', VAULT_TOKEN: SECRET, VAULT_SECRET_ID: SECRET },
  })
  assert.ok('settings' in loaded)
  const text = effectiveText(loaded) + JSON.stringify(loaded)
  assert.match(text, /vault_token +\[redacted\] +VAULT_TOKEN/)
  assert.ok(!text.includes(SECRET))
})
