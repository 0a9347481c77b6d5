// Writes the pages of docs/ that are made from declarations; `--check` only says which are out of date.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repository } from './lib/run.ts'

interface Page {
  path: string
  make: () => Promise<string>
}

const PAGES: Page[] = [
  { path: 'docs/settings.md', make: async () => (await import('../src/settings/manual.ts')).settingsManual() },
  { path: 'docs/metrics.md', make: async () => (await import('../src/metrics.ts')).metricsManual() },
  { path: 'docs/errors.md', make: async () => (await import('./lib/errors_manual.ts')).errorsManual() },
]

const onlyCheck = process.argv.includes('--check')
let outdated = 0
for (const { path, make } of PAGES) {
  const file = join(repository, path)
  const made = await make()
  const written = existsSync(file) ? readFileSync(file, 'utf8') : ''
  if (made === written) continue
  if (onlyCheck) {
    console.error(`${path} is out of date: run \`bun scripts/generate.ts\``)
    outdated++
    continue
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, made)
  console.log(`wrote ${path}`)
}
if (outdated > 0) process.exit(1)
