// The declarations and what is generated from them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DATABASE_ROWS, GLOBALS, PER_DATABASE, TOPICS } from '../../src/settings/declarations.ts'
import { settingsManual } from '../../src/settings/manual.ts'
import { whyRefused } from '../../src/settings/refused.ts'

test('docs/settings.md is what the declarations say', () => {
  assert.equal(readFileSync(new URL('../../docs/settings.md', import.meta.url), 'utf8'), settingsManual())
})

test('every setting stands in one topic, with a sentence of help', () => {
  const named = [...TOPICS.values()].flatMap((rows) => Object.keys(rows))
  assert.deepEqual([...named].sort(), [...new Set([...GLOBALS.keys(), ...Object.keys(DATABASE_ROWS)])].sort())
  for (const [name, row] of [...GLOBALS, ...PER_DATABASE]) {
    assert.match(row.help, /^[A-Z`].*\.$/, name)
    assert.equal(whyRefused(name), undefined, name)
  }
})
