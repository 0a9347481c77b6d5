import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { cached, cachePath, withLock } from '../scripts/lib/cache.ts'
import { staysPending } from './kit/child.ts'

const given = process.env.PGLEASE_CACHE
const folder = mkdtempSync(join(tmpdir(), 'cache-'))
process.env.PGLEASE_CACHE = folder
after(() => {
  rmSync(folder, { recursive: true })
  if (given === undefined) delete process.env.PGLEASE_CACHE
  else process.env.PGLEASE_CACHE = given
})

const make = async (path: string) => mkdirSync(path)
const versions = (family: string) => readdirSync(join(folder, family)).sort()

/** Nobody has asked for it for two days. */
function grewOld(family: string, version: string): void {
  const then = new Date(Date.now() - 48 * 3600 * 1000)
  utimesSync(cachePath(family, version), then, then)
}

test('what two ask for at once is made once, and is whole when it is there', async () => {
  let made = 0
  const slowly = async (path: string) => {
    made++
    await make(path)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(versions('once'), ['a.work'])
    writeFileSync(join(path, 'whole'), '')
  }
  const paths = await Promise.all([cached('once', 'a', slowly), cached('once', 'a', slowly)])
  assert.deepEqual(paths, [cachePath('once', 'a'), cachePath('once', 'a')])
  assert.deepEqual([made, readdirSync(paths[0] as string)], [1, ['whole']])
})

test('a new version removes what nobody has asked for in a day, and what was interrupted', async () => {
  for (const version of ['old', 'asked', 'recent']) await cached('some/family', version, make)
  await make(cachePath('some/family', 'interrupted.work'))
  for (const name of ['old', 'asked', 'interrupted.work']) grewOld('some/family', name)
  await cached('some/family', 'asked', make)
  assert.deepEqual(versions('some/family'), ['asked', 'interrupted.work', 'old', 'recent'], 'nothing new, nothing removed')
  // another process may be at one of the others for minutes: it is not waited for
  await withLock('some-family-recent', async () => void (await cached('some/family', 'new', make)))
  assert.deepEqual(versions('some/family'), ['asked', 'new', 'recent'])
})

test('a version that another process takes at that moment stays', async () => {
  await cached('taken', 'old', make)
  grewOld('taken', 'old')
  let installing: Promise<string> | undefined
  await withLock('taken-old', async () => {
    installing = cached('taken', 'new', make)
    assert.ok(await staysPending(installing), 'it waits for the lock of the old one')
    const now = new Date()
    utimesSync(cachePath('taken', 'old'), now, now)
  })
  await installing
  assert.deepEqual(versions('taken'), ['new', 'old'])
})
