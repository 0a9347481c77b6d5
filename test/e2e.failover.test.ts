// A standby takes over. Short form of acceptance line B7.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noStandby } from './kit/standby.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import { failovers } from './scenarios/failover.ts'

const missing = noStandby()
const vaultMissing = await noVault()

scenario('primary stopped, then killed, the standby promoted: writes resume by themselves and nobody idle is disconnected', async (s) => {
  if (missing && skip(missing)) return
  assertFigures(await failovers({ scenario: s, seed: 7, say: () => undefined }, { durationMs: 10_000 }))
})

scenario('the same while credentials rotate every twelve seconds: the next one comes from the promoted standby', async (s) => {
  if (missing && skip(missing)) return
  if (vaultMissing && skip(vaultMissing)) return
  const vault = await sharedVault()
  assertFigures(await failovers({ scenario: s, seed: 8, say: () => undefined }, { durationMs: 10_000, vault }))
})
