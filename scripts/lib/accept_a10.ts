// A10: the benchmark beside pgbouncer.
import { type AcceptLine, exactly, type Figure } from './accept_line.ts'
import { run } from './run.ts'

const LONGEST_MS = 3 * 3600_000
/** `simple-16: CPU ratio 1.10 (1.05 to 1.20), ...; asked: CPU ratio ≤ 1.3, target 1.15: target met`. */
const RESULT = /^(?<name>\S+): (?<figures>.*); asked: (?<asked>.*): (?<verdict>[^:\n]+)$/gm

function figure({ groups }: RegExpMatchArray): Figure {
  const { name = '', figures = '', asked = '', verdict = '' } = groups ?? {}
  const bound = asked === '-' ? '' : asked
  return { name, value: `${figures} (${verdict})`, bound, ok: verdict !== 'MISSED' }
}

export const line: AcceptLine = {
  name: 'A10',
  title:
    'scripts/bench: processor time, throughput and memory beside pgbouncer with the same settings; the whole table stands in performance.md.',
  servers: false,
  async run() {
    const { code, output } = await run(['scripts/bench', '--write'], { output: 'both', timeoutMs: LONGEST_MS })
    return [...[...output.matchAll(RESULT)].map(figure), exactly('scripts/bench: exit status', code, 0)]
  },
}
