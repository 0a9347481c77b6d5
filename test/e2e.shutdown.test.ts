// How pglease ends: every signal, every deadline, and what is left behind. Short form of acceptance line A8.
import { assertFigures, type Figure } from '../scripts/lib/accept_line.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import type { FaultContext } from './scenarios/fault_world.ts'
import { foreignToken, type ShutdownOptions, terminatedUnderLoad } from './scenarios/shutdown.ts'
import { drainTimeout, shutdownDelay, shutdownTimeout } from './scenarios/shutdown_deadlines.ts'
import { leaseOnItsWay, neverServed, postgresAway, vaultAway } from './scenarios/shutdown_outage.ts'
import { ignoredSignals, interrupted, signalledAtStart, signalsThatEndAtOnce } from './scenarios/shutdown_signals.ts'

const missing = await noVault()

function ending(name: string, run: (context: FaultContext, options: ShutdownOptions) => Promise<Figure[]>): void {
  scenario(name, async (s) => {
    if (missing && skip(missing)) return
    const options = { vault: await sharedVault(), postgres: await sharedPostgres(), durationMs: 5000 }
    assertFigures(await run({ scenario: s, seed: 6, say: () => undefined }, options))
  })
}

ending('SIGTERM under load: running queries finish, new clients are served, nothing is left behind', terminatedUnderLoad)
ending('a token that was given to pglease is valid after its end', foreignToken)
ending('drain_timeout: idle clients are ended, transactions finish', drainTimeout)
ending('shutdown_delay: served for that long although nobody is there', shutdownDelay)
ending('shutdown_timeout: what still runs is interrupted, status 143', shutdownTimeout)
ending('SIGINT: transactions finish, new clients are refused', interrupted)
ending('SIGQUIT and a second signal end at once, with the status of that signal', signalsThatEndAtOnce)
ending('SIGTERM at the start: nothing is left behind', signalledAtStart)
ending('SIGTERM before Vault was ever reached: who waits is told', neverServed)
ending('SIGTERM while PostgreSQL is away: who waits is told', postgresAway)
ending('SIGTERM while a lease is on its way: it is revoked', leaseOnItsWay)
for (const signal of ['SIGTERM', 'SIGQUIT'] as const) {
  ending(`${signal} while Vault is frozen: the end comes, and what is left behind is told`, (context, options) =>
    vaultAway(context, options, signal),
  )
}
ending('SIGHUP, SIGUSR1 and SIGUSR2 are logged and ignored', ignoredSignals)
