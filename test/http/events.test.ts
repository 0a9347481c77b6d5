// The stream of events: what comes when, for how many, and that nothing is left behind.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminApp } from '../../src/http/admin.ts'
import { serveHttp } from '../../src/net/http_server.ts'
import { EventReader, exampleDatabase, exampleState, HEADER, line, ORIGIN, Parts } from './admin_kit.ts'

const open = async (app: ReturnType<typeof adminApp>) => app(new Request(`${ORIGIN}/api/events`, { headers: HEADER }))

/** Nobody listens to lines, and no timer runs. */
function assertIdle(parts: Parts): void {
  assert.deepEqual([parts.listeners.size, parts.timers, parts.clock.pending], [0, 0, 0])
}

test('a stream begins with the state and the lines kept, then lines come as they are written', async () => {
  const parts = new Parts()
  parts.kept = [line('old'), line('two\nlines\r\n\r\nevent: forged\ndata: 1')]
  const response = await open(adminApp(parts))
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const reader = new EventReader(response)
  assert.deepEqual(await reader.next(), { event: 'state', data: exampleState() })
  assert.deepEqual(await reader.next(), { event: 'log', data: parts.kept[0] })
  assert.deepEqual(await reader.next(), { event: 'log', data: parts.kept[1] })
  parts.say('new')
  assert.deepEqual(await reader.next(), { event: 'log', data: line('new') })
  await reader.cancel()
  assertIdle(parts)
})

test('the state comes once a second while it changes; passing time is no change', async () => {
  const parts = new Parts()
  const reader = new EventReader(await open(adminApp(parts)))
  await reader.next()
  parts.clock.advance(5_000)
  parts.say('after five quiet seconds')
  assert.equal((await reader.next())?.event, 'log')
  parts.example = exampleState({ databases: [{ ...exampleDatabase('app'), queries: 1001 }] })
  parts.clock.advance(1_000)
  const changed = (await reader.next()) as { event: string; data: { databases: { queries: number }[]; uptimeSeconds: number } }
  assert.equal(changed.event, 'state')
  assert.deepEqual([changed.data.databases[0]?.queries, changed.data.uptimeSeconds], [1001, 106])
  await reader.cancel()
})

test('a renewal is a change, and so is a trouble that appears or ends', async () => {
  const parts = new Parts()
  const reader = new EventReader(await open(adminApp(parts)))
  await reader.next()
  const [source] = exampleState().sources
  const renewed = exampleState({ sources: [{ ...source!, remainingSeconds: 1200 }] })
  const troubled = exampleState({ databases: [{ ...exampleDatabase('app'), trouble: 'refused' }] })
  for (const example of [renewed, exampleState(), troubled, exampleState()]) {
    parts.example = example
    parts.clock.advance(1_000)
    assert.equal((await reader.next())?.event, 'state')
  }
  await reader.cancel()
})

test('a quiet stream says the state at least every ten seconds', async () => {
  const parts = new Parts()
  const reader = new EventReader(await open(adminApp(parts)))
  await reader.next()
  for (const uptime of [110, 120]) {
    parts.clock.advance(10_000)
    const { event, data } = (await reader.next()) as { event: string; data: { uptimeSeconds: number } }
    assert.deepEqual([event, data.uptimeSeconds], ['state', uptime])
  }
  await reader.cancel()
})

test('all listeners share one timer and one subscription, and the last one to go ends both', async () => {
  const parts = new Parts()
  const app = adminApp(parts)
  const readers = [new EventReader(await open(app)), new EventReader(await open(app))]
  assert.deepEqual([parts.listeners.size, parts.timers], [1, 1])
  await readers[0]!.cancel()
  assert.deepEqual([parts.listeners.size, parts.timers], [1, 1])
  await readers[1]!.cancel()
  assertIdle(parts)
  const again = new EventReader(await open(app))
  assert.equal((await again.next())?.event, 'state')
  assert.deepEqual([parts.listeners.size, parts.timers], [1, 1])
  await again.cancel()
  assertIdle(parts)
})

