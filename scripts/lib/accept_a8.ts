// Acceptance line A8: the end of pglease, under load and by every signal.
import { foreignToken, terminatedUnderLoad } from '../../test/scenarios/shutdown.ts'
import { drainTimeout, shutdownDelay, shutdownTimeout } from '../../test/scenarios/shutdown_deadlines.ts'
import { leaseOnItsWay, neverServed, postgresAway, vaultAway } from '../../test/scenarios/shutdown_outage.ts'
import { ignoredSignals, interrupted, signalsThatEndAtOnce } from '../../test/scenarios/shutdown_signals.ts'
import type { AcceptLine } from './accept_line.ts'

/** Shorter than drain_timeout's 20 s. */
const CLIENTS_STAY_MS = 15_000

export const line: AcceptLine = {
  name: 'A8',
  title: 'SIGTERM under load: everybody is served until they leave, and nothing is left in Vault or PostgreSQL',
  async run(context) {
    const { vault, postgres } = context
    const options = { vault, postgres, durationMs: CLIENTS_STAY_MS }
    return [
      ...(await terminatedUnderLoad(context, options)),
      ...(await foreignToken(context, options)),
      ...(await drainTimeout(context, options)),
      ...(await shutdownDelay(context, options)),
      ...(await shutdownTimeout(context, options)),
      ...(await interrupted(context, options)),
      ...(await signalsThatEndAtOnce(context, options)),
      ...(await neverServed(context, options)),
      ...(await postgresAway(context, options)),
      ...(await leaseOnItsWay(context, options)),
      ...(await vaultAway(context, options, 'SIGTERM')),
      ...(await vaultAway(context, options, 'SIGQUIT')),
      ...(await ignoredSignals(context, options)),
    ]
  },
}
