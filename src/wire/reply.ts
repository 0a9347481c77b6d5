// Encodes what pglease itself says to clients, and reads the few server messages that it looks into.
import {
  AUTHENTICATION,
  AUTHENTICATION_OK,
  BACKEND_KEY_DATA,
  EMPTY_QUERY_RESPONSE,
  ERROR_RESPONSE,
  HEADER_LENGTH,
  NEGOTIATE_PROTOCOL_VERSION,
  NOTICE_RESPONSE,
  PARAMETER_STATUS,
  PROTOCOL_MAJOR,
  READY_FOR_QUERY,
} from './codes.ts'

interface ReplyText {
  /** Five characters. */
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
}

interface ErrorReply extends ReplyText {
  readonly severity: 'ERROR' | 'FATAL'
}

interface NoticeReply extends ReplyText {
  readonly severity: 'NOTICE' | 'WARNING'
}

/** Fills in the header of `whole`, whose first HEADER_LENGTH bytes were left free. */
function finish(type: number, whole: Buffer): Buffer {
  whole[0] = type
  whole.writeUInt32BE(whole.length - 1, 1)
  return whole
}

/** A NUL would end a text early, so that the rest of it was read as another field. */
const withoutNul = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', ' ') : text)

/** Texts that each end with a NUL, then `tail`. */
function cstrings(type: number, texts: readonly string[], tail = ''): Buffer {
  const body = `${texts.map((text) => `${withoutNul(text)}\0`).join('')}${tail}`
  const whole = Buffer.allocUnsafe(HEADER_LENGTH + Buffer.byteLength(body))
  whole.write(body, HEADER_LENGTH)
  return finish(type, whole)
}

function fields(type: number, severity: string, text: ReplyText): Buffer {
  const list = [`S${severity}`, `V${severity}`, `C${text.sqlstate}`, `M${text.message}`]
  if (text.detail) list.push(`D${text.detail}`)
  if (text.hint) list.push(`H${text.hint}`)
  return cstrings(type, list, '\0')
}

/** As PostgreSQL words it (plancache.c); drivers know it by its routine or its text, and prepare again. */
export const PLAN_CHANGED = cstrings(
  ERROR_RESPONSE,
  ['SERROR', 'VERROR', 'C0A000', 'Mcached plan must not change result type', 'Fplancache.c', 'RRevalidateCachedQuery'],
  '\0',
)

/** ErrorResponse. After FATAL the connection has to be closed. */
export const errorResponse = (error: ErrorReply): Buffer => fields(ERROR_RESPONSE, error.severity, error)

export const noticeResponse = (notice: NoticeReply): Buffer => fields(NOTICE_RESPONSE, notice.severity, notice)

export function authenticationOk(): Buffer {
  const whole = Buffer.allocUnsafe(HEADER_LENGTH + 4)
  whole.writeInt32BE(AUTHENTICATION_OK, HEADER_LENGTH)
  return finish(AUTHENTICATION, whole)
}

export const parameterStatus = (name: string, value: string): Buffer => cstrings(PARAMETER_STATUS, [name, value])

/** `key`: 4 bytes for protocol 3.0, up to 256 for 3.2. `processId`: 0 to 2^32-1. */
export function backendKeyData(processId: number, key: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(HEADER_LENGTH + 4 + key.length)
  whole.writeUInt32BE(processId >>> 0, HEADER_LENGTH)
  key.copy(whole, HEADER_LENGTH + 4)
  return finish(BACKEND_KEY_DATA, whole)
}

/** I: idle, T: in a transaction, E: in a failed one. */
export function readyForQuery(status: 'I' | 'T' | 'E'): Buffer {
  const whole = Buffer.allocUnsafe(HEADER_LENGTH + 1)
  whole.write(status, HEADER_LENGTH)
  return finish(READY_FOR_QUERY, whole)
}

