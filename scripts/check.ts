// Everything that can be proven without servers: format, lint, types on both runtimes, layers, generated pages, unit tests.
import { join } from 'node:path'
import { layerMistakes, readSources } from './lib/layers.ts'
import { repository, run } from './lib/run.ts'
import { unitTests } from './lib/test_files.ts'

interface Outcome {
  ok: boolean
  output: string
}

const command = async (...words: string[]): Promise<Outcome> => {
  const { code, output } = await run(words, { output: 'collect' })
  return { ok: code === 0, output }
}

const layers = async (): Promise<Outcome> => {
  const mistakes = layerMistakes(readSources(join(repository, 'src')))
  return { ok: mistakes.length === 0, output: mistakes.join('\n') }
}

const STEPS: [string, () => Promise<Outcome>][] = [
  ['format and lint', () => command('biome', 'check', '--error-on-warnings', '.')],
  ['types', () => command('tsc', '-p', '.')],
  ['types on Deno', () => command('deno', 'check', '--quiet', 'src')],
  ['layers', layers],
  ['generated pages', () => command(process.execPath, 'scripts/generate.ts', '--check')],
  ['unit tests', () => command(process.execPath, 'test', '--timeout=120000', ...unitTests())],
]

/** Two at a time: most steps use one core. */
async function check(): Promise<number> {
  const waiting = [...STEPS]
  let failed = 0
  const work = async () => {
    for (let step = waiting.shift(); step; step = waiting.shift()) {
      const [name, task] = step
      const started = performance.now()
      const { ok, output } = await task().catch((error: unknown) => ({ ok: false, output: String(error) }))
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
      if (ok) continue
      failed++
      console.log(output.trimEnd())
    }
  }
  await Promise.all([work(), work()])
  return failed
}

process.exit((await check()) > 0 ? 1 : 0)
