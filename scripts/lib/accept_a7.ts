// Acceptance line A7: PostgreSQL restarted under load, and what Vault or PostgreSQL refuse.
import { deniedPolicy, missingPasswordPolicy, wrongVaultPath } from '../../test/scenarios/refusal.ts'
import { fullMaxConnections } from '../../test/scenarios/refusal_full.ts'
import { roleDeletedWhileServing, roleLost } from '../../test/scenarios/refusal_serving.ts'
import { postgresRestarts } from '../../test/scenarios/restart.ts'
import type { AcceptLine } from './accept_line.ts'

const RESTARTS_MS = 90_000

export const line: AcceptLine = {
  name: 'A7',
  title: 'PostgreSQL restarted under load; what a person must mend fails at once, what passes by itself waits, each with its reason',
  async run(context) {
    const { vault } = context
    return [
      ...(await postgresRestarts(context, { vault, durationMs: RESTARTS_MS })),
      ...(await postgresRestarts(context, { vault, durationMs: RESTARTS_MS, leaseSeconds: 6 })),
      ...(await wrongVaultPath(context, context)),
      ...(await deniedPolicy(context, context)),
      ...(await missingPasswordPolicy(context, context)),
      ...(await fullMaxConnections(context, { vault })),
      ...(await roleDeletedWhileServing(context, context)),
      ...(await roleLost(context, context)),
    ]
  },
}
