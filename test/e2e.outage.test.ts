// Vault away: frozen past the end of a lease, absent at the start, and an answer lost on its way. Short forms of acceptance line A6.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { type Scenario, scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import type { FaultContext } from './scenarios/fault_world.ts'
import { lostAnswers } from './scenarios/lost_answer.ts'
import { vaultFrozen } from './scenarios/outage.ts'
import { frozenAndRestarted } from './scenarios/outage_twice.ts'
import { vaultUnreachableAtStart } from './scenarios/unreachable.ts'

const missing = await noVault()
const context = (s: Scenario, seed: number): FaultContext => ({ scenario: s, seed, say: () => undefined })

scenario('Vault frozen past the end of the lease: no query fails, few requests, and a new credential soon after the thaw', async (s) => {
  if (missing && skip(missing)) return
  assertFigures(await vaultFrozen(context(s, 1), { postgres: await sharedPostgres(), durationMs: 12_000, leaseSeconds: 6 }))
})

scenario('Vault frozen past the end of the token: the same, with a new login', async (s) => {
  if (missing && skip(missing)) return
  const options = { postgres: await sharedPostgres(), durationMs: 12_000, leaseSeconds: 5, tokenSeconds: 8 }
  assertFigures(await vaultFrozen(context(s, 2), options))
})

scenario('Vault sealed past the end of the lease: the same', async (s) => {
  if (missing && skip(missing)) return
  const options = { postgres: await sharedPostgres(), durationMs: 10_000, leaseSeconds: 6, how: 'sealed' } as const
  assertFigures(await vaultFrozen(context(s, 7), options))
})

scenario('Vault frozen and PostgreSQL restarted: clients wait, and are served when Vault thaws', async (s) => {
  if (missing && skip(missing)) return
  assertFigures(await frozenAndRestarted(context(s, 8)))
})

for (const how of ['refused', 'silent'] as const) {
  scenario(`Vault unreachable at the start (${how}): the probes say so, clients wait, and all is served when it comes`, async (s) => {
    if (missing && skip(missing)) return
    const [vault, postgres] = [await sharedVault(), await sharedPostgres()]
    assertFigures(await vaultUnreachableAtStart(context(s, 3), { vault, postgres, awayMs: 7000, how }))
  })
}

scenario('an answer to a read of credentials is lost at the start and in rotations: counted, not repeated blindly', async (s) => {
  if (missing && skip(missing)) return
  const [vault, postgres] = [await sharedVault(), await sharedPostgres()]
  assertFigures(await lostAnswers(context(s, 4), { vault, postgres, durationMs: 15_000 }))
})
