// What only a person can mend, and what passes by itself: who fails at once, who waits, and what each is told. Second half of acceptance line A7.
import { assertFigures, type Figure } from '../scripts/lib/accept_line.ts'
import { sharedPostgres } from './kit/postgres.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import type { FaultContext } from './scenarios/fault_world.ts'
import { deniedPolicy, missingPasswordPolicy, type RefusalOptions, wrongVaultPath } from './scenarios/refusal.ts'
import { fullMaxConnections } from './scenarios/refusal_full.ts'
import { roleDeletedWhileServing, roleLost } from './scenarios/refusal_serving.ts'

const missing = await noVault()

function refused(name: string, run: (context: FaultContext, options: RefusalOptions) => Promise<Figure[]>): void {
  scenario(name, async (s) => {
    if (missing && skip(missing)) return
    const options = { vault: await sharedVault(), postgres: await sharedPostgres() }
    assertFigures(await run({ scenario: s, seed: 1, say: () => undefined }, options))
  })
}

refused('a wrong vault_path: clients fail at once with the reason, and are served when the role exists', wrongVaultPath)
refused('a policy that denies: clients fail at once with the reason, and are served when it allows', deniedPolicy)
refused('a missing password policy: clients wait, are told the reason, and are served when it exists', missingPasswordPolicy)
refused('a PostgreSQL without a free connection: clients wait, are told the reason, and no further lease is made', fullMaxConnections)
refused('a Vault role deleted while its lease serves: nobody notices before the end of that lease', roleDeletedWhileServing)
refused('a role that PostgreSQL lost: another is leased, and clients wait for it', roleLost)
