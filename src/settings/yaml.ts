// Reads a YAML file into entries that know their line; quotes nothing of the file but names of settings.
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml'
import { rowsOf } from './declarations.ts'
import { type Entry, type Findings, pathOf, type Raw, type ReadFile, readValueFile } from './entry.ts'
import type { Scope } from './scope.ts'
import { reportUnknown } from './unknown.ts'

const LONGEST_FILE = 1_048_576

/** The library's messages quote the file, secrets too: only its codes are used, in words of our own. */
const SYNTAX: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation is wrong',
  TAB_AS_INDENT: 'a tab is used for indentation',
  DUPLICATE_KEY: 'the same name stands here twice',
  MISSING_CHAR: 'a character is missing (a quote, a colon or a bracket)',
  BLOCK_AS_IMPLICIT_KEY: 'a nested value begins on the line of its name',
  MULTILINE_IMPLICIT_KEY: 'a name runs over several lines; perhaps a colon is missing',
  MULTIPLE_DOCS: 'there is more than one document',
}

interface Reading {
  readonly document: Document
  readonly lines: LineCounter
  readonly file: string
  readonly readFile: ReadFile
  readonly findings: Findings
  readonly entries: Entry[]
}

export interface YamlResult {
  readonly entries: readonly Entry[]
  /** Databases that the file names, with the source of each. */
  readonly databases: ReadonlyMap<string, string>
  readonly users: ReadonlyMap<string, string>
}

const NOTHING: YamlResult = { entries: [], databases: new Map(), users: new Map() }

function resolve(reading: Reading, node: unknown): Node | undefined {
  if (isAlias(node)) return node.resolve(reading.document)
  return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined
}

function sourceOf(reading: Reading, node: unknown): string {
  const start = isMap(node) || isSeq(node) || isScalar(node) || isAlias(node) ? node.range?.[0] : undefined
  return start === undefined ? `file ${reading.file}` : `file ${reading.file}:${reading.lines.linePos(start).line}`
}

/** The text of a scalar as written, or undefined for none (`name:`, `~`, `null`). */
function textOf(node: Node | undefined): string | undefined {
  if (!isScalar(node)) return undefined
  const text = String(node.value ?? '')
  return node.type === 'PLAIN' && /^(?:~|null)?$/i.test(text) ? undefined : text
}

/** The raw value of a setting, or undefined after reporting what is wrong with it. */
function rawOf(reading: Reading, setting: string, source: string, node: Node | undefined): Raw | undefined {
  if (isMap(node)) {
    reading.findings.mistake(setting, source, 'holds further settings', 'Give it a single value.')
    return undefined
  }
  const texts = isSeq(node) ? node.items.map((item) => textOf(resolve(reading, item))) : [textOf(node)]
  if (texts.some((text) => text === undefined)) {
    reading.findings.mistake(setting, source, 'has no value', 'Give it a value, write "" for an empty one, or leave the line out.')
    return undefined
  }
  const known = texts.filter((text) => text !== undefined)
  return isSeq(node) ? known : known[0]
}

/** `x_file` of a secret that has no such setting of its own: reads the secret from that file. */
function readSecret(reading: Reading, scope: Scope | undefined, name: string, source: string, raw: Raw): void {
  const read = typeof raw === 'string' ? readValueFile(reading.readFile, raw) : { code: 'a list' }
  if ('text' in read) reading.entries.push({ scope, name: name.slice(0, -'_file'.length), raw: read.text, source })
  else {
    const fix = 'Name a file that pglease may read.'
    reading.findings.mistake(pathOf(scope, name), source, `names a file that cannot be read (${read.code})`, fix)
  }
}

function readMap(reading: Reading, scope: Scope | undefined, map: YAMLMap): void {
  const rows = rowsOf(scope)
  const seen = new Map<string, string>()
  for (const pair of map.items) {
    const source = sourceOf(reading, pair.key)
    const name = textOf(resolve(reading, pair.key))
    if (name === undefined) {
      reading.findings.mistake(pathOf(scope, ''), source, 'has a name that is no text', 'Write `name: value`.')
      continue
    }
    if (scope === undefined && isKind(name)) continue
    const secret = name.endsWith('_file') && rows.get(name.slice(0, -'_file'.length))?.kind === 'secret' && !rows.has(name)
    if (!rows.has(name) && !secret) {
      reportUnknown(reading.findings, scope, name, source)
      continue
    }
    const raw = rawOf(reading, pathOf(scope, name), source, resolve(reading, pair.value))
    if (raw === undefined) continue
    const target = secret ? name.slice(0, -'_file'.length) : name
    const earlier = seen.get(target)
    if (earlier !== undefined) {
      reading.findings.mistake(pathOf(scope, target), source, `is set twice, also by ${earlier}`, 'Keep one of the two.')
    }
    seen.set(target, name)
    if (secret) readSecret(reading, scope, name, source, raw)
    else reading.entries.push({ scope, name, raw, source })
  }
}

