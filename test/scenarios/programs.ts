// Scenario: random programs of client messages, of several sessions over fewer links, are answered as by PostgreSQL itself.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type AcceptContext, atLeast, exactly, type Figure, seeded, told } from '../../scripts/lib/accept_line.ts'
import { type FixedDatabase, fixedDatabase } from '../kit/fixed-database.ts'
import { query } from '../kit/raw-messages.ts'
import { type Conversation, conversation, converse } from './conversations.ts'

const SESSIONS = 6
const LINKS = 3
/** Fewer than the texts in use: statements are evicted and prepared anew all the time. */
const STATEMENTS_PER_LINK = 4
const ENDED = 'the connection ended'
const CORPUS = resolve(import.meta.dirname, '../corpus')

export interface ProgramsOptions {
  readonly durationMs: number
  /** Keep what fails in test/corpus/. */
  readonly keep?: boolean
}

interface Failure {
  readonly seed: number
  readonly session: number
  readonly round: number
  readonly names: string
  readonly direct: string
  readonly pooled: string
}

class Programs {
  readonly failures: Failure[] = []
  rounds = 0
  excluded = 0
  /** PostgreSQL itself ended a session, as all of them when one of its processes fails: nothing to compare. */
  crashes = 0
  readonly #app: FixedDatabase
  readonly #seed: number
  readonly #endMs: number
  readonly #keep: boolean

  constructor(app: FixedDatabase, seed: number, { durationMs, keep = false }: ProgramsOptions) {
    this.#app = app
    this.#seed = seed
    this.#endMs = performance.now() + durationMs
    this.#keep = keep
  }

  /** Says the same to pglease and to PostgreSQL until the time is over or an answer differs. Statements live on from one program to the next. */
  async session(number: number): Promise<void> {
    const random = seeded(this.#seed + number)
    const ending = conversation(() => 0, 0)
    const pooled = await this.#app.raw()
    const direct = await this.#app.direct({ user: this.#app.user, password: this.#app.password })
    for (let round = 0; !this.#over; round++) {
      const program = conversation(random, round, true)
      const [expected, got] = [await converse(direct, program), await converse(pooled, program)]
      this.rounds++
      const outcome = compare(expected, got)
      if (outcome === 'same') continue
      if (outcome === 'excluded') {
        this.excluded++
        await Promise.all([direct, pooled].map((client) => client.ask(query('DISCARD ALL'))))
        continue
      }
      // a process of PostgreSQL that fails takes all sessions with it: there is nothing more to compare
      const ended = await converse(direct, ending)
      if (this.crashes > 0 || ended.includes(ENDED)) this.crashes++
      else this.#failed(number, round, program, expected, got)
    }
  }

  get #over(): boolean {
    return performance.now() >= this.#endMs || this.failures.length > 0 || this.crashes > 0
  }

  #failed(session: number, round: number, program: Conversation, direct: string, pooled: string): void {
    const failure: Failure = { seed: this.#seed, session, round, names: program.names, direct, pooled }
    this.failures.push(failure)
    if (!this.#keep) return
    mkdirSync(CORPUS, { recursive: true })
    const chunks = program.chunks.map((chunk) => chunk.toString('base64'))
    const file = join(CORPUS, `program-${this.#seed}-${session}-${round}.json`)
    writeFileSync(file, `${JSON.stringify({ ...failure, chunks }, undefined, 2)}\n`)
  }
}

/** The replies up to each ReadyForQuery. */
const rounds = (lines: string): string[] => lines.split(/(?<=^ReadyForQuery [ITE])\n/m)

/**
 * Excluded: in a failed transaction a server refuses a Parse (25P02), also of a statement that the link lacks and that PostgreSQL itself
 * would describe. What follows up to the end of the transaction differs too.
 */
function compare(direct: string, pooled: string): 'same' | 'excluded' | 'different' {
  const [wanted, got] = [rounds(direct), rounds(pooled)]
  const at = wanted.findIndex((round, index) => round !== got[index])
  if (at < 0) return wanted.length === got.length ? 'same' : 'different'
  const refused = wanted[at - 1]?.endsWith('ReadyForQuery E') === true && got[at]?.includes("C='25P02'") === true
  return refused && wanted.at(-1) === got.at(-1) ? 'excluded' : 'different'
}

const shown = ({ seed, session, round, names, direct, pooled }: Failure): string =>
  `seed ${seed}, session ${session}, program ${round}: ${names}\n--- PostgreSQL\n${direct}\n--- pglease\n${pooled}`

export async function randomPrograms(
  { scenario, seed, say }: Pick<AcceptContext, 'scenario' | 'seed' | 'say'>,
  options: ProgramsOptions,
): Promise<Figure[]> {
  const app = await fixedDatabase(scenario, {
    settings: { max_prepared_statements: STATEMENTS_PER_LINK },
    facts: { pool_size: LINKS },
    sql: 'CREATE TABLE t (a int); GRANT ALL ON t TO app',
  })
  say(`random programs for ${options.durationMs / 1000} s: ${SESSIONS} sessions over ${LINKS} server connections, seed ${seed}`)
  const programs = new Programs(app, seed, options)
  await Promise.all(Array.from({ length: SESSIONS }, (_, number) => programs.session(number)))
  const [failure] = programs.failures
  return [
    exactly('programs answered otherwise than by PostgreSQL', failure === undefined ? 0 : shown(failure), 0),
    told('programs with a statement described in a failed transaction, where the server connection lacks it', programs.excluded),
    told('sessions that PostgreSQL itself ended', programs.crashes),
    atLeast('programs', programs.rounds, options.durationMs / 1000),
    exactly('lines of the log that say a mistake of pglease', app.pglease.logged('bug').length, 0),
  ]
}
