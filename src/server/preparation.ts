// One Parse of a statement on one link, with what the server described it as: no plan of it gives rows of another description.
import { PARAMETER_DESCRIPTION, ROW_DESCRIPTION } from '../wire/codes.ts'

/** A ParameterDescription of no parameters. */
const NO_PARAMETERS = '\0\0'
/** Of a column, behind its name: the table's oid and the column's number there, then type, length and modifier, then the format. */
const TABLE_BYTES = 6
const TYPE_BYTES = 10
const FORMAT_BYTES = 2

/** What a server described a statement as last: the texts are shared. */
export interface Descriptions {
  parameters: string | null
  columns: string | null
}

export class Preparation implements Descriptions {
  /** The types of its parameters; null before the server has told. */
  parameters: string | null = null
  /** Names and types of its columns; null before the server has told, behind `parameters`. */
  columns: string | null = null
  /** PostgreSQL did not describe it: prepared again before it is used. */
  stale = false
  /** `Statement.refusals` then. */
  readonly refusals: number

  constructor(refusals: number) {
    this.refusals = refusals
  }

  /** ParameterDescription, RowDescription or NoData, with its body between `start` and `end`. */
  described(last: Descriptions, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === PARAMETER_DESCRIPTION) {
      const parameters = buffer.toString('latin1', start, end)
      // one text for all links
      if (parameters !== last.parameters) last.parameters = parameters
      this.parameters = last.parameters
      return
    }
    const columns = type === ROW_DESCRIPTION ? columnsOf(buffer, start, end) : ''
    if (columns !== last.columns) last.columns = columns
    this.columns = last.columns
  }

  /** Whether what is encoded by the description of `known` is understood. */
  takesParametersOf(known: Preparation): boolean {
    return known === this || (known.parameters !== null && (known.parameters === this.parameters || known.parameters === NO_PARAMETERS))
  }

  /** Whether its rows can be decoded by the description of `known`. */
  givesColumnsOf(known: Preparation): boolean {
    return known === this || (known.columns !== null && known.columns === this.columns)
  }
}

/** What PostgreSQL compares when a plan is made anew ("equalRowTypes"), as far as a client sees it. */
function columnsOf(buffer: Buffer, start: number, end: number): string {
  const columns = Buffer.allocUnsafe(end - start)
  let size = 0
  let position = start + 2
  while (position < end) {
    const nameEnd = buffer.indexOf(0, position)
    const type = nameEnd + 1 + TABLE_BYTES
    if (nameEnd < 0 || type + TYPE_BYTES > end) break
    size += buffer.copy(columns, size, position, nameEnd + 1)
    size += buffer.copy(columns, size, type, type + TYPE_BYTES)
    position = type + TYPE_BYTES + FORMAT_BYTES
  }
  return columns.toString('latin1', 0, size)
}
