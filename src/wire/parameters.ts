// The parameters that follow a session from link to link, and the SQL that brings a link to a session's values.

/** Tracked for every session, in pgbouncer's words; more through track_extra_parameters. */
export const ALWAYS_TRACKED = ['client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', 'application_name'] as const

/** Lists of names that a client may set: SET would take a literal as one name, set_config reads the list. */
const NAME_LISTS = new Set(['search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries'])

/** Quoted for any value of standard_conforming_strings, and in ASCII: the server may read it in any client_encoding. */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''")
  if (!/\P{ASCII}|\\/u.test(text)) return `'${quoted}'`
  return `E'${quoted.replaceAll('\\', '\\\\').replace(/\P{ASCII}/gu, escapeOf)}'`
}

const escapeOf = (letter: string): string => `\\U${(letter.codePointAt(0) as number).toString(16).padStart(8, '0')}`

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

  /** It has the server's own value from now on, whatever that is. */
  forget(index: number): void {
    this.values[index] = undefined
    this.#key = undefined
  }

  /** The names whose value differs from `other`'s, also those that have one on one side only. */
  differing(other: Parameters): number[] {
    const found: number[] = []
    for (let index = 0; index < this.values.length; index++) {
      if (this.values[index] !== other.values[index]) found.push(index)
    }
    return found
  }

  /** One simple query that sets all of `indexes` or none; what has no value here gets the server's own. */
  setStatement(indexes: readonly number[]): string {
    return indexes.map((index) => this.#set(this.names.names[index] as string, this.values[index])).join(';')
  }

  #set(name: string, value: string | undefined): string {
    if (value === undefined) return `RESET ${quoteIdentifier(name)}`
    if (!NAME_LISTS.has(name.toLowerCase())) return `SET ${quoteIdentifier(name)} TO ${quoteLiteral(value)}`
    return `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, false)`
  }
}
