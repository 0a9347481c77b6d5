// Conversations of every message, with errors and COPY inside, are answered as by PostgreSQL itself: some by name, and random ones on a link that another session uses meanwhile.
import assert from 'node:assert/strict'
import { fixedDatabase } from './kit/fixed-database.ts'
import {
  bind,
  closePortal,
  closeStatement,
  copyData,
  copyDone,
  copyFail,
  describePortal,
  describeStatement,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
} from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { ask, type Step } from './kit/side-by-side.ts'
import { firstDifference } from './scenarios/conversations.ts'

const ROUNDS = 250

const executed = (sql: string) => [parse('', sql), bind('', ''), execute()]

/** Conversations whose replies must be those of PostgreSQL itself. Each starts and ends with an idle session. */
const CONVERSATIONS: Record<string, Step> = {
  'empty queries': ask(query(''), parse('', ''), bind('', ''), execute(), sync()),
  'several statements in one query': ask(query("SELECT 1; SELECT 'two'; SELECT 3/0; SELECT 4")),
  'COPY in': async (client) => {
    client.send(query('CREATE TEMP TABLE c (a int, b text) ON COMMIT DROP; COPY c FROM STDIN'))
    const asked = (await client.until('G')).map(String)
    return [...asked, ...(await client.ask(copyData('1\tone\n2\tt'), copyData('wo\n'), copyDone()))]
  },
  'COPY in that the client gives up': async (client) => {
    client.send(query('CREATE TEMP TABLE c (a int) ON COMMIT DROP; COPY c FROM STDIN'))
    await client.until('G')
    return client.ask(copyData('1\n'), copyFail('no more'))
  },
  'COPY in that the server refuses, with more on its way': async (client) => {
    client.send(query('CREATE TEMP TABLE c (a int) ON COMMIT DROP; COPY c FROM STDIN'))
    await client.until('G')
    const lines = await client.ask(copyData('x\n'), copyData('2\n'), copyDone())
    return [...lines, ...(await client.ask(query('SELECT 1')))]
  },
  'COPY out': ask(query('COPY (SELECT generate_series(1, 3)) TO STDOUT')),
  'extended COPY in': async (client) => {
    await client.ask(query('BEGIN; CREATE TEMP TABLE c (a int)'))
    client.send(parse('', 'COPY c FROM STDIN'), bind('', ''), execute(), sync())
    const asked = (await client.until('G')).map(String)
    return [...asked, ...(await client.ask(copyData('1\n'), copyDone(), sync())), ...(await client.ask(query('ROLLBACK')))]
  },
  // 882 is rtrim(text)
  'a function call': ask(functionCall(882, ['text  '])),
  'a function call that fails': ask(functionCall(1, [])),
  'the extended protocol with every message': ask(
    parse('', 'SELECT $1::int AS a', [23]),
    describeStatement(''),
    bind('', '', ['5']),
    describePortal(''),
    execute(),
    closePortal(''),
    closeStatement(''),
    sync(),
  ),
  'a named portal read in parts': async (client) => {
    await client.ask(query('BEGIN'))
    client.send(parse('', 'SELECT generate_series(1, 5)'), bind('p', ''), execute('p', 2), flush())
    const part = (await client.until('s')).map(String)
    return [...part, ...(await client.ask(execute('p', 0), sync())), ...(await client.ask(query('COMMIT')))]
  },
  'an error in a pipeline': ask(
    ...executed('SELECT 1'),
    sync(),
    ...executed('SELECT 1/0'),
    ...executed('SELECT 2'),
    sync(),
    ...executed('SELECT 3'),
    sync(),
  ),
  'a notification': ask(query('BEGIN; LISTEN here; NOTIFY here; UNLISTEN here; ROLLBACK')),
  'a notice': ask(query("DO $$ BEGIN RAISE NOTICE 'look'; END $$")),
}

scenario('COPY, function calls, portals, pipelines and errors are answered as PostgreSQL does', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 } })
  for (const [name, converse] of Object.entries(CONVERSATIONS)) {
    const pooled = await app.raw()
    const direct = await app.direct()
    const expected = await converse(direct)
    assert.deepEqual(await converse(pooled), expected, name)
    // and the session goes on, on a link that another may have had
    assert.deepEqual(await pooled.ask(query('SELECT 1 AS one')), await direct.ask(query('SELECT 1 AS one')), name)
  }
  assert.equal((await app.backends()).length, 1, 'no conversation cost the link')
})

for (const seed of [1, 20_260_731, Math.floor(Math.random() * 2 ** 31)]) {
  scenario(`${ROUNDS} random conversations are answered as by PostgreSQL, seed ${seed}`, async (run) => {
    const app = await fixedDatabase(run, { facts: { pool_size: 1 }, sql: 'CREATE TABLE t (a int); GRANT ALL ON t TO app' })
    assert.equal(await firstDifference(app, ROUNDS, seed), undefined)
    assert.deepEqual(app.pglease.logged('bug'), [])
  })
}
