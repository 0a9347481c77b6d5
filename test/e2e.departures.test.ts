// Clients and servers that leave, or stop reading, in the middle: what is still done, who hears of it, and what is kept in memory.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { poll } from './kit/child.ts'
import { bind, copyData, copyFail, execute, flush, message, parse, query, sync } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'
import { again, ask, one, USER, world } from './kit/side-by-side.ts'

scenario('Terminate: what was asked is done, what was left open is not, and the link goes on', async (run) => {
  const it = await world(run)
  const count = async () => (await it.postgres.sql('SELECT count(*)::int AS n FROM t', it.database))[0]?.n
  const leave = async (...messages: Buffer[]) => {
    const client = await it.pooled()
    client.send(...messages, message('X'))
    await client.rest()
  }
  const other = await it.pooled()
  const alive = async () => assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
  await leave(query('SELECT pg_sleep(0.2)'), query("INSERT INTO t VALUES (1, 'x')"))
  await alive()
  assert.equal(await count(), 1)
  await leave(query('BEGIN'), query("INSERT INTO t VALUES (2, 'x')"))
  await alive()
  await leave(parse('', "INSERT INTO t VALUES (3, 'x')"), bind('', ''), execute())
  await alive()
  await leave(query('COPY t FROM STDIN'))
  await alive()
  await leave(query('COPY t FROM STDIN'), copyData('4\tx\n'))
  await alive()
  await leave(parse('', 'SELEC'), flush())
  await alive()
  await leave()
  assert.equal(await count(), 1)
})

scenario('a client that vanishes: its query is cancelled, its transaction undone, its link free', async (run) => {
  const it = await world(run)
  const other = await it.pooled()
  const alive = async () => assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
  for (const messages of [
    [query('SELECT pg_sleep(300)')],
    [query('BEGIN'), query("INSERT INTO t VALUES (1, 'x')")],
    [query('COPY t FROM STDIN'), copyData('1\tx\n')],
    [parse('', 'SELECT 1'), bind('', ''), execute(), flush()],
    [query('SELECT 1').subarray(0, 4)],
    [query(`SELECT '${'x'.repeat(100_000)}'`).subarray(0, 90_000)],
  ]) {
    const client = await it.pooled()
    client.send(...messages)
    if (messages.length > 1 || messages[0]?.includes('sleep'))
      await poll('the server has it', async () => {
        const rows = await it.postgres.sql(
          `SELECT 1 FROM pg_stat_activity WHERE usename = '${USER}' AND (state <> 'idle' OR query LIKE '%sleep%')`,
        )
        return rows.length > 0 || client.received.length > 20 ? true : undefined
      })
    client.vanish()
    await alive()
  }
  await poll('nothing is left', async () => {
    const rows = await it.postgres.sql(`SELECT query FROM pg_stat_activity WHERE usename = '${USER}' AND state <> 'idle'`)
    return rows.length === 0 ? true : undefined
  })
})

scenario('a server that ends a link: outside a transaction an ERROR and the client stays, inside FATAL', async (run) => {
  const it = await world(run)
  const suicide = 'SELECT pg_terminate_backend(pg_backend_pid())'
  const client = await it.pooled()
  const lost = ["ErrorResponse S='ERROR' C='57P01' M='terminating connection due to administrator command'", 'ReadyForQuery I']
  const ends = (trace: readonly string[]) => trace.filter((line) => /^(Error|Ready)/.test(line))
  assert.deepEqual(ends(await ask(query(suicide))(client)), lost)
  assert.ok((await ask(query('SELECT 1'))(client)).includes("DataRow '1'"))
  assert.deepEqual(ends(await ask(parse('', suicide), bind('', ''), execute(), sync(), query('SELECT 1'))(client)), [...lost, ...lost])
  assert.ok((await one('SELECT 5')(client)).includes("DataRow '5'"))
  await it.postgres.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${USER}'`)
  await poll('the idle link is gone', async () => {
    const rows = await it.postgres.sql(`SELECT 1 FROM pg_stat_activity WHERE usename = '${USER}'`)
    return rows.length === 0 ? true : undefined
  })
  assert.ok((await again(client)).includes("DataRow '5'"), 'the statement is kept')
  await ask(query('BEGIN'))(client)
  client.send(query(suicide))
  assert.match(String((await client.rest()).at(-1)), /^ErrorResponse S='FATAL' C='57P01'/)
})

/** Resident kilobytes. */
const resident = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

scenario('memory stays bounded with a client that does not read, and with a server that does not', async (run) => {
  const it = await world(run, 2)
  const [reader, writer, other] = [await it.pooled(), await it.pooled(), await it.pooled()]
  const before = resident(it.pglease.pid)
  reader.socket.pause()
  reader.send(query(`SELECT repeat('x', 100000) FROM generate_series(1, 3000)`), ...Array.from({ length: 50 }, () => query('SELECT 1')))
  const lock = await it.direct()
  await ask(query('BEGIN; LOCK TABLE t'))(lock)
  writer.send(query('COPY t FROM STDIN'))
  const line = copyData(`1\t${'y'.repeat(100_000)}\n`)
  let sent = 0
  const pump = () => {
    while (sent < 1000 && writer.socket.writableLength < 1_000_000) {
      writer.send(line)
      sent++
    }
  }
  writer.socket.on('drain', pump)
  pump()
  await poll('the server waits for its client', async () => {
    const rows = await it.postgres.sql(`SELECT 1 FROM pg_stat_activity WHERE usename = '${USER}' AND wait_event = 'ClientWrite'`)
    return rows.length > 0 ? true : undefined
  })
  const sentThen = await poll('the writer is stopped', async () => {
    const seen = sent
    await it.postgres.sql('SELECT pg_sleep(0.5)')
    return seen === sent ? seen : undefined
  })
  assert.ok(sentThen < 1000)
  const grown = resident(it.pglease.pid) - before
  assert.ok(grown < 64_000, `${grown} kB more`)
  reader.socket.resume()
  const replies: string[] = []
  for (let count = 0; count < 51; count++) replies.push(...(await reader.until('Z')).map((one) => one.type))
  assert.equal(replies.filter((type) => type === 'D').length, 3050)
  await ask(query('ROLLBACK'))(lock)
  await poll('all is sent', async () => (sent === 1000 ? true : undefined))
  writer.send(copyFail('enough'))
  assert.match(String(await writer.ready()), /C='(23505|57014)'/)
  assert.ok((await ask(query('SELECT 1'))(other)).includes("DataRow '1'"))
})