/** What stands there, for those who wrote something else. */
const SHAPES: Readonly<Record<Scope['kind'], { readonly list: string; readonly empty: string }>> = {
  databases: {
    list: 'Write `databases:` and below it one line per database: `name: { host: ..., vault_path: ... }`.',
    empty: 'Give it at least a host and a vault_path or user.',
  },
  users: {
    list: 'Write `users:` and below it one line per user of a database, or per vault_path: `name: { pool_mode: session }`.',
    empty: 'Give it a setting, or leave it out.',
  },
}

const isKind = (name: string): name is Scope['kind'] => Object.hasOwn(SHAPES, name)

/** The named groups of settings below `databases:` or `users:`, with the source of each. */
function readScopes(reading: Reading, kind: Scope['kind'], top: YAMLMap): Map<string, string> {
  const named = new Map<string, string>()
  const pair = top.items.find((item) => textOf(resolve(reading, item.key)) === kind)
  if (pair === undefined) return named
  const node = resolve(reading, pair.value)
  const shape = SHAPES[kind]
  if (!isMap(node)) {
    reading.findings.mistake(kind, sourceOf(reading, pair.key), `is not a list of named ${kind}`, shape.list)
    return named
  }
  for (const item of node.items) {
    const where = sourceOf(reading, item.key)
    const key = resolve(reading, item.key)
    // A database may well be called null: its name is taken as written.
    const name = isScalar(key) ? String(key.value ?? '') : undefined
    const entry = resolve(reading, item.value)
    if (name === undefined) {
      reading.findings.mistake(kind, where, 'has a name that is no text', shape.list)
      continue
    }
    if (isMap(entry)) {
      named.set(name, where)
      readMap(reading, { kind, name }, entry)
    } else reading.findings.mistake(pathOf({ kind, name }, ''), where, 'holds no settings', shape.empty)
  }
  return named
}

function parse(text: string, lines: LineCounter): Document | undefined {
  try {
    // failsafe: every scalar stays the text that was written
    return parseDocument(text, { schema: 'failsafe', prettyErrors: false, lineCounter: lines, logLevel: 'error' })
  } catch {
    return undefined
  }
}

/** Reads the text of `file`. Every mistake goes to `findings`; never throws. */
export function readYaml(text: string, file: string, readFile: ReadFile, findings: Findings): YamlResult {
  const lines = new LineCounter()
  const source = `file ${file}`
  const document = text.length > LONGEST_FILE ? undefined : parse(text, lines)
  if (document === undefined) {
    findings.mistake('config', source, 'is too large or too deeply nested', 'Check that it is the configuration.')
    return NOTHING
  }
  const told = new Set<string>()
  for (const error of document.errors) {
    const reason = String(Object.hasOwn(SYNTAX, error.code) ? SYNTAX[error.code] : `the YAML is not valid (${error.code})`)
    const place = `${source}:${lines.linePos(error.pos[0]).line}`
    // one wrong bracket makes many errors of the parser's
    if (told.has(place + reason)) continue
    told.add(place + reason)
    findings.mistake('config', place, reason, 'Correct that line.')
  }
  const top = document.contents
  if (document.errors.length > 0 || top === null || (isScalar(top) && textOf(top) === undefined)) return NOTHING
  if (!isMap(top)) {
    findings.mistake('config', source, 'is not a list of settings', 'Write one `name: value` per line.')
    return NOTHING
  }
  const reading: Reading = { document, lines, file, readFile, findings, entries: [] }
  readMap(reading, undefined, top)
  const [databases, users] = [readScopes(reading, 'databases', top), readScopes(reading, 'users', top)]
  return { entries: reading.entries, databases, users }
}