/** `minor`: the newest minor version of protocol 3 that is spoken; `options`: the `_pq_.` options that were not understood. */
export function negotiateProtocolVersion(minor: number, options: readonly string[]): Buffer {
  const names = options.map((option) => `${withoutNul(option)}\0`).join('')
  const whole = Buffer.allocUnsafe(HEADER_LENGTH + 8 + Buffer.byteLength(names))
  // the whole version, as PostgreSQL sends and libpq reads it, though the documentation says "minor version"
  whole.writeUInt32BE(PROTOCOL_MAJOR * 65_536 + minor, HEADER_LENGTH)
  whole.writeUInt32BE(options.length, HEADER_LENGTH + 4)
  whole.write(names, HEADER_LENGTH + 8)
  return finish(NEGOTIATE_PROTOCOL_VERSION, whole)
}

export const emptyQueryResponse = (): Buffer => finish(EMPTY_QUERY_RESPONSE, Buffer.allocUnsafe(HEADER_LENGTH))

/** Fields of an ErrorResponse or NoticeResponse ("Error and Notice Message Fields"). Texts are '' when absent. */
export interface ReplyFields {
  /** As the server printed it, in its language. */
  readonly severity: string
  /** ERROR, FATAL, PANIC, WARNING, NOTICE ...; `severity` when the server (before 9.6) sent none. */
  readonly severityNonLocalised: string
  /** XX000 when the server sent none. */
  readonly sqlstate: string
  readonly message: string
  readonly detail: string
  readonly hint: string
  readonly where: string
  readonly routine: string
}

const UNKNOWN_SQLSTATE = 'XX000'
const CODE_S = 0x53
const CODE_V = 0x56
const CODE_C = 0x43
/** Of FATAL and PANIC; no other severity begins so. */
const LETTER_F = 0x46
const LETTER_P = 0x50
const TAG_SET = Buffer.from('SET\0')

/** Visits each field of the body between `start` and `end`; stops at its terminator or, when malformed, at its end. */
function eachField(buffer: Buffer, start: number, end: number, visit: (code: number, from: number, to: number) => void): void {
  const limit = Math.min(end, buffer.length)
  let position = start
  while (position < limit && buffer[position] !== 0) {
    const zero = buffer.indexOf(0, position + 1)
    const to = zero < 0 || zero > limit ? limit : zero
    visit(buffer[position] ?? 0, position + 1, to)
    position = to + 1
  }
}

/** Reads the body (after the header) of an ErrorResponse or NoticeResponse. Total: absent or malformed fields have defaults. */
export function parseFields(buffer: Buffer, start = 0, end: number = buffer.length): ReplyFields {
  const texts = new Map<number, string>()
  eachField(buffer, start, end, (code, from, to) => texts.set(code, buffer.toString('utf8', from, to)))
  const text = (letter: string): string => texts.get(letter.charCodeAt(0)) ?? ''
  const severity = text('S') || text('V') || 'ERROR'
  const sqlstate = text('C')
  return {
    severity,
    severityNonLocalised: text('V') || severity,
    sqlstate: /^[0-9A-Z]{5}$/.test(sqlstate) ? sqlstate : UNKNOWN_SQLSTATE,
    message: text('M'),
    detail: text('D'),
    hint: text('H'),
    where: text('W'),
    routine: text('R'),
  }
}

/** The severity of an ErrorResponse's body, without decoding the rest: S and V come first in every PostgreSQL since 9.6. */
export function isFatal(buffer: Buffer, start: number, end: number): boolean {
  if (buffer[start] === CODE_S) {
    const zero = buffer.indexOf(0, start)
    if (zero >= 0 && zero + 2 < end && buffer[zero + 1] === CODE_V) return buffer[zero + 2] === LETTER_F || buffer[zero + 2] === LETTER_P
  }
  const { severityNonLocalised } = parseFields(buffer, start, end)
  return severityNonLocalised === 'FATAL' || severityNonLocalised === 'PANIC'
}

/** Whether the CommandComplete whose body begins at `start` answers a SET. */
export const answersSet = (buffer: Buffer, start: number): boolean => buffer.compare(TAG_SET, 0, 4, start, start + 4) === 0

