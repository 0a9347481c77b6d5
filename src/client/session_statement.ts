// One named statement of a session: what its client knows of it, and so which rows it can decode and which parameters it encodes.
import type { Preparation } from '../server/preparation.ts'
import type { Statement } from '../server/statements.ts'

/**
 * What a message changes once the server has carried it out. nothing: only the client's own name on the server; own: a name that the
 * server knows as the client says it; learn: what the client knows.
 */
type Change = 'nothing' | 'use' | 'learn' | 'own' | 'unname' | 'hold' | 'nameAndHold' | 'evict' | 'describe' | 'refuse'

/** A message of a named statement that is not answered. */
export interface Step {
  change: Change
  readonly name: string
  readonly entry: SessionStatement | null
  readonly statement: Statement | null
  /** What the link holds by it, or no longer; what is described by it. */
  readonly preparation: Preparation | null
  /** What the client of `entry` knew before. */
  readonly before: Knowledge | null
}

/** A message that changes what `entry` is or what is held of it. */
export const stepOf = (
  change: Change,
  entry: SessionStatement,
  preparation: Preparation | null = null,
  before: Knowledge | null = null,
): Step => ({
  change,
  name: entry.name,
  entry,
  statement: entry.statement,
  preparation,
  before,
})

/** A message that is of no statement of the session. */
export const stepBeside = (
  change: Change,
  name = '',
  statement: Statement | null = null,
  preparation: Preparation | null = null,
): Step => ({
  change,
  name,
  entry: null,
  statement,
  preparation,
  before: null,
})

/** By which description a client decodes rows, and encodes parameters; null: it was never given one. */
interface Knowledge {
  readonly columns: Preparation | null
  readonly parameters: Preparation | null
}

export class SessionStatement implements Knowledge {
  readonly name: string
  readonly statement: Statement
  columns: Preparation | null = null
  parameters: Preparation | null = null
  /** The last that was prepared for the session; null: it is to be prepared, whatever a link holds. */
  latest: Preparation | null = null
  /** The step of a Bind that changes nothing, so that it allocates nothing. */
  readonly use: Step

  constructor(name: string, statement: Statement) {
    this.name = name
    this.statement = statement
    this.use = stepOf('use', this)
  }

  /** Whether a plan of `held` is none of before the last that was prepared for the session, or that PostgreSQL refused to anyone. */
  isCurrent(held: Preparation): boolean {
    const { latest } = this
    return (
      !held.stale &&
      held.refusals === this.statement.refusals &&
      latest !== null &&
      held.givesColumnsOf(latest) &&
      held.takesParametersOf(latest)
    )
  }

  /** Whether a Bind of the client, which `asks` for a new description of the rows or not, may meet `held`. */
  serves(held: Preparation, asks: boolean): boolean {
    return (
      (asks || this.columns === null || held.givesColumnsOf(this.columns)) &&
      (this.parameters === null || held.takesParametersOf(this.parameters))
    )
  }

  /** The client is told the columns of `held`, and with `parameters` their types too. */
  learn(held: Preparation, parameters: boolean): Step {
    const before = { columns: this.columns, parameters: this.parameters }
    this.columns = held
    if (parameters) this.parameters = held
    return stepOf('learn', this, held, before)
  }

  forget({ columns, parameters }: Knowledge): void {
    this.columns = columns
    this.parameters = parameters
  }
}
