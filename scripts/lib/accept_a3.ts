// A3: rotations under load.
import { type RotationResult, rotationFigures, runRotation, runWithoutRotation, worstFigures } from '../../test/scenarios/rotation.ts'
import type { AcceptContext, AcceptLine, Figure } from './accept_line.ts'
import { needTool } from './tools.ts'

const SECONDS = 180
const LEAST_ROTATIONS = 8
const WORST_TIMES = 3
const LIFE = { defaultTtl: 6, maxTtl: 18 }

function summary({ loads, rotations }: RotationResult): string {
  const told = [...loads].map(
    ([name, { queries, failed, worstMs }]) => `${name} ${queries} queries, ${failed} failed, worst ${Math.round(worstMs)} ms`,
  )
  return [...told, `${rotations} rotations`].join('; ')
}

async function run(context: AcceptContext): Promise<Figure[]> {
  const pgbench = await needTool('pgbench')
  if (!pgbench) throw new Error('pgbench is needed')
  const figures: Figure[] = []
  for (const load of [{ name: 'pg driver and pipeline' }, { name: 'pgbench', pgbench }]) {
    const options = { seconds: SECONDS, ...LIFE, ...(load.pgbench && { pgbench: load.pgbench }) }
    context.say(`${load.name}: ${SECONDS} s without rotation`)
    const without = await runWithoutRotation(context, options)
    context.say(summary(without))
    context.say(`${load.name}: ${SECONDS} s with leases of ${LIFE.defaultTtl} s, at most ${LIFE.maxTtl} s`)
    const rotated = await runRotation(context, options)
    context.say(summary(rotated))
    figures.push(...rotationFigures(rotated, LEAST_ROTATIONS, load.name), ...worstFigures(rotated, without, WORST_TIMES))
  }
  return figures
}

export const line: AcceptLine = {
  name: 'A3',
  title:
    'Real Vault, leases of 6 s and at most 18 s, 16 clients of the pg driver, every fourth in transactions that sleep, one more client with 8 Syncs always outstanding; the same with pgbench -S at full speed: no query fails and no connection is lost.',
  run,
}
