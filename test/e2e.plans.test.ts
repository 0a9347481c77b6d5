// The schema changes under cached plans: of raw clients step by step, and of pgx, psycopg and pgJDBC all at once (short form of acceptance line B5).
import assert from 'node:assert/strict'
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { prepareDrivers } from './kit/drivers.ts'
import { bind, describePortal, describeStatement, execute, parse, query, sync } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { ask, world } from './kit/side-by-side.ts'
import { skip } from './kit/skip.ts'
import { changedPlans, noPlanDrivers } from './scenarios/plans.ts'

const prepared = (name: string, text: string) => ask(parse(name, text), describeStatement(name), sync())
/** Its rows are decoded by what was described before. */
const blindly = (name: string, ...values: string[]) => ask(bind('', name, values), execute(), sync())
const asking = (name: string, ...values: string[]) => ask(bind('', name, values), describePortal(''), execute(), sync())
const TOLD = /C='0A000' M='cached plan must not change result type'/

/** One link that holds one statement: what `first` has prepared is closed there as soon as `second` prepares. */
async function oneStatement(it: Scenario) {
  const there = await world(it, 1, { max_prepared_statements: 1 })
  const [first, second] = [await there.pooled(), await there.pooled()]
  await ask(query("INSERT INTO t VALUES (1, 'x')"))(first)
  await prepared('s', 'SELECT * FROM t')(first)
  const closeIt = () => ask(parse('other', 'SELECT 1'), sync())(second)
  const told = async () => (await there.pglease.metrics()).sum('pglease_plan_changes_total', { database: 'app' })
  return { first, second, closeIt, told, alter: (text: string) => there.postgres.sql(`DROP VIEW IF EXISTS v; ${text}`, there.database) }
}

scenario('a link that lacks the statement prepares it again, and gives its rows when nothing has changed', async (it) => {
  const { first, closeIt } = await oneStatement(it)
  await closeIt()
  assert.deepEqual(await blindly('s')(first), ['BindComplete', "DataRow '1' 'x'", "CommandComplete 'SELECT 1'", 'ReadyForQuery I'])
})

scenario('a link that lacks the statement gives no row that would be decoded by another description', async (it) => {
  const { first, closeIt, told, alter } = await oneStatement(it)
  await closeIt()
  await alter('ALTER TABLE t ALTER a TYPE text')
  for (let count = 0; count < 3; count++) assert.match(String(await blindly('s')(first)), TOLD)
  assert.equal(await told(), 3)
  assert.match(String(await asking('s')(first)), /RowDescription 'a':25 'b':25,DataRow '1' 'x'/)
  assert.ok((await blindly('s')(first)).includes("DataRow '1' 'x'"))
  // and back again: what it knows is right once more
  await closeIt()
  await alter('ALTER TABLE t ALTER a TYPE int USING a::int; ALTER TABLE t ALTER a TYPE text')
  assert.ok((await blindly('s')(first)).includes("DataRow '1' 'x'"))
})

scenario('the error stands where PostgreSQL would have it: the rest of the batch is skipped, and a block has failed', async (it) => {
  const { first, closeIt, alter } = await oneStatement(it)
  await closeIt()
  await alter('ALTER TABLE t ADD c int')
  const twice = await ask(
    parse('', "SELECT 'before'"),
    bind('', ''),
    execute(),
    bind('', 's'),
    execute(),
    parse('', "SELECT 'behind'"),
    sync(),
    bind('', 's'),
    execute(),
    sync(),
    query("SELECT 'last'"),
  )(first)
  const [told, ...rest] = twice.filter((line) => TOLD.test(line))
  assert.deepEqual(
    twice.map((line) => (TOLD.test(line) ? 'told' : line)).filter((line) => !line.startsWith('RowDescription')),
    [
      ...['ParseComplete', 'BindComplete', "DataRow 'before'", "CommandComplete 'SELECT 1'", 'told', 'ReadyForQuery I'],
      ...['told', 'ReadyForQuery I', "DataRow 'last'", "CommandComplete 'SELECT 1'", 'ReadyForQuery I'],
    ],
  )
  assert.deepEqual(rest, [told])
  await ask(query('BEGIN'))(first)
  assert.deepEqual((await blindly('s')(first)).slice(1), ['ReadyForQuery E'])
  assert.match(String(await ask(query('SELECT 1'))(first)), /C='25P02'/)
  await ask(query('ROLLBACK'))(first)
  assert.ok((await asking('s')(first)).includes("DataRow '1' 'x' NULL"))
})

scenario('who prepares behind a change never sees the error, in a transaction block neither', async (it) => {
  const there = await world(it, 1)
  const first = await there.pooled()
  const text = 'SELECT * FROM t'
  await ask(query("INSERT INTO t VALUES (1, 'x')"))(first)
  await prepared('s', text)(first)
  for (const [round, change] of ['ALTER TABLE t ADD c int', 'ALTER TABLE t RENAME c TO d', 'ALTER TABLE t DROP d'].entries()) {
    await there.postgres.sql(change, there.database)
    const fresh = await there.pooled()
    if (round % 2 === 0) await ask(query('BEGIN'))(fresh)
    // the link holds a plan of before
    assert.match(String(await prepared('f', text)(fresh)), /ParseComplete,ParameterDescription ?,RowDescription/)
    assert.match(String(await blindly('f')(fresh)), /DataRow '1' 'x'/)
    if (round % 2 === 0) await ask(query('COMMIT'))(fresh)
  }
  assert.match(String(await blindly('s')(first)), /DataRow '1' 'x'/)
})

scenario('parameters are not read as another type than they were encoded for', async (it) => {
  const there = await world(it, 1, { max_prepared_statements: 1 })
  const [first, second] = [await there.pooled(), await there.pooled()]
  await ask(query("INSERT INTO t VALUES (1, '7')"))(first)
  assert.match(String(await prepared('s', 'SELECT a FROM t WHERE b = $1')(first)), /ParameterDescription 25/)
  await ask(parse('other', 'SELECT 1'), sync())(second)
  await there.postgres.sql('DROP VIEW v; ALTER TABLE t ALTER b TYPE int USING b::int', there.database)
  // the columns are the same, and described anew
  for (let count = 0; count < 2; count++) assert.match(String(await asking('s', '7')(first)), TOLD)
  assert.match(String(await ask(describeStatement('s'), sync())(first)), /ParameterDescription 23/)
  assert.ok((await blindly('s', '7')(first)).includes("DataRow '1'"))
})

await prepareDrivers()

scenario('rows are decoded as what they are, and fresh sessions see no 0A000, while the schema changes', async (run) => {
  const missing = noPlanDrivers()
  if (missing && skip(missing)) return
  assertFigures(await changedPlans({ scenario: run, seed: 5, say: () => undefined }, { seconds: 8, sessions: [4, 4, 4] }))
})
