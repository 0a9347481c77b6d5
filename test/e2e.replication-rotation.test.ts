// Replication over rotations: its connections end before their credential does, clients connect again, and nothing is missing.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, poll } from './kit/child.ts'
import type { Pglease } from './kit/pglease.ts'
import { GROUP_ROLE, type OwnPostgres } from './kit/postgres.ts'
import { hasPostgres, type PostgresVersion, runAsDatabaseUser, unprivileged } from './kit/postgres-binaries.ts'
import { type RawClient, rawLogin } from './kit/raw-client.ts'
import { copyData, query } from './kit/raw-messages.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import { DATABASE, startWorld, type World } from './scenarios/rotation.ts'

const missing = await noVault()
const LIFE = { defaultTtl: 6, maxTtl: 12 }
/** As docs/vault.md has it. */
const CREATION = `CREATE ROLE "{{name}}" LOGIN REPLICATION PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE ${GROUP_ROLE}`
const SLOT = 'slot_of_test'
const ROTATIONS = 2

interface Replicated extends World {
  postgres: OwnPostgres
}

/** A PostgreSQL with WAL for logical decoding, and roles that may replicate. */
async function replicated(run: Scenario, version: PostgresVersion = '18'): Promise<Replicated> {
  const postgres = await run.postgres({ version, config: { wal_level: 'logical', max_wal_senders: 10, max_replication_slots: 10 } })
  const vault = await sharedVault()
  const world = await startWorld({ postgres, vault, scenario: run }, { ...LIFE, creationStatements: [CREATION] })
  await postgres.sql('CREATE TABLE numbers (n int)', world.dbname)
  return { ...world, postgres }
}

const recycled = (pglease: Pglease) => pglease.logged('client_closed').filter(({ reason }) => reason === 'replication_recycled').length

/** Writes 1, 2, 3, ... until each of so many clients was recycled `ROTATIONS` times. Answers the last number. */
async function writeOverRotations({ postgres, dbname, pglease }: Replicated, clients = 1): Promise<number> {
  let last = 0
  await poll(
    `${ROTATIONS} rotations`,
    async () => {
      await postgres.sql(`INSERT INTO numbers VALUES (${++last})`, dbname)
      return recycled(pglease) >= clients * ROTATIONS || undefined
    },
    90_000,
  )
  await postgres.sql(`INSERT INTO numbers VALUES (${++last})`, dbname)
  return last
}

const countTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

/** A client of logical replication as the protocol asks for one: it confirms what it has, and connects again when its connection ends. */
class Receiver {
  readonly numbers: number[] = []
  readonly ends: string[] = []
  #confirmed = 0n
  #stopped = false
  #client: RawClient | undefined

  async stream(connect: () => Promise<RawClient>): Promise<void> {
    while (!this.#stopped) {
      const client = await connect()
      this.#client = client
      client.send(query(`START_REPLICATION SLOT ${SLOT} LOGICAL 0/0`))
      try {
        for (;;) this.#take(client, await client.next(60_000))
      } catch (error) {
        this.ends.push(client.received.findLast(({ type }) => type === 'E')?.toString() ?? String(error))
        client.socket.destroy()
      }
    }
  }

  stop(): void {
    this.#stopped = true
    this.#client?.vanish()
  }

  #take(client: RawClient, { type, body }: { type: string; body: Buffer }): void {
    if (type !== 'd') return
    const kind = String.fromCharCode(body[0] ?? 0)
    if (kind === 'w') {
      this.#confirmed = body.readBigInt64BE(1)
      const number = /numbers: INSERT: n\[integer\]:(\d+)/.exec(body.toString('utf8', 25))?.[1]
      if (number !== undefined) this.numbers.push(Number(number))
      // a commit ends what may be confirmed
      if (!body.toString('utf8', 25).startsWith('COMMIT')) return
    }
    const status = Buffer.alloc(34)
    status.write('r')
    for (const at of [1, 9, 17]) status.writeBigInt64BE(this.#confirmed, at)
    client.send(copyData(status))
  }
}

