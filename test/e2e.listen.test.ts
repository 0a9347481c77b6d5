// LISTEN in transaction mode through the binary: who is notified of what, as PostgreSQL does it for its own sessions.
import assert from 'node:assert/strict'
import { poll } from './kit/child.ts'
import { fixedDatabase } from './kit/fixed-database.ts'
import type { RawClient } from './kit/raw-client.ts'
import { bind, execute, message, parse, query, sync } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'

const noteLine = (channel: string, payload: string) => `NotificationResponse '${channel}' '${payload}'`
const notes = (lines: readonly string[]) => lines.filter((line) => line.startsWith('NotificationResponse'))

/** The notifications that came until the answer to an empty query, which is asked behind all that was sent before. */
async function heard(client: RawClient): Promise<string[]> {
  return notes(await client.ask(query('')))
}

async function run(client: RawClient, ...texts: string[]): Promise<string[]> {
  const lines: string[] = []
  for (const text of texts) lines.push(...(await client.ask(query(text))))
  const errors = lines.filter((line) => line.startsWith('ErrorResponse'))
  assert.deepEqual(errors, [])
  return lines
}

/** The process id of the client's next notification. */
async function senderOf(client: RawClient): Promise<number> {
  return ((await client.until('A')).at(-1)?.body ?? Buffer.alloc(4)).readInt32BE(0)
}

scenario('sessions are notified of their channels, and each session of its own only', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 2 } })
  const [first, second, sender] = [await app.raw(), await app.raw(), await app.raw()]
  await run(first, 'LISTEN one')
  await run(second, 'LISTEN two; LISTEN "Two Words"')
  await run(sender, "NOTIFY one, '1'", "NOTIFY two, '2'", `NOTIFY "Two Words", '3'`, "NOTIFY three, '4'")
  assert.equal(await senderOf(first), sender.pid)
  assert.deepEqual([(await second.next()).toString(), (await second.next()).toString()], [noteLine('two', '2'), noteLine('Two Words', '3')])
  assert.deepEqual([await heard(first), await heard(second), await heard(sender)], [[], [], []])
  assert.equal((await app.backends()).length <= 3, true)
})

scenario("a session's own notification comes before its ReadyForQuery, with the process id that it was greeted with", async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 2 } })
  const [client, other] = [await app.raw(), await app.raw()]
  await run(client, 'LISTEN own')
  for (let round = 0; round < 20; round++) {
    // the link changes hands, and what the other sent must not pass for the client's own
    other.send(query(`NOTIFY own, 'other ${round}'`))
    await other.until('Z')
    client.send(query(`NOTIFY own, 'self ${round}'`))
    const messages = await client.until('Z')
    const got = messages
      .filter(({ type }) => type === 'A')
      .map((one) => [one.body.readInt32BE(0), one.body.toString('utf8', 4).split('\0')[1]])
    assert.deepEqual(got, [
      [other.pid, `other ${round}`],
      [client.pid, `self ${round}`],
    ])
  }
  // LISTEN and NOTIFY in one transaction
  const both = await other.ask(query("BEGIN; LISTEN fresh; NOTIFY fresh, 'x'; COMMIT"))
  assert.deepEqual(notes(both), [noteLine('fresh', 'x')])
  // also where the channel is listened to for another
  const third = await app.raw()
  const again = await third.ask(query("LISTEN fresh; NOTIFY fresh, 'y'"))
  assert.deepEqual([notes(again), await heard(third), await heard(other)], [[noteLine('fresh', 'y')], [], [noteLine('fresh', 'y')]])
})

