// Scenario: random programs of client messages, of several sessions over fewer links, are answered as by PostgreSQL itself.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AcceptContext, atLeast, exactly, type Figure, seeded, told } from '../../scripts/lib/accept_line.ts'
import { type FixedDatabase, fixedDatabase } from '../kit/fixed-database.ts'
import type { OwnPostgres } from '../kit/postgres.ts'
import { query } from '../kit/raw-messages.ts'
import { converse } from './conversations.ts'
import { CORPUS, type Kept, type Layout, packed } from './programs_corpus.ts'
import { type Conversation, conversation } from './programs_random.ts'

const SESSIONS = 6
/** How many programs of a session that fails are kept, the failed one last. */
const KEPT = 40

interface ProgramsOptions {
  readonly durationMs: number
  /** Keep what fails in test/corpus/. */
  readonly keep?: boolean
}

interface Failure {
  readonly session: number
  readonly round: number
  readonly names: string
  readonly direct: string
  readonly pooled: string
}

/** Fewer links than sessions, and in most layouts fewer statements on each than texts in use: they are evicted and prepared anew all the time. */
export const LAYOUTS: readonly Layout[] = [
  { links: 3, statements: 4 },
  { links: 1, statements: 2 },
  { links: 2, statements: 200 },
  { links: 5, statements: 1 },
]

class Programs {
  readonly failures: Failure[] = []
  rounds = 0
  excluded = 0
  readonly #app: FixedDatabase
  readonly #seed: number
  readonly #layout: Layout
  readonly #endMs: number
  readonly #keep: boolean

  constructor(app: FixedDatabase, seed: number, layout: Layout, { durationMs, keep = false }: ProgramsOptions) {
    this.#app = app
    this.#seed = seed
    this.#layout = layout
    this.#endMs = performance.now() + durationMs
    this.#keep = keep
  }

  /** Says the same to pglease and to PostgreSQL until the time is over or an answer differs. Statements live on from one program to the next. */
  async session(number: number): Promise<void> {
    const random = seeded(Math.imul(this.#seed, SESSIONS) + number)
    const pooled = await this.#app.raw()
    const direct = await this.#app.direct({ user: this.#app.user, password: this.#app.password })
    const said: Conversation[] = []
    for (let round = 0; !this.#over; round++) {
      const program = conversation(random, round, true)
      said.push(program)
      if (said.length > KEPT) said.shift()
      const [expected, got] = [await converse(direct, program), await converse(pooled, program)]
      this.rounds++
      const outcome = compare(expected, got)
      if (outcome === 'different') {
        this.#failed({ session: number, round, names: program.names, direct: expected, pooled: got }, said)
      } else if (outcome === 'excluded') {
        this.excluded++
        await Promise.all([direct, pooled].map((client) => client.ask(query('DISCARD ALL'))))
      }
    }
    // another may wait for the link that this session keeps
    for (const client of [pooled, direct]) client.terminate()
  }

  get #over(): boolean {
    return performance.now() >= this.#endMs || this.failures.length > 0
  }

  #failed(failure: Failure, said: readonly Conversation[]): void {
    this.failures.push(failure)
    if (!this.#keep) return
    mkdirSync(CORPUS, { recursive: true })
    const { session, round } = failure
    const programs = said.map(({ marker, chunks }) => ({ session, marker, chunks: chunks.map(packed) }))
    const kept: Kept = { title: failure.names, ...this.#layout, programs }
    writeFileSync(join(CORPUS, `program-${this.#seed}-${session}-${round}.json`), `${JSON.stringify(kept, undefined, 2)}\n`)
  }
}

/** The replies up to each ReadyForQuery. */
const rounds = (lines: string): string[] => lines.split(/(?<=^ReadyForQuery [ITE])\n/m)

/**
 * Excluded: in a failed transaction a server refuses a Parse (25P02), also of a statement that the link lacks and that PostgreSQL itself
 * would describe. What follows up to the end of the transaction differs too.
 */
export function compare(direct: string, pooled: string): 'same' | 'excluded' | 'different' {
  const [wanted, got] = [rounds(direct), rounds(pooled)]
  const at = wanted.findIndex((round, index) => round !== got[index])
  if (at < 0) return wanted.length === got.length ? 'same' : 'different'
  const refused = wanted[at - 1]?.endsWith('ReadyForQuery E') === true && got[at]?.includes("C='25P02'") === true
  return refused && wanted.at(-1) === got.at(-1) ? 'excluded' : 'different'
}

const shown = ({ session, round, names, direct, pooled }: Failure, seed: number): string =>
  `seed ${seed}, session ${session}, program ${round}: ${names}\n--- PostgreSQL\n${direct}\n--- pglease\n${pooled}`

/** What PostgreSQL itself says of a process of its own that died. It takes all sessions with it, so programs differ then. */
const deaths = (postgres: OwnPostgres): string =>
  postgres.log
    .split('\n')
    .filter((line) => /was terminated by signal|Failed process was running|PANIC/.test(line))
    .join('\n')

/** Tables that the programs use, and the PostgreSQL of their own: one that dies would take other tests with it. */
export async function programsDatabase(
  { scenario }: Pick<AcceptContext, 'scenario'>,
  { links, statements }: Layout,
): Promise<{ app: FixedDatabase; postgres: OwnPostgres }> {
  // errors are what the programs are about; that a process died is said at the level LOG
  const postgres = await scenario.postgres({ config: { log_min_messages: 'log', log_min_error_statement: 'panic' } })
  const app = await fixedDatabase(scenario, {
    postgres,
    settings: { max_prepared_statements: statements },
    facts: { pool_size: links },
    sql: 'CREATE TABLE t (a int); GRANT ALL ON t TO app',
  })
  return { app, postgres }
}

export async function randomPrograms(
  context: Pick<AcceptContext, 'scenario' | 'seed' | 'say'>,
  options: ProgramsOptions,
): Promise<Figure[]> {
  const { seed } = context
  const layout = LAYOUTS[seed % LAYOUTS.length] as Layout
  const { app, postgres } = await programsDatabase(context, layout)
  const { links, statements } = layout
  context.say(
    `random programs for ${options.durationMs / 1000} s: ${SESSIONS} sessions over ${links} server connections with ${statements} statements each, seed ${seed}`,
  )
  const programs = new Programs(app, seed, layout, options)
  await Promise.all(Array.from({ length: SESSIONS }, (_, number) => programs.session(number)))
  const [failure] = programs.failures
  return [
    exactly('processes of PostgreSQL that died', deaths(postgres) || 0, 0),
    exactly('programs answered otherwise than by PostgreSQL', failure === undefined ? 0 : shown(failure, seed), 0),
    told('programs with a statement described in a failed transaction, where the server connection lacks it', programs.excluded),
    atLeast('programs', programs.rounds, options.durationMs / 1000),
    exactly('lines of the log that say a mistake of pglease', app.pglease.logged('bug').length, 0),
  ]
}
