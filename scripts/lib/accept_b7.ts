// Acceptance line B7: a failover from a primary to its streaming standby.
import { failovers } from '../../test/scenarios/failover.ts'
import type { AcceptLine } from './accept_line.ts'

const FAILOVERS_MS = 180_000

export const line: AcceptLine = {
  name: 'B7',
  title:
    'Primary and streaming standby, the primary stopped or killed, the standby promoted, again and again: writes resume by themselves, and no client that was idle is disconnected.',
  servers: false,
  run: (context) => failovers(context, { durationMs: FAILOVERS_MS }),
}
