// A4: work that outlives a rotation.
import { runMigration, runTransaction } from '../../test/scenarios/rotation_transaction.ts'
import type { AcceptLine } from './accept_line.ts'

const LIFE = { defaultTtl: 6, maxTtl: 18 }

export const line: AcceptLine = {
  name: 'A4',
  title:
    'A transaction begun before a rotation and committed after it keeps its role and commits, while another connection has the new role; a migration that makes tables under server_role goes through three rotations, and the roles are dropped.',
  async run(context) {
    context.say('a transaction across a rotation')
    const transaction = await runTransaction(context, LIFE)
    context.say('a migration across three rotations')
    return [...transaction, ...(await runMigration(context, { ...LIFE, rotations: 3 }))]
  },
}
