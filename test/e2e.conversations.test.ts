// Random pipelines of every message, with errors and COPY inside, on a link that another session uses meanwhile.
import assert from 'node:assert/strict'
import { fixedDatabase } from './kit/fixed-database.ts'
import { scenario } from './kit/scenario.ts'
import { firstDifference } from './scenarios/conversations.ts'

const ROUNDS = 250

for (const seed of [1, 20_260_731, Math.floor(Math.random() * 2 ** 31)]) {
  scenario(`${ROUNDS} random conversations are answered as by PostgreSQL, seed ${seed}`, async (run) => {
    const app = await fixedDatabase(run, { facts: { pool_size: 1 }, sql: 'CREATE TABLE t (a int); GRANT ALL ON t TO app' })
    assert.equal(await firstDifference(app, ROUNDS, seed), undefined)
    assert.deepEqual(app.pglease.logged('bug'), [])
  })
}
