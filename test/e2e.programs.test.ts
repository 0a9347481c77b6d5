// Random programs of client messages over several sessions and links. Short form of acceptance line B6.
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { randomPrograms } from './scenarios/programs.ts'

const DURATION_MS = 10_000

for (const seed of [7, Math.floor(Math.random() * 2 ** 31)]) {
  scenario(`random programs of several sessions are answered as by PostgreSQL, seed ${seed}`, async (run) => {
    assertFigures(await randomPrograms({ scenario: run, seed, say: () => undefined }, { durationMs: DURATION_MS }))
  })
}
