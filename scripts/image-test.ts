// Builds the image of Dockerfile.distroless with buildah and proves what the README says of it, in a real read-only root.
import { skip } from '../test/kit/skip.ts'
import { contentChecks } from './lib/image_contents.ts'
import { makeImage } from './lib/image_make.ts'
import { serviceChecks } from './lib/image_service.ts'
import { needTool } from './lib/tools.ts'

const TOOLS = ['buildah', 'unshare', 'setpriv', 'tar', 'mount', 'apt-get', 'dpkg-deb']

/** Why the image can't be built here. */
async function obstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'the image test needs Linux'
  if (process.getuid?.() !== 0) return 'the image test mounts file systems: run it as root'
  for (const tool of TOOLS) if (!(await needTool(tool))) return `the image test needs ${tool}`
  return undefined
}

const seconds = (from: number) => `${((performance.now() - from) / 1000).toFixed(1)} s`

async function main(): Promise<number> {
  const reason = await obstacle()
  if (reason) {
    skip(reason)
    console.log('0 passed, 0 failed, 1 skipped')
    return 0
  }
  const count = { passed: 0, failed: 0, skipped: 0 }
  const started = performance.now()
  const image = await makeImage()
  try {
    console.log(`ok     the image is built (${seconds(started)})`)
    for (const [name, prove] of [...contentChecks, ...serviceChecks]) {
      const from = performance.now()
      try {
        const seen = await prove(image)
        if (typeof seen === 'string') {
          count.passed++
          console.log(`ok     ${name}: ${seen} (${seconds(from)})`)
        } else {
          count.skipped++
          skip(`${name}: ${seen.skipped}`)
        }
      } catch (error) {
        count.failed++
        console.log(`FAILED ${name}: ${error instanceof Error ? error.message : error}`)
      }
    }
  } finally {
    await image.close()
  }
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
  return count.failed > 0 ? 1 : 0
}

process.exit(await main())