scenario('LISTEN takes effect with its transaction, and notifications wait for the end of one', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 3 } })
  const [client, sender] = [await app.raw(), await app.raw()]
  await run(client, 'BEGIN', 'LISTEN rolled', 'ROLLBACK')
  await run(client, 'BEGIN', 'LISTEN kept', 'SAVEPOINT s', 'LISTEN undone', 'ROLLBACK TO s', 'COMMIT')
  await client.ask(query('LISTEN failed; SELECT 1/0'))
  await run(sender, 'NOTIFY rolled', 'NOTIFY undone', 'NOTIFY failed', 'NOTIFY kept')
  assert.equal((await client.next()).toString(), noteLine('kept', ''))
  await run(client, 'BEGIN', 'SELECT 1')
  await run(sender, "NOTIFY kept, 'inside'")
  assert.deepEqual(await heard(client), [])
  const end = await run(client, 'COMMIT')
  assert.deepEqual(notes(end), [noteLine('kept', 'inside')])
  assert.match(end.at(-1) ?? '', /^ReadyForQuery/)
  // pipelined: the LISTEN's own ReadyForQuery does not wait for what follows
  client.send(query('LISTEN piped'), query('SELECT 1'), query('SELECT 2'))
  for (let round = 0; round < 3; round++) await client.ready()
  await run(sender, "NOTIFY piped, 'p'")
  assert.equal((await client.next()).toString(), noteLine('piped', 'p'))
  // extended protocol
  await client.ask(parse('', 'LISTEN extended'), bind('', ''), execute(''), sync())
  await run(sender, "NOTIFY extended, 'e'")
  assert.equal((await client.next()).toString(), noteLine('extended', 'e'))
})

scenario('UNLISTEN of one, of all, rolled back, prepared, in a savepoint; DISCARD ALL', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 3 } })
  const [client, sender] = [await app.raw(), await app.raw()]
  const channels = ['a', 'b', 'c']
  /** Which channels the client hears of. */
  const hears = async () => {
    for (const channel of channels) await run(sender, `NOTIFY ${channel}`)
    return (await heard(client)).map((line) => /'(.)'/.exec(line)?.[1]).join('')
  }
  const all = 'LISTEN a; LISTEN b; LISTEN c'
  const cases: [string, string[], string][] = [
    ['nothing', [], 'abc'],
    ['one', ['UNLISTEN a'], 'bc'],
    ['all', ['UNLISTEN *'], ''],
    ['rolled back', ['BEGIN', 'UNLISTEN a', 'ROLLBACK'], 'abc'],
    ['all rolled back', ['BEGIN', 'UNLISTEN *', 'ROLLBACK'], 'abc'],
    ['committed', ['BEGIN', 'SELECT 1', 'UNLISTEN a', 'COMMIT'], 'bc'],
    ['all committed', ['BEGIN', 'UNLISTEN *', 'COMMIT'], ''],
    ['to a savepoint', ['BEGIN', 'UNLISTEN a', 'SAVEPOINT s', 'UNLISTEN b', 'ROLLBACK TO s', 'COMMIT'], 'bc'],
    ['all behind a savepoint', ['BEGIN', 'SAVEPOINT s', 'UNLISTEN *', 'ROLLBACK TO s', 'COMMIT'], 'abc'],
    ['listened anew', ['UNLISTEN *; LISTEN b'], 'b'],
    ['chained', ['BEGIN', 'UNLISTEN a', 'COMMIT AND CHAIN', 'UNLISTEN b', 'ROLLBACK'], 'bc'],
    ['with another', ['SELECT 1; UNLISTEN c; SELECT 2'], 'ab'],
    ['discarded', ['DISCARD ALL'], ''],
    ['discarded and listened', ['DISCARD ALL', 'LISTEN c'], 'c'],
  ]
  for (const [name, texts, expected] of cases) {
    await run(client, all, ...texts)
    assert.equal(await hears(), expected, name)
  }
  await run(client, all)
  await client.ask(parse('gone', 'UNLISTEN a'), sync())
  assert.equal(await hears(), 'abc')
  await client.ask(bind('', 'gone'), execute(''), sync())
  assert.equal(await hears(), 'bc')
  await client.ask(parse('', 'UNLISTEN b'), sync())
  await run(sender, 'SELECT 1')
  await client.ask(bind('', ''), execute(''), sync())
  assert.equal(await hears(), 'c')
  await client.ask(query('BEGIN; UNLISTEN c; SELECT 1/0'))
  await client.ask(query('COMMIT'))
  assert.equal(await hears(), 'c')
})

