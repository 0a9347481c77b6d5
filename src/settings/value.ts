// Turns the text of one setting into its value: a valibot schema per declared row, whose issues never quote secrets.
import * as v from 'valibot'
import { Secret } from '../secret.ts'
import { quote, type Raw } from './entry.ts'
import { DEFAULT_PORT } from './hosts.ts'
import type { Row } from './row.ts'
import { didYouMean } from './suggest.ts'

/** What is wrong with a value and what to write instead. */
export interface ValueProblem {
  readonly problem: string
  readonly fix: string
}

export type Parsed = { readonly value: unknown } | ValueProblem

const DURATION = /^(\d{1,12}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?$/
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const LONGEST_DURATION_MS = 365 * 86_400_000
const SIZE = /^(\d{1,12})\s*(k|kb|m|mb|g|gb)?$/i
const SIZE_UNITS: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }
const TRUE = new Set(['true', 'yes', 'on', '1'])
const FALSE = new Set(['false', 'no', 'off', '0'])
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
const CONTROL = /[\u0000-\u001f\u007f]/

const wrong = (problem: string, fix: string): ValueProblem => ({ problem, fix })

function inRange(row: Row<unknown>, value: number, show: (bound: number) => string): Parsed {
  const { minimum, maximum } = row
  if (minimum !== undefined && value < minimum) return wrong(`is below ${show(minimum)}`, `Set it to ${show(minimum)} or more.`)
  if (maximum !== undefined && value > maximum) return wrong(`is above ${show(maximum)}`, `Set it to ${show(maximum)} or less.`)
  return { value }
}

/** `30` (seconds), `500ms`, `30s`, `5m`, `1h`, `1d` as milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text)
  return match ? Math.round(Number(match[1]) * DURATION_UNITS[match[2] ?? 's']!) : undefined
}

function durationOf(row: Row<unknown>, text: string): Parsed {
  const value = parseDuration(text)
  if (value === undefined) return wrong(`${quote(text)} is not a duration`, 'Write seconds (30) or a unit: 500ms, 30s, 5m, 1h.')
  if (value > LONGEST_DURATION_MS) return wrong('is longer than 365 days', 'Set a shorter time; 0 switches most limits off.')
  return inRange(row, value, showDuration)
}

function parseInteger(row: Row<unknown>, text: string): Parsed {
  if (!/^-?\d{1,15}$/.test(text)) return wrong(`${quote(text)} is not a whole number`, `Write digits only, such as ${row.default ?? 20}.`)
  return inRange(row, Number(text), String)
}

/** As in libpq, an empty port among several is the default one. */
function parsePorts(row: Row<unknown>, texts: readonly string[]): Parsed {
  const ports: unknown[] = []
  for (const text of texts) {
    if (!/^\d{0,15}$/.test(text)) return wrong(`${quote(text)} is not a whole number`, `Write digits only, such as ${DEFAULT_PORT}.`)
    const parsed = inRange(row, text === '' ? DEFAULT_PORT : Number(text), String)
    if ('problem' in parsed) return parsed
    ports.push(parsed.value)
  }
  return { value: Object.freeze(ports) }
}

function parseFraction(row: Row<unknown>, text: string): Parsed {
  const match = /^(\d{1,6}(?:\.\d{1,12})?)(?:\s*\/\s*(\d{1,6}))?$/.exec(text)
  const value = match ? Number(match[1]) / Number(match[2] ?? 1) : Number.NaN
  if (!Number.isFinite(value)) return wrong(`${quote(text)} is not a fraction`, 'Write it as 2/3 or 0.67.')
  return inRange(row, value, String)
}

function parseSize(row: Row<unknown>, text: string): Parsed {
  const match = SIZE.exec(text)
  if (!match) return wrong(`${quote(text)} is not a size`, 'Write bytes (65536) or a unit: 64k, 16m, 1g.')
  const unit = match[2]?.[0]?.toLowerCase()
  return inRange(row, Number(match[1]) * (unit === undefined ? 1 : SIZE_UNITS[unit]!), (bound) => `${bound} bytes`)
}

function parseMode(text: string): Parsed {
  const match = /^(?:0o)?([0-7]{3,4})$/.exec(text)
  return match
    ? { value: Number.parseInt(match[1]!, 8) }
    : wrong(`${quote(text)} is not a file mode`, 'Write three octal digits, such as 0770.')
}

function parseBoolean(text: string): Parsed {
  const folded = text.toLowerCase()
  if (TRUE.has(folded)) return { value: true }
  if (FALSE.has(folded)) return { value: false }
  return wrong(`${quote(text)} is neither true nor false`, 'Write true or false.')
}

function parseWord(row: Row<unknown>, text: string): Parsed {
  const folded = text.toLowerCase()
  const word = Object.hasOwn(row.synonyms, folded) ? row.synonyms[folded]! : folded
  if (row.choices.includes(word)) return { value: word }
  const choices = row.choices.join(', ')
  if (Object.hasOwn(row.refused, folded))
    return wrong(`${quote(text)} is ${row.refused[folded]}`, `Use ${choices.replaceAll(', ', ' or ')}.`)
  return wrong(`${quote(text)} is not one of ${choices}`, didYouMean(folded, row.choices) ?? `Use one of ${choices}.`)
}

