// The schema changes under sessions of three drivers that keep their statements: rows say what they are, so each is checked for what it is decoded as.
import { setTimeout as pause } from 'node:timers/promises'
import { type AcceptContext, atLeast, exactly, type Figure, holds, seeded, told } from '../../scripts/lib/accept_line.ts'
import { DRIVERS, type Driver, missingFor, type PlansTally, runPlans } from '../kit/drivers.ts'
import { type FixedDatabase, fixedDatabase } from '../kit/fixed-database.ts'

/** The column's type and value, and what else is there. `ABCD` and its bytes as numbers: each could be taken for another. */
const KINDS = {
  int4: { type: 'int4', value: 0x41424344, wider: false, name: 'v' },
  text: { type: 'text', value: "'ABCD'", wider: false, name: 'v' },
  int8: { type: 'int8', value: 0x4142434445464748n, wider: false, name: 'v' },
  wider: { type: 'int8', value: 0x4142434445464748n, wider: true, name: 'v' },
  renamed: { type: 'int8', value: 0x4142434445464748n, wider: true, name: 'u' },
} as const
type Kind = keyof typeof KINDS

const SETUP = `
  CREATE TABLE shape (id int, kind text, v int4);
  INSERT INTO shape VALUES (1, 'int4', ${KINDS.int4.value}), (2, 'int4', ${KINDS.int4.value});
  CREATE TABLE changes (n int);
  INSERT INTO changes VALUES (0);
  GRANT SELECT ON shape, changes TO PUBLIC`

/** All in one transaction: who reads the rows sees them changed with their kind. */
function change(from: Kind, to: Kind): string {
  const [old, next] = [KINDS[from], KINDS[to]]
  return [
    'BEGIN',
    'UPDATE changes SET n = n + 1',
    'LOCK TABLE shape',
    ...(old.name === 'v' ? [] : [`ALTER TABLE shape RENAME ${old.name} TO v`]),
    ...(old.wider ? ['ALTER TABLE shape DROP COLUMN w'] : []),
    `ALTER TABLE shape ALTER COLUMN v TYPE ${next.type} USING ${next.value}`,
    ...(next.wider ? ['ALTER TABLE shape ADD COLUMN w int DEFAULT 5'] : []),
    ...(next.name === 'v' ? [] : [`ALTER TABLE shape RENAME v TO ${next.name}`]),
    `UPDATE shape SET kind = '${to}'`,
    'COMMIT',
  ].join('; ')
}

interface PlansOptions {
  readonly seconds: number
  /** Of each driver, in the order of `PLAN_DRIVERS`. */
  readonly sessions: readonly number[]
}

/** Those whose programs have `plans`. */
const PLAN_DRIVERS: readonly Driver[] = DRIVERS.filter(({ plans }) => plans !== undefined)

/** Why they can't be run on this machine. */
export const noPlanDrivers = (): string | undefined => PLAN_DRIVERS.map(missingFor).find((missing) => missing !== undefined)

/** Changes the schema several times a second until `ended`; how often. */
async function keepChanging(app: FixedDatabase, random: () => number, ended: () => boolean): Promise<number> {
  let kind: Kind = 'int4'
  let count = 0
  while (!ended()) {
    await pause(100 + random() * 400)
    const others = (Object.keys(KINDS) as Kind[]).filter((other) => other !== kind)
    const next = others[Math.floor(random() * others.length)] as Kind
    await app.sql(change(kind, next))
    kind = next
    count++
  }
  return count
}

function figuresOf(driver: Driver, sessions: number, tally: PlansTally): Figure[] {
  const name = `${driver.name}, ${sessions} sessions`
  return [
    told(`${name}: rows read`, tally.rows),
    told(`${name}: 0A000 told to a session that knew another description`, tally.refused - tally.refusedFresh - tally.refusedAgain),
    exactly(`${name}: 0A000 again for the same statement and change`, tally.refusedAgain, 0),
    atLeast(`${name}: fresh sessions`, tally.fresh, sessions),
    atLeast(`${name}: fresh sessions in one transaction block`, tally.inBlocks, 1),
    exactly(`${name}: 0A000 in fresh sessions`, tally.refusedFresh, 0),
    holds(`${name}: every row decoded as what it is`, tally.wrong.length === 0, tally.wrong.join('; ')),
    holds(`${name}: no other failure`, tally.failed.length === 0, tally.failed.join('; ')),
    atLeast(`${name}: rows per session`, tally.rows / sessions, 10),
  ]
}

/** Few links that change often and hold fewer statements than there are, so that sessions meet their statements anew all the time. */
export async function changedPlans(
  context: Pick<AcceptContext, 'scenario' | 'seed' | 'say'>,
  { seconds, sessions }: PlansOptions,
): Promise<Figure[]> {
  const app = await fixedDatabase(context.scenario, {
    facts: { pool_size: 6 },
    settings: { max_prepared_statements: 8, server_lifetime: '3s' },
    sql: SETUP,
  })
  const to = { host: '127.0.0.1', port: app.pglease.port, database: 'app', user: 'me', password: 'any' }
  let running = true
  const changing = keepChanging(app, seeded(context.seed), () => !running)
  const tallies = await Promise.all(PLAN_DRIVERS.map((driver, at) => runPlans(driver, to, seconds, sessions[at] ?? 1))).finally(() => {
    running = false
  })
  const changes = await changing
  context.say(`${changes} changes of the schema`)
  return [
    atLeast('changes of the schema', changes, seconds),
    ...PLAN_DRIVERS.flatMap((driver, at) => figuresOf(driver, sessions[at] ?? 1, tallies[at] as PlansTally)),
  ]
}
