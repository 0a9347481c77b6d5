import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saslprep } from '../../src/wire/saslprep.ts'

test('passwords are prepared as PostgreSQL prepares them', () => {
  const rows: [string, string, string][] = [
    ['ASCII is left alone', 'p w\x07~', 'p w\x07~'],
    ['RFC 4013: soft hyphen goes', 'I\u00adXé', 'IXé'],
    ['RFC 4013: compatibility characters', '\u00aa', 'a'],
    ['RFC 4013: Roman numeral', '\u2168', 'IX'],
    ['other spaces become spaces', 'a\u00a0b\u3000c', 'a b c'],
    ['a zero width space is a space for PostgreSQL', 'a\u200bb', 'a b'],
    ['composition', 'e\u0301', '\u00e9'],
    ['prohibited: used as it is', '\u2168\u0080', '\u2168\u0080'],
    ['private use: used as it is', '\u2168\ue000', '\u2168\ue000'],
    ['unassigned in Unicode 3.2: used as it is', '\u2168\u1d43', '\u2168\u1d43'],
    ['an emoji of later years', '\u{1f600}\u2168', '\u{1f600}\u2168'],
    ['right to left', '\u0627\ufe8e\u0628', '\u0627\u0627\u0628'],
    ['both directions: used as it is', '\u0627\ufe8e\u2168', '\u0627\ufe8e\u2168'],
    ['right to left must end so: used as it is', '\u0627\ufe8e1', '\u0627\ufe8e1'],
    ['nothing left: used as it is', '\u00ad', '\u00ad'],
    ['outside the first plane', '\u{1d400}', 'A'],
  ]
  for (const [name, password, expected] of rows) assert.equal(saslprep(password), expected, name)
})
