// Tokens that end while queries run, short: line A5 of scripts/accept sees five lives of 15 s.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { skip } from './kit/skip.ts'
import { noVault } from './kit/vault.ts'
import { contextFor, contextWithoutVault } from './scenarios/context.ts'
import { runKubernetes } from './scenarios/rotation_kubernetes.ts'
import { runTokenLives } from './scenarios/rotation_token.ts'

const missing = await noVault()

scenario('the leases of a token that ends move to the next one, and nothing of it is left', async (s) => {
  if (missing && skip(missing)) return
  const context = await contextFor(s, 5)
  assertFigures(await runTokenLives(context, { lives: 2, tokenTtl: 6, tokenMaxTtl: 8, defaultTtl: 60, maxTtl: 600, clients: 4 }))
})

scenario('a service-account token that is replaced while running is what the next logins send', async (s) => {
  const context = await contextWithoutVault(s, 5)
  assertFigures(await runKubernetes(context, { logins: 2, tokenTtl: 4, tokenMaxTtl: 6, clients: 4 }))
})