scenario('no server connection keeps a channel, and the one that listens keeps those only that are wanted', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 1, connect_query: 'SELECT 1' }, http: true })
  const [client, other] = [await app.raw(), await app.raw()]
  await run(client, 'LISTEN a; LISTEN b')
  await run(other, 'LISTEN b')
  const rows = await run(other, 'SELECT count(*) FROM pg_listening_channels()')
  assert.match(rows.join('\n'), /DataRow '0'/)
  const gauge = async (name: string) => (await app.pglease.metrics()).sum(name, { database: 'app' })
  assert.deepEqual([await gauge('pglease_listening_sessions'), await gauge('pglease_listening_channels')], [2, 2])
  client.terminate()
  await poll('the channel of the client is dropped', async () => (await gauge('pglease_listening_channels')) === 1 || undefined)
  await poll('and the server is told', async () => (await app.backends(`query = 'UNLISTEN "a"'`)).length === 1 || undefined)
  await run(other, "NOTIFY b, 'still'")
  assert.equal(await gauge('pglease_notifications_total'), 1)
})

scenario('names of any letters, whatever client_encoding is; statement mode, and server_reset_query_always', async (test) => {
  const facts = { pool_size: 1, pool_mode: 'statement' }
  const app = await fixedDatabase(test, { facts, settings: { server_reset_query: 'DISCARD ALL', server_reset_query_always: true } })
  const [client, latin, sender] = [await app.raw(), await app.raw({ parameters: { client_encoding: 'LATIN1' } }), await app.raw()]
  const name = 'Stra\u00dfe\\\u{1f600}'
  await run(client, `LISTEN "${name}"`, 'LISTEN "quoted""name"', 'LISTEN gone', 'LISTEN "Stra\u00dfe"')
  await run(client, 'UNLISTEN gone', 'SELECT 1')
  // the same name in the other encoding

  const listen = Buffer.concat([Buffer.from('LISTEN "Stra'), Buffer.from([0xdf]), Buffer.from('e"\0')])
  await latin.ask(message('Q', listen))
  await latin.ask(message('Q', Buffer.concat([Buffer.from('UN'), listen])))
  await latin.ask(message('Q', listen))
  await run(sender, `NOTIFY "${name}", '1'`, `NOTIFY "quoted""name", '2'`, 'NOTIFY gone', `NOTIFY "Stra\u00dfe", '3'`)
  assert.equal((await heard(client)).length, 3)
  assert.equal((await heard(latin)).length, 1)
})

scenario('the server connection that listens is lost: sessions that listen are told and ended, others notice nothing', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 2 } })
  const [listener, other] = [await app.raw(), await app.raw()]
  await run(listener, 'LISTEN news')
  const [pid] = await app.waitForBackends(1, `query = 'LISTEN "news"'`)
  await app.sql(`SELECT pg_terminate_backend(${pid})`)
  const rest = (await listener.rest()).join('\n')
  assert.match(rest, /FATAL.*08006.*the server connection that listens was lost/)
  await run(other, 'SELECT 1', 'LISTEN news', "NOTIFY news, 'again'")
  await app.pglease.waitForLog('listening_lost')
})

scenario('without a place for the server connection that listens, LISTEN fails with the reason', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 2, max_db_connections: 1 }, settings: { query_wait_timeout: 1 } })
  const client = await app.raw()
  client.send(query('LISTEN news'))
  assert.match((await client.rest()).join('\n'), /FATAL.*08006.*LISTEN failed: the limits on server connections/)
  const next = await app.raw()
  await run(next, 'SELECT 1')
})

scenario('shutdown ends sessions that listen, and their server connection', async (test) => {
  const app = await fixedDatabase(test, { facts: { pool_size: 2 }, settings: { drain_timeout: 0, shutdown_timeout: 10 } })
  const client = await app.raw()
  await run(client, 'LISTEN news')
  const ended = app.pglease.stop()
  assert.match((await client.rest()).join('\n'), /FATAL.*57P01/)
  assert.equal((await ended).code, 0)
  assert.deepEqual(await app.backends(), [])
})