scenario('logical replication over rotations: 57P01, connected again, every row once, and no role is left behind', async (run) => {
  if (missing && skip(missing)) return
  const world = await replicated(run)
  const { pglease, mount, dbname, postgres } = world
  await postgres.sql(`SELECT pg_create_logical_replication_slot('${SLOT}', 'test_decoding')`, dbname)
  const receiver = new Receiver()
  // the server says 55006 as long as the slot is the former connection's
  const login = { user: 'any', database: DATABASE, parameters: { replication: 'database' } }
  const streaming = receiver.stream(() => rawLogin({ port: pglease.port }, login))
  const first = await mount.leasedRoles()
  const last = await writeOverRotations(world)
  await poll('the last row', () => receiver.numbers.includes(last) || undefined)
  receiver.stop()
  await streaming
  assert.deepEqual(receiver.numbers, countTo(last))
  const recycledEnds = receiver.ends.filter((end) => /FATAL.*C='57P01' M='terminating connection because the credential/.test(end))
  assert.ok(recycledEnds.length >= ROTATIONS, receiver.ends.join('\n'))
  assert.match(String(pglease.logged('sessions_recycled')[0]?.msg), /^1 replication connections hold server connections/)
  await poll('the first role is dropped', async () => !(await mount.leasedRoles()).some((role) => first.includes(role)) || undefined)
  assert.equal(pglease.logged('lease_overdue').length, 0)
})

scenario('replication connections of another database that fill max_server_connections hold up no rotation', async (run) => {
  if (missing && skip(missing)) return
  const postgres = await run.postgres({ version: '18', config: { wal_level: 'logical', max_wal_senders: 10 } })
  const { superuser: user, password } = postgres
  const world = await startWorld(
    { postgres, vault: await sharedVault(), scenario: run },
    {
      ...LIFE,
      config: { max_server_connections: 3 },
      others: (server) => ({ streams: { ...server, user, password, server_tls_sslmode: 'disable' } }),
    },
  )
  const { pglease, mount } = world
  const [first] = await mount.leasedRoles()
  const login = { user: 'any', database: 'streams', parameters: { replication: 'database' } }
  const streams: RawClient[] = []
  for (let count = 0; count < 3; count++) streams.push(await rawLogin({ port: pglease.port }, login))
  for (const stream of streams) await stream.ask(query('IDENTIFY_SYSTEM'))
  await poll('the first role is dropped', async () => !(await mount.leasedRoles()).includes(String(first)) || undefined, 60_000)
  assert.ok(pglease.logged('rotated').length >= 1)
  assert.equal(pglease.logged('lease_overdue').length, 0)
  const ended = pglease.logged('client_closed').filter(({ reason }) => reason === 'replication_recycled')
  assert.equal(ended.length, 1, "its place is the database's from then on")
  const client = await pglease.client(DATABASE)
  assert.equal((await client.query('SELECT 1 AS one')).rows[0]?.one, 1)
})

/** Runs one of PostgreSQL's receivers through pglease; its output goes below `folder`. */
function receive(run: Scenario, program: string, { pglease }: World, args: readonly string[], folder: string): Child {
  const dbname = program === 'pg_recvlogical' ? ` dbname=${DATABASE}` : ''
  const connection = `host=127.0.0.1 port=${pglease.port} user=any password=any${dbname}`
  const child = runAsDatabaseUser('15', program, ['-d', connection, ...args], folder)
  run.showOnFailure(program, () => child.tail())
  run.defer(() => child.stop('SIGKILL'))
  return child
}

function outputFolder(run: Scenario): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pglease-replication-')))
  run.defer(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'out/wal'), { recursive: true })
  unprivileged().own(folder)
  return folder
}

const noTools = hasPostgres('15') ? missing : 'PostgreSQL 15 is not installed, whose pg_receivewal and pg_recvlogical are needed'

scenario('pg_receivewal and pg_recvlogical connect again by themselves and miss nothing', async (run) => {
  if (noTools && skip(noTools)) return
  const world = await replicated(run, '15')
  const { postgres, dbname } = world
  const folder = outputFolder(run)
  const [changes, segments] = [join(folder, 'out/changes'), join(folder, 'out/wal')]
  // this one names no database
  const receivewal = (...args: string[]) => receive(run, 'pg_receivewal', world, ['-S', 'physical', '-s', '1', ...args], folder)
  const recvlogical = (...args: string[]) => receive(run, 'pg_recvlogical', world, ['-S', SLOT, ...args], folder)
  for (const create of [receivewal('--create-slot'), recvlogical('--create-slot', '-P', 'test_decoding')])
    assert.equal((await create.exit).code, 0)
  const physical = receivewal('-D', segments)
  const logical = recvlogical('--start', '-f', changes, '-s', '1', '-F', '1')
  const bothStream = async () => ((await postgres.sql('SELECT 1 FROM pg_stat_replication')).length === 2 ? true : undefined)
  await poll('both stream', bothStream)
  const last = await writeOverRotations(world, 2)
  const seen = () => [...readFileSync(changes, 'utf8').matchAll(/INSERT: n\[integer\]:(\d+)/g)].map(([, number]) => Number(number))
  await poll('the last row', () => seen().includes(last) || undefined)
  // it confirms once a second: what came since is sent again
  assert.deepEqual([...new Set(seen())], countTo(last))
  const [row] = await postgres.sql<{ segment: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS segment', dbname)
  const segment = String(row?.segment)
  await poll(`segment ${segment}`, () => existsSync(join(segments, segment)) || undefined)
  for (const name of readdirSync(segments).filter((one) => !one.endsWith('.partial'))) {
    const theirs = readFileSync(join(postgres.directory, 'data/pg_wal', name))
    assert.ok(readFileSync(join(segments, name)).equals(theirs), name)
  }
  for (const child of [physical, logical]) {
    assert.equal(child.ended, undefined)
    assert.match(child.stderr, /terminating connection because the credential of its server connection is being replaced/)
  }
})