const TAG_DEALLOCATE_ALL = Buffer.from('DEALLOCATE ALL\0')
const TAG_DISCARD_ALL = Buffer.from('DISCARD ALL\0')
const TAG_PREPARE = Buffer.from('PREPARE\0')

const isTag = (tag: Buffer, buffer: Buffer, start: number, end: number): boolean =>
  end - start === tag.length && buffer.compare(tag, 0, tag.length, start, end) === 0

/** Whether the CommandComplete with its body between `start` and `end` says that no prepared statement is left. */
export const dropsStatements = (buffer: Buffer, start: number, end: number): boolean =>
  isTag(TAG_DEALLOCATE_ALL, buffer, start, end) || isTag(TAG_DISCARD_ALL, buffer, start, end)

/** Whether it answers SQL's PREPARE. */
export const answersPrepare = (buffer: Buffer, start: number, end: number): boolean => isTag(TAG_PREPARE, buffer, start, end)

const TAG_RESET = Buffer.from('RESET\0')

/** Whether it answers what gives parameters the values that they had at login. */
export const answersReset = (buffer: Buffer, start: number, end: number): boolean =>
  isTag(TAG_RESET, buffer, start, end) || isTag(TAG_DISCARD_ALL, buffer, start, end)

const TAG_LISTEN = Buffer.from('LISTEN\0')
const TAG_UNLISTEN = Buffer.from('UNLISTEN\0')
const TAG_COMMIT = Buffer.from('COMMIT\0')
const TAG_ROLLBACK = Buffer.from('ROLLBACK\0')

export const answersListen = (buffer: Buffer, start: number, end: number): boolean => isTag(TAG_LISTEN, buffer, start, end)
export const answersUnlisten = (buffer: Buffer, start: number, end: number): boolean => isTag(TAG_UNLISTEN, buffer, start, end)
export const answersDiscardAll = (buffer: Buffer, start: number, end: number): boolean => isTag(TAG_DISCARD_ALL, buffer, start, end)
export const answersCommit = (buffer: Buffer, start: number, end: number): boolean => isTag(TAG_COMMIT, buffer, start, end)
/** Also ROLLBACK TO, and the COMMIT of a failed transaction. */
export const answersRollback = (buffer: Buffer, start: number, end: number): boolean => isTag(TAG_ROLLBACK, buffer, start, end)

/**
 * A whole ErrorResponse with the fields of the body between `start` and `end`, byte for byte, but another severity: what a
 * server ended its own connection with need not end the client's.
 */
export function withSeverity(severity: 'ERROR' | 'FATAL', buffer: Buffer, start = 0, end: number = buffer.length): Buffer {
  const parts: Buffer[] = [Buffer.alloc(HEADER_LENGTH), Buffer.from(`S${severity}\0V${severity}\0`)]
  let hasSqlstate = false
  eachField(buffer, start, end, (code, from, to) => {
    if (code === CODE_S || code === CODE_V) return
    hasSqlstate ||= code === CODE_C
    parts.push(buffer.subarray(from - 1, to), Buffer.alloc(1))
  })
  if (!hasSqlstate) parts.push(Buffer.from(`C${UNKNOWN_SQLSTATE}\0`))
  parts.push(Buffer.alloc(1))
  return finish(ERROR_RESPONSE, Buffer.concat(parts))
}

/** Name and value of a ParameterStatus body; undefined when it is malformed. */
export function parseParameterStatus(buffer: Buffer, start = 0, end: number = buffer.length): readonly [string, string] | undefined {
  const nameEnd = buffer.indexOf(0, start)
  if (nameEnd < 0 || nameEnd >= end) return undefined
  const valueEnd = buffer.indexOf(0, nameEnd + 1)
  if (nameEnd === start || valueEnd !== end - 1) return undefined
  return [buffer.toString('utf8', start, nameEnd), buffer.toString('utf8', nameEnd + 1, valueEnd)]
}
