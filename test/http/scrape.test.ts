// Scrapes that come too fast are answered with the last one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boundedScrapes } from '../../src/http/scrape.ts'
import { FakeClock } from '../kit/fake-clock.ts'

test('fifty scrapes at once are made anew, then ten a second, and nobody waits', async () => {
  const clock = new FakeClock()
  let made = 0
  const scrape = boundedScrapes(() => Promise.resolve(`scrape ${++made}`), clock)
  for (let count = 1; count <= 50; count++) assert.equal(await scrape(), `scrape ${count}`)
  for (let count = 0; count < 1_000; count++) assert.equal(await scrape(), 'scrape 50')
  clock.advance(100)
  assert.equal(await scrape(), 'scrape 51')
  assert.equal(await scrape(), 'scrape 51')
  clock.advance(1_000)
  for (let count = 0; count < 20; count++) await scrape()
  assert.equal(made, 61)
  clock.advance(3_600_000)
  for (let count = 0; count < 100; count++) await scrape()
  assert.equal(made, 111)
})

test('a scrape that failed is not the answer of the next', async () => {
  const clock = new FakeClock()
  let broken = true
  const scrape = boundedScrapes(() => (broken ? Promise.reject(new Error('bug')) : Promise.resolve('fine')), clock)
  await assert.rejects(scrape())
  broken = false
  assert.equal(await scrape(), 'fine')
})
