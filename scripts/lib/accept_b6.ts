// Acceptance line B6: random programs of client messages beside PostgreSQL itself.
import { randomPrograms } from '../../test/scenarios/programs.ts'
import type { AcceptLine } from './accept_line.ts'

const DURATION_MS = 30 * 60_000

export const line: AcceptLine = {
  name: 'B6',
  title: 'Random programs of client messages over several sessions and links give the answers of a direct connection, for 30 minutes',
  run: (context) => randomPrograms(context, { durationMs: DURATION_MS, keep: true }),
}
