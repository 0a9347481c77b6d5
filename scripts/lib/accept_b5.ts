// Acceptance line B5: the schema changes under cached plans.
import { changedPlans, noPlanDrivers } from '../../test/scenarios/plans.ts'
import type { AcceptLine } from './accept_line.ts'

const SECONDS = 120
/** psycopg, pgx, pgJDBC: 50 together. */
const SESSIONS = [16, 18, 16]

export const line: AcceptLine = {
  name: 'B5',
  title:
    'The schema changes under 50 sessions of pgx, psycopg and pgJDBC with cached plans: fresh sessions never see 0A000, old ones at most once per statement and change, and no row is decoded wrongly.',
  async run(context) {
    const missing = noPlanDrivers()
    if (missing) throw new Error(missing)
    return changedPlans(context, { seconds: SECONDS, sessions: SESSIONS })
  },
}
