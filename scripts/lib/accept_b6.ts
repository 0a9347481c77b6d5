// Acceptance line B6: random programs of client messages beside PostgreSQL itself.
import { LAYOUTS, randomPrograms } from '../../test/scenarios/programs.ts'
import type { AcceptLine, Figure } from './accept_line.ts'

const DURATION_MS = 30 * 60_000

export const line: AcceptLine = {
  name: 'B6',
  title: 'Random programs of client messages over several sessions and links give the answers of a direct connection, for 30 minutes',
  async run(context) {
    const { scenario, say } = context
    const figures: Figure[] = []
    // seeds in a row choose one layout after another
    for (let part = 0; part < LAYOUTS.length; part++) {
      const seed = context.seed + part
      const ran = await randomPrograms({ scenario, seed, say }, { durationMs: DURATION_MS / LAYOUTS.length, keep: true })
      figures.push(...ran.map((figure) => ({ ...figure, name: `seed ${seed}: ${figure.name}` })))
    }
    return figures
  },
}
