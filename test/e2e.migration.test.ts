// Work that outlives rotations, with leases of a few seconds: line A4 of scripts/accept runs it with longer ones.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault } from './kit/vault.ts'
import { contextFor } from './scenarios/context.ts'
import { runMigration, runTransaction } from './scenarios/rotation_transaction.ts'

const missing = await noVault()

scenario('a transaction begun before a rotation keeps its role and commits after it', async (s) => {
  if (missing && skip(missing)) return
  assertFigures(await runTransaction(await contextFor(s, 4), { defaultTtl: 4, maxTtl: 8 }))
})

scenario('a migration under server_role goes through rotations, and the roles are dropped', async (s) => {
  if (missing && skip(missing)) return
  assertFigures(await runMigration(await contextFor(s, 4), { defaultTtl: 3, maxTtl: 7, rotations: 2 }))
})
