// What a server's own error means to us: which row of the error table, and a text that is safe to show.
import { type ErrorCode, PgleaseError } from '../errors.ts'
import type { ReplyFields } from '../wire/reply.ts'

const TEXT_LIMIT = 500

const BY_SQLSTATE: ReadonlyMap<string, ErrorCode> = new Map([
  ['28P01', 'login_refused'],
  ['28000', 'login_refused'],
  ['3D000', 'database_missing'],
  ['57P04', 'database_missing'],
  ['53300', 'server_full'],
  ['57P03', 'server_starting'],
])

/** Insufficient resources, operator intervention, system errors and connection exceptions pass by themselves. */
const TRANSIENT_CLASSES = ['08', '53', '57', '58']

/** The error of our table for an error that a server sent during login. All that is not known to pass by itself is permanent. */
export function loginErrorCode(sqlstate: string): ErrorCode {
  const known = BY_SQLSTATE.get(sqlstate)
  if (known) return known
  return TRANSIENT_CLASSES.includes(sqlstate.slice(0, 2)) ? 'connect_refused' : 'login_not_permitted'
}

/** One line of bounded length without control characters, and without `secret` if the server echoed it. */
export function safeText(text: string, secret = ''): string {
  const clean = secret === '' ? text : text.replaceAll(secret, '[redacted]')
  const line = clean.replace(/\p{Cc}+/gu, ' ').trim()
  return line.length > TEXT_LIMIT ? `${line.slice(0, TEXT_LIMIT)}...` : line
}

/** An ErrorResponse of the server. The server is not trusted: its text is cut, and no secret that it echoes is kept. */
export class ServerRefusal extends PgleaseError {
  readonly serverSqlstate: string
  readonly serverMessage: string
  /** ERROR, FATAL, PANIC. */
  readonly serverSeverity: string

  /** `remoteAddress` begins the detail; `code` overrides what the SQLSTATE means at login. */
  constructor(remoteAddress: string, fields: ReplyFields, secret = '', code: ErrorCode = loginErrorCode(fields.sqlstate)) {
    const message = safeText(fields.message, secret)
    super(code, `${remoteAddress}: ${message} (SQLSTATE ${fields.sqlstate})`)
    this.serverSqlstate = fields.sqlstate
    this.serverMessage = message
    this.serverSeverity = safeText(fields.severityNonLocalised)
  }
}
