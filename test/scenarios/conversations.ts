// Random conversations: what a client gets through pglease, on a link that another uses meanwhile, is what PostgreSQL itself answers.
import assert from 'node:assert/strict'
import { seeded } from '../../scripts/lib/accept_line.ts'
import type { FixedDatabase } from '../kit/fixed-database.ts'
import type { RawClient } from '../kit/raw-client.ts'
import { bind, execute, parse, sync } from '../kit/raw-messages.ts'
import { type Conversation, conversation } from './programs_random.ts'

/** The replies but for ParameterStatus, which a link may have told before, and for the names of statements, which are the pool's. */
export async function converse(client: RawClient, { chunks, marker }: Conversation): Promise<string> {
  for (const chunk of chunks) {
    client.send(chunk)
    // so that each mostly arrives on its own
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
  }
  const lines: string[] = []
  try {
    while (lines.at(-1) !== `DataRow '${marker}'`) lines.push(String(await client.next(10_000)))
    lines.push(...(await client.ready(10_000)))
  } catch (error) {
    lines.push(String(error).slice(0, 200))
  }
  client.forgetRead()
  return lines
    .filter((line) => !line.startsWith('ParameterStatus'))
    .map((line) => line.replace(/x{50,}|y{50,}/g, '~').replace(/prepared statement "\w*"/, 'prepared statement ~'))
    .join('\n')
}

interface Difference {
  round: number
  names: string
  direct: string
  pooled: string
}

/** The first of `rounds` conversations that differs. The pool must be of one link; the database has a table `t (a int)`. */
export async function firstDifference(app: FixedDatabase, rounds: number, seed: number): Promise<Difference | undefined> {
  const random = seeded(seed)
  const pooled = await app.raw()
  const direct = await app.direct({ user: app.user, password: app.password })
  let going = true
  const other = await app.raw()
  const disturber = (async () => {
    for (let turn = 0; going; turn++) {
      // odd turns leave a statement behind that nobody may reach
      const [asked, answers] =
        turn % 2
          ? [[], []]
          : [
              [bind('', ''), execute()],
              ['BindComplete', `DataRow '${turn}'`, "CommandComplete 'SELECT 1'"],
            ]
      const lines = await other.ask(parse('', `SELECT ${turn}`), ...asked, sync())
      const told = lines.filter((line) => !line.startsWith('ParameterStatus'))
      assert.deepEqual(told, ['ParseComplete', ...answers, 'ReadyForQuery I'], 'the other session')
    }
  })()
  try {
    for (let round = 0; round < rounds; round++) {
      const one = conversation(random, round)
      const [expected, got] = [await converse(direct, one), await converse(pooled, one)]
      if (expected !== got) return { round, names: one.names, direct: expected, pooled: got }
    }
    return undefined
  } finally {
    going = false
    await disturber
  }
}
