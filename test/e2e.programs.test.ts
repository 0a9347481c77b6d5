// Random programs of client messages over several sessions and links, and those that failed once. Short form of acceptance line B6.
import assert from 'node:assert/strict'
import { assertFigures } from '../scripts/lib/accept_line.ts'
import { scenario } from './kit/scenario.ts'
import { compare, programsDatabase, randomPrograms } from './scenarios/programs.ts'
import { corpus, sayAgain } from './scenarios/programs_corpus.ts'

const DURATION_MS = 10_000

for (const seed of [6, 7, Math.floor(Math.random() * 2 ** 31)]) {
  scenario(`random programs of several sessions are answered as by PostgreSQL, seed ${seed}`, async (run) => {
    assertFigures(await randomPrograms({ scenario: run, seed, say: () => undefined }, { durationMs: DURATION_MS }))
  })
}

for (const { file, kept } of corpus()) {
  scenario(`a program that failed once: ${file}`, async (run) => {
    const { app } = await programsDatabase({ scenario: run }, kept)
    for (const { direct, pooled } of await sayAgain(app, kept)) {
      if (compare(direct, pooled) === 'different') assert.equal(pooled, direct)
    }
  })
}
