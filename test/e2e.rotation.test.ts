// Rotations under load, short: the same scenario runs for minutes as line A3 of scripts/accept.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { findTool, installCommand } from '../scripts/lib/tools.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault } from './kit/vault.ts'
import { contextFor } from './scenarios/context.ts'
import { type RotationOptions, rotationFigures, runRotation } from './scenarios/rotation.ts'

const missing = await noVault()
const LIFE = { defaultTtl: 3, maxTtl: 7 }
const SEED = 3

scenario('clients of the pg driver and a pipeline without an end notice nothing of rotations', async (s) => {
  if (missing && skip(missing)) return
  const context = await contextFor(s, SEED)
  assertFigures(rotationFigures(await runRotation(context, { seconds: 20, ...LIFE }), 2))
})

scenario('nor do more clients than the pool has connections, all of them taken when the credential changes', async (s) => {
  if (missing && skip(missing)) return
  const context = await contextFor(s, SEED)
  assertFigures(rotationFigures(await runRotation(context, { seconds: 20, ...LIFE, poolSize: 5 }), 2))
})

scenario('nor does pgbench at full speed', async (s) => {
  const pgbench = findTool('pgbench')
  if (!pgbench && skip(`pgbench is missing: ${installCommand('pgbench')}`)) return
  if (missing && skip(missing)) return
  const context = await contextFor(s, SEED)
  const options: RotationOptions = { seconds: 15, ...LIFE, ...(pgbench && { pgbench }) }
  assertFigures(rotationFigures(await runRotation(context, options), 1))
})

scenario('nor does anyone when PostgreSQL has no free connection for the new credential', async (s) => {
  if (missing && skip(missing)) return
  const postgres = await s.postgres({ maxConnections: 9 })
  const context = { ...(await contextFor(s, SEED)), postgres }
  assertFigures(rotationFigures(await runRotation(context, { seconds: 20, ...LIFE, clients: 12 }), 2))
})
