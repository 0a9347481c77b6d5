// PostgreSQL restarted and killed under load. Short form of the first half of acceptance line A7.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault, sharedVault } from './kit/vault.ts'
import { postgresRestarts } from './scenarios/restart.ts'

const missing = await noVault()

scenario('PostgreSQL restarted and killed: sessions outside transactions stay, the others end as promised', async (s) => {
  if (missing && skip(missing)) return
  const context = { scenario: s, seed: 5, say: () => undefined }
  assertFigures(await postgresRestarts(context, { vault: await sharedVault(), durationMs: 10_000 }))
})

scenario('PostgreSQL restarted and killed while leases of seconds are renewed and replaced: the same', async (s) => {
  if (missing && skip(missing)) return
  const context = { scenario: s, seed: 9, say: () => undefined }
  assertFigures(await postgresRestarts(context, { vault: await sharedVault(), durationMs: 25_000, leaseSeconds: 6 }))
})
