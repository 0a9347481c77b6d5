// What one declared setting is made of; every reader, check, flag and manual line derives from such rows.

/** How a value is written: decides the schema, what the manual says and whether it may be printed. */
export type Kind =
  | 'text'
  | 'query'
  | 'integer'
  | 'ports'
  | 'fraction'
  | 'boolean'
  | 'duration'
  | 'size'
  | 'mode'
  | 'choice'
  | 'choices'
  | 'list'
  | 'file'
  | 'directory'
  | 'url'
  | 'secret'

export type Topic = 'listen' | 'pool' | 'server' | 'vault' | 'operation' | 'database'

interface Facts<Value> {
  readonly default: Value
  /** One plain sentence (or two). */
  readonly help: string
  /** What the manual says when the default depends on other settings. */
  readonly defaultText?: string
  /** restart: takes effect only when the process starts. */
  readonly change?: 'reload' | 'restart'
  /** A database may set its own. */
  readonly perDatabase?: boolean
  /** A user may, over its database. */
  readonly perUser?: boolean
  /** In milliseconds for durations, bytes for sizes. */
  readonly minimum?: number
  readonly maximum?: number
  /** Environment names beside PGLEASE_<SETTING>, strongest first. */
  readonly environment?: readonly string[]
  /** Values that users know from elsewhere, with the reason why they are refused. */
  readonly refused?: Readonly<Record<string, string>>
  /** Other spellings of a choice. */
  readonly synonyms?: Readonly<Record<string, string>>
}

export interface Row<Value> extends Required<Omit<Facts<Value>, 'defaultText' | 'minimum' | 'maximum'>> {
  readonly kind: Kind
  readonly choices: readonly string[]
  readonly defaultText: string | undefined
  readonly minimum: number | undefined
  readonly maximum: number | undefined
}

/** The value type of a row. */
export type ValueOf<SomeRow> = SomeRow extends Row<infer Value> ? Value : never

function complete<Value>(kind: Kind, choices: readonly string[], facts: Facts<Value>): Row<Value> {
  return Object.freeze({
    kind,
    choices,
    default: facts.default,
    help: facts.help,
    defaultText: facts.defaultText,
    change: facts.change ?? 'reload',
    perDatabase: facts.perDatabase ?? false,
    perUser: facts.perUser ?? false,
    minimum: facts.minimum,
    maximum: facts.maximum,
    environment: facts.environment ?? [],
    refused: facts.refused ?? {},
    synonyms: facts.synonyms ?? {},
  })
}

/** A row of any kind but a choice; `Value` is what the program sees. */
export function row<Value>(kind: Exclude<Kind, 'choice' | 'choices'>, facts: Facts<Value>): Row<Value> {
  return complete(kind, [], facts)
}

/** One word out of a closed list. */
export function choice<const Word extends string>(words: readonly Word[], facts: Facts<NoInfer<Word>>): Row<Word> {
  return complete('choice', words, facts)
}

/** Several words out of a closed list. */
export function choices<const Word extends string>(words: readonly Word[], facts: Facts<readonly NoInfer<Word>[]>): Row<readonly Word[]> {
  return complete('choices', words, facts)
}
