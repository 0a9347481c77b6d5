// A5: tokens that end.
import { runKubernetes } from '../../test/scenarios/rotation_kubernetes.ts'
import { runTokenLives } from '../../test/scenarios/rotation_token.ts'
import type { AcceptLine } from './accept_line.ts'

const LIVES = 5

export const line: AcceptLine = {
  name: 'A5',
  title:
    'AppRole tokens with token_max_ttl=15s: five token lives without a failed query, and nothing of an earlier life is left in Vault. Kubernetes logins with a token file that is replaced while running (a stand-in Vault).',
  async run(context) {
    context.say(`${LIVES} token lives of 15 s`)
    const lives = await runTokenLives(context, { lives: LIVES, tokenTtl: 10, tokenMaxTtl: 15, defaultTtl: 60, maxTtl: 600 })
    context.say('a service-account token that is replaced')
    return [...lives, ...(await runKubernetes(context, { logins: 3, tokenTtl: 10, tokenMaxTtl: 15 }))]
  },
}
