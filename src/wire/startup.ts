// Reads the first packet of a client, before anything is known or trusted about it.
import type { ErrorCode } from '../errors.ts'
import {
  CANCEL_KEY_LONGEST,
  CANCEL_KEY_SHORTEST,
  CANCEL_REQUEST_CODE,
  GSSENC_REQUEST_CODE,
  NAME_LIMIT,
  PROTOCOL_MAJOR,
  SSL_REQUEST_CODE,
  STARTUP_PACKET_LIMIT,
} from './codes.ts'

/** physical: the WAL of all databases, without SQL; logical: of one database, with SQL beside it. */
export type ReplicationKind = 'physical' | 'logical'

export interface StartupMessage {
  readonly kind: 'startup'
  /** Bytes of the packet; what follows belongs to the next message. */
  readonly length: number
  readonly major: number
  readonly minor: number
  readonly user: string
  /** The user's name when the client names none, as in PostgreSQL. */
  readonly database: string
  /** All others, in the order of their first appearance; of a repeated name the last value counts. */
  readonly parameters: ReadonlyMap<string, string>
  /** The text of `options`, '' when absent; see parseOptions. */
  readonly options: string
  /** Undefined = an ordinary session. */
  readonly replication: ReplicationKind | undefined
  /** Names that start with `_pq_.`: none is supported, NegotiateProtocolVersion lists them. */
  readonly protocolOptions: readonly string[]
}

export type FirstPacket =
  /** Call again when at least this many bytes are there. */
  | { readonly kind: 'need_more'; readonly atLeast: number }
  | { readonly kind: 'ssl_request'; readonly length: number }
  | { readonly kind: 'gss_request'; readonly length: number }
  | { readonly kind: 'cancel_request'; readonly length: number; readonly processId: number; readonly key: Buffer }
  | StartupMessage
  | { readonly kind: 'invalid'; readonly code: ErrorCode; readonly detail: string }

const SMALLEST = 8
const TLS_HANDSHAKE = 0x16

const invalid = (detail: string, code: ErrorCode = 'bad_startup_packet'): FirstPacket => ({ kind: 'invalid', code, detail })

/**
 * Reads the packet that `bytes` begins with: all bytes of the connection so far, of which the first `available` count.
 * Total: every input gets an answer, and a length that is out of bounds is refused from its four bytes alone.
 * Source: "Message Formats" (StartupMessage, CancelRequest, SSLRequest, GSSENCRequest) and PostgreSQL's ProcessStartupPacket.
 */
export function parseStartup(bytes: Buffer, available: number = bytes.length): FirstPacket {
  if (available < 4) {
    if (available > 0 && bytes[0] !== 0) return wrongLength(bytes)
    return { kind: 'need_more', atLeast: 4 }
  }
  const length = bytes.readUInt32BE(0)
  if (length < SMALLEST || length > STARTUP_PACKET_LIMIT + 4) return wrongLength(bytes)
  if (available < length) return { kind: 'need_more', atLeast: length }
  const version = bytes.readUInt32BE(4)
  switch (version) {
    case SSL_REQUEST_CODE:
      return length === SMALLEST ? { kind: 'ssl_request', length } : invalid('wrong length of SSLRequest')
    case GSSENC_REQUEST_CODE:
      return length === SMALLEST ? { kind: 'gss_request', length } : invalid('wrong length of GSSENCRequest')
    case CANCEL_REQUEST_CODE:
      return parseCancelRequest(bytes, length)
  }
  const major = version >>> 16
  const minor = version & 0xffff
  if (major < PROTOCOL_MAJOR) return invalid('', 'old_protocol')
  if (major > PROTOCOL_MAJOR) return invalid(`unsupported protocol ${major}.${minor}`)
  return parseParameters(bytes, length, minor)
}

function wrongLength(bytes: Buffer): FirstPacket {
  return invalid(bytes[0] === TLS_HANDSHAKE ? 'TLS handshake without SSLRequest' : 'invalid length')
}

function parseCancelRequest(bytes: Buffer, length: number): FirstPacket {
  const keyLength = length - 12
  if (keyLength < CANCEL_KEY_SHORTEST || keyLength > CANCEL_KEY_LONGEST) return invalid('wrong length of CancelRequest')
  // copied: the key outlives the chunk it came in
  return { kind: 'cancel_request', length, processId: bytes.readUInt32BE(8), key: Buffer.from(bytes.subarray(12, length)) }
}

