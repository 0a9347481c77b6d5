// Bad input from clients, browsers and servers: a clear answer or a clean end, and the process lives on.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { value } from './kit/fixed-database.ts'
import { scenario } from './kit/scenario.ts'
import { besieged, exchange, hostile, kindsOf, MAX_CLIENTS } from './scenarios/hostile.ts'

const SEED = 20_260_731

scenario('bad input of every kind on every port gets its answer, and the process lives', async (run) => {
  const { app, doors } = await besieged(run)
  assert.ok(kindsOf(doors).size >= 60)
  const before = await app.client()
  const result = await hostile(app.pglease.pid, doors, 10, SEED)
  assert.deepEqual(result.wrong, [])
  assert.equal(app.pglease.child.ended, undefined)
  assert.equal(await value(before, 'SELECT 1'), 1)
  assert.equal(await value(await app.client(), 'SELECT current_user'), app.user)
  assert.equal((await app.pglease.http('/livez')).status, 200)
  assert.deepEqual(app.pglease.logged('bug'), [])
  await app.waitForBackends(0, "state <> 'idle'")
})

scenario('of 5,000 clients that never finish their login about twice max_client_conn are kept at a time, and let go', async (run) => {
  const { app } = await besieged(run)
  const { pid, port } = app.pglease
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, readdirSync(`/proc/${pid}/fd`).length)
  }, 20)
  run.defer(() => clearInterval(watch))
  // what is closed at once may look to the client as if nobody listened
  const one = (_: unknown, index: number) =>
    exchange(port, Buffer.from([0, 0, 0]), { from: `127.0.0.${1 + (index % 250)}` }).catch(
      (error: NodeJS.ErrnoException) => error.code ?? '',
    )
  const answers = await Promise.all(Array.from({ length: 5_000 }, one))
  const told = answers.filter((text) => text.includes('client_login_timeout'))
  const closed = answers.filter((text) => ['', 'ECONNREFUSED', 'ECONNRESET'].includes(text))
  assert.equal(told.length + closed.length, 5_000)
  assert.ok(told.length >= MAX_CLIENTS, `${told.length} were told why`)
  assert.ok(most >= MAX_CLIENTS && most < 3 * MAX_CLIENTS, `${most} open files`)
  assert.equal(await value(await app.client(), 'SELECT 1'), 1)
})
