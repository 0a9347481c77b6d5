// Makes log lines: one per event, as JSON or for a terminal, without secrets; the last ones are kept.
import { LOG_LEVELS, type Log, type LogEvent, type LogFields, type LogLevel, type LogLine } from './log.ts'
import { type Hidden, Redaction } from './log_redaction.ts'

export interface ConfiguredLog extends Log {
  /** The last 200 lines, oldest first. */
  recent(): readonly LogLine[]
  /** Hears of every line from now on, until what it returns is called. */
  onLine(listener: (line: LogLine) => void): () => void
  /** From now on this value shows as `[redacted]`, also URL-encoded, JSON-escaped and in base64. Returns what forgets it. */
  redact(secret: Hidden): () => void
  setLevel(level: LogLevel): void
}

export interface LogOptions {
  readonly format: 'json' | 'text'
  readonly level: LogLevel
  readonly clock: { wallMs(): number }
  /** Takes one line with its newline and never blocks: see `LineWriter`. */
  readonly write: (line: string) => void
}

const KEPT_LINES = 200

/** What makes a line of a log look like two, moves a terminal's cursor, or turns the order of letters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not pass
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Without harmful characters. In JSON it means the same as before: they can only be inside of strings. */
function escaped(text: string): string {
  return text.replace(HARMFUL, (character) => {
    if (character === '\n') return '\\n'
    return character === '\t' ? '\\t' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** One line for a terminal. */
function asText({ time, level, event, msg, ...fields }: LogLine): string {
  const pairs = Object.entries(fields).map(([key, value]) => {
    const text = escaped(String(value))
    return ` ${key}=${/^[^\s"=]+$/.test(text) ? text : JSON.stringify(text)}`
  })
  return `${time} ${level.toUpperCase().padEnd(7)} ${event}: ${escaped(msg)}${pairs.join('')}\n`
}

/** A log whose lines go to `write`. What is below `level` costs one comparison. */
export function createLog({ format, level, clock, write }: LogOptions): ConfiguredLog {
  const redaction = new Redaction()
  /** The oldest stands at `place` once there are as many as are kept. */
  const recent: LogLine[] = []
  let place = 0
  const listeners = new Set<(line: LogLine) => void>()
  const timestamp = timestamps()
  let lowest = LOG_LEVELS.indexOf(level)
  const at = (own: LogLevel) => {
    const rank = LOG_LEVELS.indexOf(own)
    return (event: LogEvent, msg: string, fields?: LogFields) => {
      if (rank < lowest) return
      const line = { time: timestamp(clock.wallMs()), level: own, event, msg: redaction.apply(msg) }
      addFields(line, fields, redaction)
      recent[place] = line
      place = (place + 1) % KEPT_LINES
      for (const listener of listeners) listener(line)
      write(format === 'json' ? `${escaped(JSON.stringify(line))}\n` : asText(line))
    }
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warning: at('warning'),
    error: at('error'),
    recent: () => [...recent.slice(place), ...recent.slice(0, place)],
    onLine: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    redact: (secret) => redaction.add(secret),
    setLevel: (next) => {
      lowest = LOG_LEVELS.indexOf(next)
    },
  }
}

function addFields(line: Record<string, unknown>, fields: LogFields | undefined, redaction: Redaction): void {
  for (const key in fields) {
    const value = fields[key as keyof LogFields]
    if (value !== undefined) line[key] = typeof value === 'string' ? redaction.apply(value) : value
  }
}

/** RFC 3339 of the last wall time that was asked for: under load many lines are of one millisecond. */
function timestamps(): (wallMs: number) => string {
  let lastMs = Number.NaN
  let text = ''
  return (wallMs) => {
    if (wallMs !== lastMs) text = new Date(wallMs).toISOString()
    lastMs = wallMs
    return text
  }
}