function parseParameters(bytes: Buffer, length: number, minor: number): FirstPacket {
  if (bytes[length - 1] !== 0) return invalid('expected terminator as last byte')
  const parameters = new Map<string, string>()
  const protocolOptions: string[] = []
  let user: string | undefined
  let database: string | undefined
  let options = ''
  let replication: string | undefined
  let position = SMALLEST
  while (position < length && bytes[position] !== 0) {
    const nameEnd = bytes.indexOf(0, position)
    const valueEnd = bytes.indexOf(0, nameEnd + 1)
    // the last byte of the packet ends the list, so no value may end with it
    if (valueEnd < 0 || valueEnd >= length - 1) return invalid('expected terminator as last byte')
    const name = bytes.toString('utf8', position, nameEnd)
    const value = bytes.toString('utf8', nameEnd + 1, valueEnd)
    const valueLength = valueEnd - nameEnd - 1
    position = valueEnd + 1
    if (name === 'user' || name === 'database') {
      if (valueLength > NAME_LIMIT) return invalid(`${name} name is longer than ${NAME_LIMIT} bytes`)
      // two different byte strings must not become one name
      if (Buffer.byteLength(value) !== valueLength || value.includes('\ufffd')) return invalid(`${name} name is not valid UTF-8`)
      if (name === 'user') user = value
      else database = value
    } else if (name === 'options') options = value
    else if (name === 'replication') replication = value
    else if (name.startsWith('_pq_.')) {
      if (!protocolOptions.includes(name)) protocolOptions.push(name)
    } else parameters.set(name, value)
  }
  if (position !== length - 1) return invalid('expected terminator as last byte')
  if (user === undefined || user === '') return invalid('no user name')
  database = database === undefined || database === '' ? user : database
  const kind = replication === undefined ? 'none' : replicationKind(replication)
  if (kind === undefined) return invalid(`invalid value for parameter "replication": "${replication}"`)
  return {
    kind: 'startup',
    length,
    major: PROTOCOL_MAJOR,
    minor,
    user,
    database,
    parameters,
    options,
    replication: kind === 'none' ? undefined : kind,
    protocolOptions,
  }
}

/** PostgreSQL reads `replication` as the word `database` or as a boolean (parse_bool); undefined = it is neither. */
function replicationKind(text: string): ReplicationKind | 'none' | undefined {
  if (text === 'database') return 'logical'
  const word = text.toLowerCase()
  const begins = (whole: string, letters: number) => word.length >= letters && whole.startsWith(word)
  if (begins('true', 1) || begins('yes', 1) || word === 'on' || word === '1') return 'physical'
  return begins('false', 1) || begins('no', 1) || begins('off', 2) || word === '0' ? 'none' : undefined
}

interface StartupOption {
  readonly name: string
  readonly value: string
}

type StartupOptions =
  | { readonly kind: 'options'; readonly options: readonly StartupOption[] }
  /** `detail` is the word that is not understood. */
  | { readonly kind: 'error'; readonly detail: string }

/**
 * Reads the command-line text of the startup parameter `options`: `-c name=value`, `-cname=value` and `--name=value`, a
 * backslash before any character that would separate words. As in PostgreSQL (pg_split_opts, ParseLongOption) a dash in a
 * name stands for an underscore. Other switches are an error.
 */
export function parseOptions(text: string): StartupOptions {
  const words = splitWords(text)
  const options: StartupOption[] = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ''
    let assignment: string
    if (word.startsWith('--')) assignment = word.slice(2)
    else if (word === '-c') {
      index++
      assignment = words[index] ?? ''
    } else if (word.startsWith('-c')) assignment = word.slice(2)
    else return { kind: 'error', detail: word }
    const equals = assignment.indexOf('=')
    if (equals <= 0) return { kind: 'error', detail: assignment === '' ? word : assignment }
    options.push({ name: assignment.slice(0, equals).replaceAll('-', '_'), value: assignment.slice(equals + 1) })
  }
  return { kind: 'options', options }
}

const isSpace = (character: string): boolean => character === ' ' || (character >= '\t' && character <= '\r')

function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index)
    if (isSpace(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (character === '\\') {
      index++
      word = (word ?? '') + text.charAt(index)
    } else word = (word ?? '') + character
  }
  if (word !== undefined) words.push(word)
  return words
}
