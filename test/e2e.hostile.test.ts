// Bad input from clients, browsers and servers: a clear answer or a clean end, and the process lives on.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
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

scenario('HTTP clients that never finish their header are let go, also when they send more of it all the time', async (run) => {
  const { app } = await besieged(run)
  const ended = (trickles: boolean) =>
    new Promise<void>((resolve) => {
      const client = connect(app.pglease.httpPort, '127.0.0.1', () => client.write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: '))
      const more = trickles ? setInterval(() => client.write('x'), 100) : undefined
      run.defer(() => clearInterval(more))
      run.defer(() => client.destroy())
      // reset, when a byte met the closed connection
      client.on('error', () => {})
      client.resume().on('close', () => resolve())
    })
  await Promise.all([ended(false), ended(true)])
  assert.equal((await app.pglease.http('/livez')).status, 200)
})