function parseWords(row: Row<unknown>, texts: readonly string[]): Parsed {
  const words: unknown[] = []
  for (const text of texts) {
    const parsed = parseWord(row, text)
    if ('problem' in parsed) return parsed
    if (!words.includes(parsed.value)) words.push(parsed.value)
  }
  return words.length > 0 ? { value: Object.freeze(words) } : wrong('is empty', `Name at least one of ${row.choices.join(', ')}.`)
}

/** The value of a URL is never shown: a user and password may be part of it. */
function parseUrl(text: string): Parsed {
  const fix = 'Write it with its scheme, such as https://vault.example:8200.'
  if (!/^https?:\/\//i.test(text)) return wrong('is not an address that begins with http:// or https://', fix)
  if (!URL.canParse(text) || CONTROL.test(text)) return wrong('is not a valid address', fix)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    return wrong('holds a user or password', 'Take them out; the login is set with vault_auth_method.')
  if (url.search !== '' || url.hash !== '') return wrong('has a query or fragment', 'Leave out what follows ? or #.')
  return { value: url.href.replace(/\/+$/, '') }
}

function parseText(row: Row<unknown>, text: string): Parsed {
  if (text.includes('\u0000')) return wrong('holds a zero byte', 'Remove it.')
  if (row.kind === 'secret') return { value: text === '' ? row.default : new Secret(text) }
  if (row.kind !== 'query' && CONTROL.test(text)) return wrong('holds a line break or another control character', 'Remove it.')
  if (text !== '') return { value: text }
  if (row.kind === 'file' && row.default !== undefined) return wrong('is empty', 'Name a file, or leave the setting out.')
  return { value: row.default === undefined ? undefined : '' }
}

function splitList(raw: Raw): readonly string[] {
  const parts = typeof raw === 'string' ? raw.split(',') : raw
  return parts.map((part) => part.trim()).filter((part) => part !== '')
}

function parseList(texts: readonly string[]): Parsed {
  if (texts.some((text) => CONTROL.test(text) || /\s/.test(text)))
    return wrong('has an entry with a space in it', 'Separate entries with commas.')
  return { value: Object.freeze([...new Set(texts)]) }
}

function parseRaw(row: Row<unknown>, raw: Raw): Parsed {
  if (row.kind === 'list') return parseList(splitList(raw))
  if (row.kind === 'ports')
    return parsePorts(
      row,
      (typeof raw === 'string' ? raw.split(',') : raw).map((port) => port.trim()),
    )
  if (row.kind === 'choices') return parseWords(row, splitList(raw))
  if (typeof raw !== 'string') return wrong('is a list', 'Give it a single value.')
  const text = raw.trim()
  switch (row.kind) {
    case 'duration':
      return durationOf(row, text)
    case 'integer':
      return parseInteger(row, text)
    case 'fraction':
      return parseFraction(row, text)
    case 'size':
      return parseSize(row, text)
    case 'mode':
      return parseMode(text)
    case 'boolean':
      return parseBoolean(text)
    case 'choice':
      return parseWord(row, text)
    case 'url':
      return parseUrl(text)
    case 'secret':
    case 'query':
      return parseText(row, raw)
    default:
      return parseText(row, text)
  }
}

const NOT_A_VALUE = 'is neither a text nor a list of texts'

/**
 * The schema of one setting: takes text or a list of texts, gives the value the program sees. An issue's message is the
 * problem and its path is empty; it never quotes what a secret or an address was set to.
 */
export function schemaOf(row: Row<unknown>): v.GenericSchema<unknown, unknown> {
  return v.pipe(
    v.union([v.string(), v.array(v.string())], NOT_A_VALUE),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = parseRaw(row, dataset.value)
      if ('value' in parsed) return parsed.value
      addIssue({ message: `${parsed.problem}\n${parsed.fix}` })
      return NEVER
    }),
  )
}

/** Reads one setting. Never throws. */
export function parseValue(row: Row<unknown>, raw: unknown): Parsed {
  const result = v.safeParse(schemaOf(row), raw)
  if (result.success) return { value: result.output }
  const [problem, fix] = result.issues[0].message.split('\n')
  return wrong(problem ?? NOT_A_VALUE, fix ?? 'Write a single value.')
}

/** `90000` as `90s`: the shortest exact form. */
export function showDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0'
  for (const unit of ['h', 'm', 's']) {
    const size = DURATION_UNITS[unit]!
    if (milliseconds % size === 0) return `${milliseconds / size}${unit}`
  }
  return `${milliseconds}ms`
}

/** A value as the configuration would write it; secrets stay hidden. */
export function showValue(row: Row<unknown>, value: unknown): string {
  if (value === undefined) return ''
  if (value instanceof Secret) return String(value)
  if (Array.isArray(value)) return value.join(', ')
  if (row.kind === 'duration' && typeof value === 'number') return showDuration(value)
  if (row.kind === 'mode' && typeof value === 'number') return value.toString(8).padStart(4, '0')
  return String(value)
}
