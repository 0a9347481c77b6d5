// Work that outlives rotations: a transaction keeps its role and commits, and a migration makes tables all the way through.
import type pg from 'pg'
import { type AcceptContext, atLeast, exactly, type Figure, holds, told } from '../../scripts/lib/accept_line.ts'
import { EVENT_WAIT_MS, poll } from '../kit/child.ts'
import { GROUP_ROLE } from '../kit/postgres.ts'
import { DATABASE, sampleRoles, startWorld } from './rotation.ts'

interface LifeOptions {
  /** Seconds. */
  defaultTtl: number
  maxTtl: number
}

async function roleOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ role: string }>('SELECT session_user AS role')
  return rows[0]?.role ?? ''
}

/** The role of `client` as soon as it is another one than `before`. */
function newRole(client: pg.Client, before: string, waitMs: number): Promise<string> {
  return poll(
    `another role than ${before}`,
    async () => {
      const role = await roleOf(client)
      return role === before ? undefined : role
    },
    waitMs,
  )
}

/** A transaction begun before a rotation and committed after it, and another connection meanwhile. */
export async function runTransaction(context: AcceptContext, { defaultTtl, maxTtl }: LifeOptions): Promise<Figure[]> {
  const { mount, pglease, dbname } = await startWorld(context, { defaultTtl, maxTtl })
  await context.postgres.sql('CREATE TABLE kept (role text); GRANT SELECT, INSERT ON kept TO app', dbname)
  const [held, other] = [await pglease.client(DATABASE), await pglease.client(DATABASE)]
  await held.query('BEGIN')
  const first = await roleOf(held)
  await held.query('INSERT INTO kept VALUES (session_user)')
  const second = await newRole(other, first, (maxTtl + EVENT_WAIT_MS / 1000) * 1000)
  const inside = await roleOf(held)
  const aliveBefore = (await mount.leasedRoles()).includes(first)
  await held.query('INSERT INTO kept VALUES (session_user)')
  const { command } = await held.query('COMMIT')
  const rows = await context.postgres.sql<{ role: string }>('SELECT role FROM kept', dbname)
  const after = await roleOf(held)
  const dropped = await poll('the first role is dropped', async () => !(await mount.leasedRoles()).includes(first) || undefined)
  const lost = held.errors.length + other.errors.length
  await Promise.all([held.end(), other.end()])
  await pglease.stop()
  return [
    exactly('the transaction: its command at the end', command, 'COMMIT'),
    exactly('the transaction: roles that its statements ran with', new Set([first, inside, ...rows.map(({ role }) => role)]).size, 1),
    exactly('the transaction: rows that are there after it', rows.length, 2),
    holds('another connection had a new role meanwhile', second !== inside),
    holds('the old role lived until the commit', aliveBefore),
    holds('after the commit its connection has a new role too', after !== first),
    holds('the old role was dropped after the commit', dropped),
    exactly('connections lost', lost, 0),
  ]
}

/** Tables made one after another under `server_role`, in and out of transactions, until `rotations` rotations have passed. */
export async function runMigration(context: AcceptContext, options: LifeOptions & { rotations: number }): Promise<Figure[]> {
  const { defaultTtl, maxTtl, rotations } = options
  const { mount, pglease, dbname } = await startWorld(context, { defaultTtl, maxTtl, database: { server_role: GROUP_ROLE } })
  const sampler = sampleRoles(mount)
  const client = await pglease.client(DATABASE)
  const roles = [await roleOf(client)]
  let tables = 0
  const until = performance.now() + (maxTtl * (rotations + 1) + EVENT_WAIT_MS / 1000) * 1000
  while (roles.length <= rotations) {
    if (performance.now() > until) throw new Error(`${roles.length - 1} of ${rotations} rotations\n${pglease.child.tail()}`)
    const table = `made_${tables}`
    await client.query('BEGIN')
    await client.query(`CREATE TABLE ${table} (id integer PRIMARY KEY, role text DEFAULT session_user)`)
    await client.query(`INSERT INTO ${table} SELECT generate_series(1, 10)`)
    await client.query('SELECT pg_sleep(0.2)')
    await client.query('COMMIT')
    await client.query(`CREATE INDEX ON ${table} (role)`)
    await client.query(`ALTER TABLE ${table} ADD COLUMN note text`)
    tables++
    const role = await roleOf(client)
    if (!roles.includes(role)) roles.push(role)
  }
  const left = await poll('the earlier roles are dropped', async () => {
    const alive = await mount.leasedRoles()
    return alive.length === 1 ? alive.length : undefined
  })
  const samples = await sampler.stop()
  const owners = await context.postgres.sql<{ tables: number; others: number }>(
    `SELECT count(*)::int AS tables, (count(*) FILTER (WHERE tableowner <> '${GROUP_ROLE}'))::int AS others FROM pg_tables WHERE tablename LIKE 'made_%'`,
    dbname,
  )
  const lost = client.errors.length
  await client.end()
  const { code } = await pglease.stop()
  const atEnd = await poll('the last role is dropped', async () => ((await mount.leasedRoles()).length === 0 ? 0 : undefined))
  return [
    atLeast('the migration: rotations that it went through', roles.length - 1, rotations),
    exactly('the migration: tables there of those made', owners[0]?.tables ?? 0, tables),
    exactly(`the migration: tables that belong to another role than ${GROUP_ROLE}`, owners[0]?.others ?? -1, 0),
    exactly('the migration: connections lost', lost, 0),
    exactly('leased roles after the last rotation', left, 1),
    exactly('leased roles after pglease ended', atEnd, 0),
    exactly('exit status of pglease', code ?? -1, 0),
    told('most leased roles at once', samples.most),
  ]
}
