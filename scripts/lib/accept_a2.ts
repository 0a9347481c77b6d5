// A2: the binary alone, among hostile files, and in the image.
import type { AcceptLine } from './accept_line.ts'
import { summaryIn, tallyFigures, testFiles } from './accept_tests.ts'
import { run } from './run.ts'

const IMAGE_MS = 30 * 60_000

export const line: AcceptLine = {
  name: 'A2',
  title:
    'dist/pglease is one file that runs alone in an empty directory, and safely in one with a hostile .env and bunfig.toml; the image test passes.',
  async run(context) {
    context.say('the binary alone')
    const alone = await testFiles('the binary alone', ['./test/e2e.binary.test.ts'])
    context.say('scripts/image-test')
    const image = await run(['scripts/image-test'], { output: 'both', timeoutMs: IMAGE_MS })
    return [...alone, ...tallyFigures('scripts/image-test', summaryIn(image.output))]
  },
}
