// The parameters that follow a session from link to link, and the SQL that brings a link to a session's values.

/** Tracked for every session, in pgbouncer's words; more through track_extra_parameters. */
export const ALWAYS_TRACKED = ['client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', 'application_name'] as const

/** Quoted for any value of standard_conforming_strings. */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

/** Doubles the quotes, so that any name is one identifier. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** Names of the tracked parameters, shared by all sessions and links of a process. */
export class ParameterNames {
  readonly names: readonly string[]
  readonly #indexes = new Map<string, number>()
  constructor(extra: readonly string[]) {
    const names: string[] = []
    for (const name of [...ALWAYS_TRACKED, ...extra]) {
      if (this.#indexes.has(name.toLowerCase())) continue
      this.#indexes.set(name.toLowerCase(), names.length)
      names.push(name)
    }
    this.names = names
  }
  /** -1 when the parameter is not tracked. Names are compared as PostgreSQL does: without case. */
  index(name: string): number {
    return this.#indexes.get(name.toLowerCase()) ?? -1
  }
}

/** The values of one session or link. */
export class Parameters {
  readonly names: ParameterNames
  readonly values: (string | undefined)[]
  /** Undefined = a value has changed since it was made. */
  #key: string | undefined
  constructor(names: ParameterNames, values: (string | undefined)[] = new Array(names.names.length).fill(undefined)) {
    this.names = names
    this.values = values
  }

  /** The same values, to be changed apart. */
  copy(): Parameters {
    const copy = new Parameters(this.names, this.values.slice())
    copy.#key = this.key
    return copy
  }

  /** Two sides with the same key need no SET. */
  get key(): string {
    this.#key ??= this.values.map((value) => (value === undefined ? '' : `=${value}`)).join('\0')
    return this.#key
  }

  /** Answers whether the parameter is tracked. */
  set(name: string, value: string): boolean {
    const index = this.names.index(name)
    if (index < 0) return false
    if (this.values[index] !== value) {
      this.values[index] = value
      this.#key = undefined
    }
    return true
  }

  /** What the server does not report (`reported` says what it does) is not known any more: its session was reset. */
  forgetUnreported(reported: ReadonlyMap<string, string>): void {
    const known = new Set<number>()
    for (const name of reported.keys()) known.add(this.names.index(name))
    for (let index = 0; index < this.values.length; index++) {
      if (known.has(index) || this.values[index] === undefined) continue
      this.values[index] = undefined
      this.#key = undefined
    }
  }

  /** The names whose value here is set and differs from `other`'s. */
  differing(other: Parameters): number[] {
    const found: number[] = []
    for (let index = 0; index < this.values.length; index++) {
      if (this.values[index] !== undefined && this.values[index] !== other.values[index]) found.push(index)
    }
    return found
  }

  /** One simple query that sets all of `indexes` or none. */
  setStatement(indexes: readonly number[]): string {
    return indexes
      .map((index) => `SET ${quoteIdentifier(this.names.names[index] as string)} TO ${quoteLiteral(this.values[index] ?? '')}`)
      .join(';')
  }
}
