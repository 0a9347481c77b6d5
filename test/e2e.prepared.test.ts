// Named prepared statements across rotations, short: the same scenario runs for minutes as line B2 of scripts/accept.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { findTool, installCommand } from '../scripts/lib/tools.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault } from './kit/vault.ts'
import { contextFor } from './scenarios/context.ts'
import { preparedFigures, runPrepared } from './scenarios/prepared.ts'

const missing = await noVault()

scenario('pgbench -M prepared notices nothing of rotations', async (s) => {
  const pgbench = findTool('pgbench')
  if (!pgbench) return void skip(`pgbench is missing: ${installCommand('pgbench')}`)
  if (missing && skip(missing)) return
  const context = await contextFor(s, 2)
  assertFigures(preparedFigures(await runPrepared(context, { seconds: 10, leaseSeconds: 3, pgbench }), 3))
})
