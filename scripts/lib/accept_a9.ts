// A9: bytes, ledger, unnamed statements, transports and the smoke test on Deno: the tests of these, run and counted.
import { type AcceptContext, type AcceptLine, atLeast, exactly, type Figure } from './accept_line.ts'
import { run } from './run.ts'
import { tally } from './tally.ts'
import { endToEndTests, unitTests } from './test_files.ts'

interface Part {
  name: string
  command: readonly string[]
  env?: Record<string, string>
}

const LONGEST_MS = 10 * 60_000
const onBun = (files: readonly string[]) => [process.execPath, 'test', '--timeout=120000', ...files]
const onDeno = (files: readonly string[]) => ['deno', 'test', '-A', '--no-check', ...files]

/** The unit tests of these folders. */
const under = (...folders: string[]): string[] =>
  unitTests().filter((path) => folders.some((folder) => path.includes(`/test/${folder}/`) || path.startsWith(`./test/${folder}/`)))
const endToEnd = (name: string): string[] => endToEndTests().filter((path) => path.includes(name))

function parts(): Part[] {
  const bytes = under('wire', 'client', 'server')
  const transports = under('net')
  return [
    { name: 'bytes at every split, the ledger’s table, sessions and links, on Bun', command: onBun(bytes) },
    { name: 'the same on Deno', command: onDeno(bytes) },
    { name: 'the transports’ contract on Bun', command: onBun(transports) },
    { name: 'the transports’ contract on Deno', command: onDeno(transports) },
    { name: 'two sessions over one link as a direct connection', command: onBun(endToEnd('e2e.unnamed')) },
    { name: 'pipelines, COPY and large messages as a direct connection', command: onBun(endToEnd('e2e.pipelines')) },
    { name: 'clients and servers that leave in the middle', command: onBun(endToEnd('e2e.departures')) },
    {
      name: 'COPY, pipelines, portals and errors as a direct connection',
      command: onBun([...endToEnd('e2e.conversations'), ...endToEnd('e2e.pooling')]),
    },
    { name: 'the smoke test on the binary', command: onBun(endToEnd('e2e.smoke')) },
    {
      name: 'the smoke test on Deno',
      command: onBun(endToEnd('e2e.smoke')),
      env: { PGLEASE_UNDER_TEST: 'deno run -A src/main.ts' },
    },
  ]
}

async function runPart({ name, command, env }: Part, { postgres, vault, say }: AcceptContext): Promise<Figure[]> {
  const servers = {
    PGLEASE_TEST_POSTGRES: JSON.stringify(postgres.address),
    PGLEASE_TEST_VAULT: JSON.stringify({ address: vault.address, rootToken: vault.rootToken, unsealKey: vault.unsealKey }),
  }
  say(name)
  const { code, output } = await run(command, { output: 'collect', env: { NO_COLOR: '1', ...servers, ...env }, timeoutMs: LONGEST_MS })
  const { passed, failed, skipped } = tally(output, code)
  if (failed > 0) say(output)
  return [atLeast(`${name}: passed`, passed, 1), exactly(`${name}: failed or skipped`, failed + skipped, 0)]
}

export const line: AcceptLine = {
  name: 'A9',
  title:
    'Framing at every byte split; the ledger’s table; two sessions over one link get what a direct connection gives; the transports’ contract and the smoke test on Bun and Deno.',
  run: async (context) => {
    const figures: Figure[] = []
    for (const part of parts()) figures.push(...(await runPart(part, context)))
    return figures
  },
}
