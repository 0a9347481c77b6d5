// What a scenario of the acceptance list needs when a test runs it in its short form.
import type { AcceptContext } from '../../scripts/lib/accept_line.ts'
import { sharedPostgres } from '../kit/postgres.ts'
import type { Scenario } from '../kit/scenario.ts'
import { sharedVault, type VaultServer } from '../kit/vault.ts'

/** Tests say nothing while they run. */
export async function contextFor(scenario: Scenario, seed: number): Promise<AcceptContext> {
  return { postgres: await sharedPostgres(), vault: await sharedVault(), scenario, seed, say: () => undefined }
}

/** For a scenario with a Vault of its own, which must run where there is no real one too. */
export async function contextWithoutVault(scenario: Scenario, seed: number): Promise<AcceptContext> {
  const postgres = await sharedPostgres()
  return {
    postgres,
    get vault(): VaultServer {
      throw new Error('this scenario said that it has a Vault of its own')
    },
    scenario,
    seed,
    say: () => undefined,
  }
}
