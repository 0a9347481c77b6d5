// B2: named prepared statements across rotations, and what they cost.
import { preparedFigures, runPrepared } from '../../test/scenarios/prepared.ts'
import type { AcceptLine } from './accept_line.ts'
import { needTool } from './tools.ts'

const SECONDS = 120
/** Replaced after two thirds: every 10 s. */
const LEASE_SECONDS = 15
const LEAST_ROTATIONS = 20
const MOST_RATIO = 1.1

export const line: AcceptLine = {
  name: 'B2',
  title:
    'pgbench -S -M prepared, transaction mode, the credential replaced every 10 s, 2 minutes: no error, and processor time per transaction within 1.10 of -M extended in the same run.',
  async run(context) {
    const pgbench = await needTool('pgbench')
    if (!pgbench) throw new Error('pgbench is needed')
    context.say(`${SECONDS} s of -M prepared, then ${SECONDS} s of -M extended`)
    return preparedFigures(
      await runPrepared(context, { seconds: SECONDS, leaseSeconds: LEASE_SECONDS, pgbench }),
      LEAST_ROTATIONS,
      MOST_RATIO,
    )
  },
}
