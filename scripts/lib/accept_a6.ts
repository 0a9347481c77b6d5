// Acceptance line A6: Vault frozen, absent at the start, and an answer of it lost.
import { lostAnswers } from '../../test/scenarios/lost_answer.ts'
import { vaultFrozen } from '../../test/scenarios/outage.ts'
import { frozenAndRestarted } from '../../test/scenarios/outage_twice.ts'
import { vaultUnreachableAtStart } from '../../test/scenarios/unreachable.ts'
import type { AcceptLine } from './accept_line.ts'

const FROZEN_MS = 60_000
const AWAY_MS = 30_000
const LOSSES_MS = 60_000

export const line: AcceptLine = {
  name: 'A6',
  title: 'Vault frozen for 60 s with a 30 s lease, unreachable at the start, and answers of it lost: no query fails meanwhile',
  async run(context) {
    const { vault, postgres } = context
    return [
      ...(await vaultFrozen(context, { postgres, durationMs: FROZEN_MS, leaseSeconds: 30 })),
      ...(await frozenAndRestarted(context)),
      ...(await vaultUnreachableAtStart(context, { vault, postgres, awayMs: AWAY_MS, how: 'refused' })),
      ...(await vaultUnreachableAtStart(context, { vault, postgres, awayMs: AWAY_MS, how: 'silent' })),
      ...(await lostAnswers(context, { vault, postgres, durationMs: LOSSES_MS })),
    ]
  },
}