test('HEAD opens no stream', async () => {
  const parts = new Parts()
  const response = await adminApp(parts)(new Request(`${ORIGIN}/api/events`, { method: 'HEAD', headers: HEADER }))
  assert.equal(response.status, 405)
  assertIdle(parts)
})

test('sixteen may listen; the next is told to come back, and may once one has left', async () => {
  const parts = new Parts()
  const app = adminApp(parts)
  const readers: EventReader[] = []
  for (let count = 0; count < 16; count++) readers.push(new EventReader(await open(app)))
  const refused = await open(app)
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('retry-after'), '5')
  assert.match(await refused.text(), /too many/)
  await readers.pop()!.cancel()
  readers.push(new EventReader(await open(app)))
  for (const reader of readers) await reader.cancel()
  assertIdle(parts)
})

test('a reader that stalls costs bounded memory, and is told how much it missed', async () => {
  const parts = new Parts()
  const reader = new EventReader(await open(adminApp(parts)))
  await reader.next()
  const long = 'x'.repeat(10_000)
  for (let count = 0; count < 1000; count++) parts.say(long)
  let delivered = 0
  // each line that is read makes room for what comes next
  for (;;) {
    const heard = await reader.next()
    if (heard?.event === 'missed') {
      assert.deepEqual(heard.data, { count: 1000 - delivered })
      break
    }
    assert.deepEqual(heard, { event: 'log', data: line(long) })
    delivered++
    if (delivered === 20) parts.say('short')
  }
  assert.ok(delivered >= 20 && delivered < 30, `${delivered} lines of 10 kB waited`)
  assert.deepEqual(await reader.next(), { event: 'log', data: line('short') })
  await reader.cancel()
  assertIdle(parts)
})

test('an error of the state ends the streams, and the next request reports it', async () => {
  const parts = new Parts()
  let broken = false
  const state = () => {
    if (broken) throw new Error('bug')
    return exampleState()
  }
  const app = adminApp({ ...parts, quit: undefined, state })
  const reader = new EventReader(await open(app))
  await reader.next()
  broken = true
  parts.clock.advance(1_000)
  assert.equal(await reader.next(), undefined)
  assertIdle(parts)
  await assert.rejects(open(app), /bug/)
  assertIdle(parts)
})

test('closing ends every stream and lets no more in', async () => {
  const parts = new Parts()
  const closing = new AbortController()
  const app = adminApp(Object.assign(parts, { closing: closing.signal }))
  const readers = [new EventReader(await open(app)), new EventReader(await open(app))]
  for (const reader of readers) await reader.next()
  closing.abort()
  for (const reader of readers) assert.equal(await reader.next(), undefined)
  assertIdle(parts)
  assert.equal((await open(app)).status, 503)
})

test('over a real connection: events arrive, a client that leaves is noticed, and closing ends the rest', async () => {
  const parts = new Parts()
  const closing = new AbortController()
  const listener = await serveHttp({ host: '127.0.0.1', port: 0 }, adminApp(Object.assign(parts, { closing: closing.signal })))
  const url = `http://127.0.0.1:${listener.address.port}/api/events`
  const client = new AbortController()
  const first = new EventReader(await fetch(url, { headers: HEADER, signal: client.signal }))
  assert.equal((await first.next())?.event, 'state')
  parts.say('hello')
  assert.deepEqual(await first.next(), { event: 'log', data: line('hello') })

  const gone = Promise.withResolvers<void>()
  const { delete: forget } = parts.listeners
  parts.listeners.delete = (listening) => {
    gone.resolve()
    return forget.call(parts.listeners, listening)
  }
  const left = first.next()
  client.abort()
  await assert.rejects(left)
  await gone.promise
  assertIdle(parts)

  const second = new EventReader(await fetch(url, { headers: HEADER }))
  assert.equal((await second.next())?.event, 'state')
  closing.abort()
  assert.equal(await second.next(), undefined)
  await listener.close()
  assertIdle(parts)
})
