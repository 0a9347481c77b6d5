// Cancel requests against a real PostgreSQL: at random moments, and while the request waits for a link. Short form of acceptance line B4.
import assert from 'node:assert/strict'
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { poll } from './kit/child.ts'
import { fixedDatabase } from './kit/fixed-database.ts'
import { rawCancel } from './kit/raw-client.ts'
import { query } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { cancelledAtRandom } from './scenarios/cancels.ts'

scenario('500 cancels at random moments: only intended queries end', async (run) => {
  assertFigures(await cancelledAtRandom({ scenario: run, seed: 4, say: () => undefined }, { cancels: 500 }))
})

scenario('a query that waits for a link is cancelled as one that runs, and the client goes on', async (run) => {
  const app = await fixedDatabase(run, { facts: { pool_size: 1 }, http: true })
  const holder = await app.client()
  await holder.query('BEGIN')
  const waiting = await app.raw()
  waiting.send(query('SELECT 1'))
  await poll(
    'it waits',
    async () => (await app.pglease.metrics()).sum('pglease_client_connections', { state: 'waiting' }) === 1 || undefined,
  )
  await rawCancel({ port: app.pglease.port }, waiting.pid, waiting.key)
  assert.deepEqual(await waiting.ready(), [
    "ErrorResponse S='ERROR' C='57014' M='canceling statement due to user request'",
    'ReadyForQuery I',
  ])
  await holder.query('COMMIT')
  assert.match((await waiting.ask(query('SELECT 3'))).join('\n'), /DataRow '3'/)
})
