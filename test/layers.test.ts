// The checker of layers finds each kind of violation, and nothing in a clean tree.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layerMistakes } from '../scripts/lib/layers.ts'

const clean: Record<string, string> = {
  'errors.ts': '// Errors.\nexport const a = 1',
  'clock.ts': '// Clock.\nexport const now = () => Date.now()',
  'wire/frame.ts': "// Frames.\nimport { a } from '../errors.ts'\nexport const b = a",
  'wire/codes.ts': "// Codes.\nimport { b } from './frame.ts'\nexport const c = b",
  'net/bun.ts': "// Bun.\nimport net from 'node:net'\nexport const d = [net, Bun.version]",
  'pool/pool.ts': "// Pool.\nimport type { b } from '../wire/frame.ts'\nexport type P = typeof b",
  'vault/api.ts': "// Vault.\nimport ky from 'ky'\nimport * as v from 'valibot'\nexport const e = [ky, v]",
  'metrics.ts': "// Metrics.\nimport { t } from './metrics_table.ts'\nimport prom from 'prom-client'\nexport const m = [t, prom]",
  'metrics_table.ts': '// Rows.\nexport const t = 1',
}

const mistakesWith = (changes: Record<string, string>) => layerMistakes(new Map(Object.entries({ ...clean, ...changes })))

test('a clean tree has no mistakes', () => {
  assert.deepEqual(mistakesWith({}), [])
})

test('words in comments and strings are not code', () => {
  const text = `// Text.\n/* Date.now() import '../app.ts' */\nexport const s = "Deno.exit Math.random()" // setTimeout\nexport const u = \`Bun.serve\``
  assert.deepEqual(mistakesWith({ 'wire/text.ts': text }), [])
})

const cases: [string, Record<string, string>, RegExp][] = [
  [
    'an upward import',
    { 'wire/up.ts': "// Up.\nimport { P } from '../pool/pool.ts'\nexport type Q = P" },
    /wire\/up\.ts .*pool\/pool\.ts.*upward/,
  ],
  ['an upward type import over lines', { 'errors.ts': "// E.\nimport type {\n  b,\n} from './wire/codes.ts'" }, /errors\.ts .*upward/],
  ['an upward export', { 'wire/up.ts': "// Up.\nexport * from '../pool/pool.ts'" }, /wire\/up\.ts .*upward/],
  ['an upward dynamic import', { 'wire/up.ts': "// Up.\nexport const p = () => import('../pool/pool.ts')" }, /wire\/up\.ts .*upward/],
  [
    'siblings that import one another',
    { 'pool/side.ts': "// Side.\nimport '../vault/api.ts'" },
    /pool\/side\.ts .*vault\/api\.ts.*sideways/,
  ],
  ['a top-level file that imports its neighbour', { 'secret.ts': "// S.\nimport './errors.ts'" }, /secret\.ts .*sideways/],
  ['a folder without a layer', { 'misc/x.ts': '// X.\n' }, /misc has no layer/],
  ['an import from outside', { 'wire/out.ts': "// Out.\nimport '../../scripts/x.ts'" }, /outside of src/],
  [
    'a cycle',
    { 'wire/one.ts': "// One.\nimport './two.ts'", 'wire/two.ts': "// Two.\nimport './one.ts'" },
    /cycle: wire\/one\.ts -> wire\/two\.ts -> wire\/one\.ts/,
  ],
  ['a file that imports itself', { 'wire/self.ts': "// Self.\nimport './self.ts'" }, /cycle: wire\/self\.ts/],
  ['a second importer of ky', { 'vault/more.ts': "// More.\nimport { HTTPError } from 'ky'" }, /ky has 2 importers/],
  [
    'a second importer of pg-protocol',
    { 'wire/a.ts': "// A.\nimport 'pg-protocol'", 'wire/b.ts': "// B.\nimport 'pg-protocol/dist/x.js'" },
    /pg-protocol has 2/,
  ],
  ['a second importer of prom-client', { 'http/m.ts': "// M.\nimport type { Gauge } from 'prom-client'" }, /prom-client has 2/],
  ['valibot inside', { 'pool/v.ts': "// V.\nimport * as v from 'valibot'" }, /pool\/v\.ts imports valibot/],
  ['a timer', { 'pool/t.ts': '// T.\nsetTimeout(() => 0, 1)' }, /pool\/t\.ts touches setTimeout/],
  ['an interval', { 'pool/t.ts': '// T.\nglobalThis.setInterval(() => 0, 1)' }, /setInterval/],
  ['the time', { 'pool/t.ts': '// T.\nexport const t = Date.now()' }, /Date\.now/],
  ['the time as a date', { 'pool/t.ts': '// T.\nexport const t = new Date()' }, /new Date/],
  ['the time in a template', { 'pool/t.ts': '// T.\nexport const t = `at $' + '{performance.now()}`' }, /performance\.now/],
  ['chance', { 'pool/t.ts': '// T.\nexport const t = Math.random()' }, /Math\.random/],
  ['a hidden timer', { 'vault/t.ts': '// T.\nexport const t = AbortSignal.timeout(1)' }, /AbortSignal\.timeout/],
  ['the module of timers', { 'vault/t.ts': "// T.\nimport { setTimeout as pause } from 'node:timers/promises'" }, /node:timers\/promises/],
  ['the runtime outside of net', { 'server/r.ts': '// R.\nexport const v = Deno.version' }, /server\/r\.ts touches Deno\.version/],
  ['sockets outside of net', { 'server/r.ts': "// R.\nimport { connect } from 'node:tls'" }, /imports node:tls: only net/],
  ['names outside of net', { 'server/r.ts': "// R.\nimport 'node:dns/promises'" }, /imports node:dns\/promises/],
  ['a file without a purpose', { 'wire/p.ts': 'export const p = 1' }, /wire\/p\.ts: line 1/],
]

for (const [name, changes, expected] of cases) {
  test(`found: ${name}`, () => {
    const mistakes = mistakesWith(changes)
    assert.ok(
      mistakes.some((line) => expected.test(line)),
      mistakes.join('\n') || 'nothing found',
    )
  })
}
