// The only importer of pg-protocol: encodes what we say to servers and decodes the rows of our own queries.
import { Parser } from 'pg-protocol/dist/parser.js'
import { serialize } from 'pg-protocol/dist/serializer.js'
import { COMMAND_COMPLETE, DATA_ROW } from './codes.ts'

/** A text that would end early on the wire and so say something else. */
export class NulByteError extends Error {
  override readonly name = 'NulByteError'
  constructor(what: string) {
    super(`${what} contains a NUL byte`)
  }
}

function refuseNul(what: string, text: string): string {
  if (text.includes('\0')) throw new NulByteError(what)
  return text
}

const FORCED_ENCODING = Buffer.from('client_encoding\0UTF8\0\0')

/**
 * StartupMessage of protocol 3.0 (so that cancel keys have four bytes). The serializer ends it with `client_encoding=UTF8`, which is cut
 * off where `parameters` have an encoding of their own: of two the last counts. Throws NulByteError.
 */
export function startupMessage(user: string, database: string, parameters: ReadonlyArray<readonly [string, string]>): Buffer {
  // no prototype: a parameter may have any name
  const all: Record<string, string> = Object.create(null)
  all.user = refuseNul('the user name', user)
  all.database = refuseNul('the database name', database)
  for (const [name, value] of parameters) all[refuseNul('a parameter name', name)] = refuseNul('a parameter value', value)
  const whole = serialize.startup(all)
  if (!parameters.some(([name]) => name.toLowerCase() === 'client_encoding')) return whole
  const own = Buffer.concat([whole.subarray(0, whole.length - FORCED_ENCODING.length), Buffer.alloc(1)])
  own.writeInt32BE(own.length, 0)
  return own
}

/** PasswordMessage: a clear password or its MD5 answer. Throws NulByteError. */
export const passwordMessage = (text: string): Buffer => serialize.password(refuseNul('the password', text))

export const saslInitialResponse = (mechanism: string, text: string): Buffer => serialize.sendSASLInitialResponseMessage(mechanism, text)

export const saslResponse = (text: string): Buffer => serialize.sendSCRAMClientFinalMessage(text)

export const sslRequest = (): Buffer => serialize.requestSsl()

/** Query (simple protocol). Throws NulByteError. */
export const query = (text: string): Buffer => serialize.query(refuseNul('the query', text))

/** Parse without parameter types; `name` '' is the unnamed statement. Throws NulByteError. */
export const parse = (name: string, text: string): Buffer =>
  serialize.parse({ name: refuseNul('the statement name', name), text: refuseNul('the query', text) })

/** Close of a statement (`S`) or portal (`P`). Throws NulByteError. */
export const close = (type: 'S' | 'P', name: string): Buffer => serialize.close({ type, name: refuseNul('the name', name) })

/** Describe of a prepared statement or a portal. Throws NulByteError. */
export const describe = (type: 'S' | 'P', name: string): Buffer => serialize.describe({ type, name: refuseNul('the name', name) })

export const flush = (): Buffer => serialize.flush()

export const sync = (): Buffer => serialize.sync()

export const terminate = (): Buffer => serialize.end()

/** One whole message, or undefined when it does not hold together. */
function decode(message: Buffer): unknown {
  let decoded: unknown
  try {
    new Parser().parse(message, (one) => {
      decoded = one
    })
  } catch {
    return undefined
  }
  return decoded
}

const hasProperty = <K extends string>(value: unknown, key: K): value is Record<K, unknown> =>
  typeof value === 'object' && value !== null && key in value

/** Column values of one whole DataRow message, header included, as text; undefined when it is malformed. */
export function decodeDataRow(message: Buffer): (string | null)[] | undefined {
  if (message[0] !== DATA_ROW || !rowFits(message)) return undefined
  const decoded = decode(message)
  if (!hasProperty(decoded, 'fields') || !Array.isArray(decoded.fields)) return undefined
  return decoded.fields.map((field: unknown) => (typeof field === 'string' ? field : null))
}

/** pg-protocol trusts the counts and lengths of a row; a server may lie in them. */
function rowFits(message: Buffer): boolean {
  if (message.length < 7) return false
  const count = message.readInt16BE(5)
  let position = 7
  for (let index = 0; index < count; index++) {
    if (position + 4 > message.length) return false
    const length = message.readInt32BE(position)
    if (length < -1) return false
    position += 4 + Math.max(0, length)
  }
  return count >= 0 && position === message.length
}

/** The tag of one whole CommandComplete message, header included; undefined when it is malformed. */
export function decodeCommandTag(message: Buffer): string | undefined {
  if (message[0] !== COMMAND_COMPLETE || message.length < 6 || message[message.length - 1] !== 0) return undefined
  const decoded = decode(message)
  return hasProperty(decoded, 'text') && typeof decoded.text === 'string' ? decoded.text : undefined
}
