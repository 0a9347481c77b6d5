// Shows a byte stream as text in the manner of libpq's PQtrace, for golden tests and for debugging; secrets are left out.
import {
  AUTHENTICATION,
  AUTHENTICATION_CLEARTEXT_PASSWORD,
  AUTHENTICATION_MD5_PASSWORD,
  AUTHENTICATION_OK,
  AUTHENTICATION_SASL,
  AUTHENTICATION_SASL_CONTINUE,
  AUTHENTICATION_SASL_FINAL,
  BACKEND_KEY_DATA,
  BACKEND_NAMES,
  BIND,
  CANCEL_REQUEST_CODE,
  CLOSE,
  COMMAND_COMPLETE,
  COPY_BOTH_RESPONSE,
  COPY_DATA,
  COPY_FAIL,
  COPY_IN_RESPONSE,
  COPY_OUT_RESPONSE,
  DATA_ROW,
  DESCRIBE,
  ERROR_RESPONSE,
  EXECUTE,
  FRONTEND_NAMES,
  FUNCTION_CALL,
  FUNCTION_CALL_RESPONSE,
  GSSENC_REQUEST_CODE,
  HEADER_LENGTH,
  NEGOTIATE_PROTOCOL_VERSION,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_DESCRIPTION,
  PARAMETER_STATUS,
  PARSE,
  PASSWORD_MESSAGE,
  QUERY,
  READY_FOR_QUERY,
  ROW_DESCRIPTION,
  SSL_REQUEST_CODE,
} from '../../src/wire/codes.ts'

/** F: what a client sends; B: what a server sends. */
type TraceDirection = 'F' | 'B'

/** Reads fields one after another and writes them down; past the end it says so once and reads nothing more. */
class Fields {
  readonly #body: Buffer
  #position = 0
  readonly words: string[] = []

  constructor(body: Buffer) {
    this.#body = body
  }

  get left(): number {
    return this.#body.length - this.#position
  }

  #take(length: number): Buffer | undefined {
    if (length < 0 || length > this.left) {
      if (this.words.at(-1) !== 'malformed') this.words.push('malformed')
      this.#position = this.#body.length
      return undefined
    }
    this.#position += length
    return this.#body.subarray(this.#position - length, this.#position)
  }

  text(prefix = ''): void {
    const end = this.#body.indexOf(0, this.#position)
    const taken = this.#take(end < 0 ? -1 : end + 1 - this.#position)
    if (taken) this.words.push(prefix + quoted('"', taken.subarray(0, -1)))
  }

  int(bytes: 1 | 2 | 4): number {
    const value = this.#take(bytes)?.readIntBE(0, bytes) ?? 0
    this.words.push(String(value))
    return value
  }

  letter(): number {
    const taken = this.#take(1)
    if (taken) this.words.push(taken[0] === 0 ? '\\x00' : taken.toString('latin1'))
    return taken?.[0] ?? 0
  }

  bytes(length: number): void {
    const taken = this.#take(length)
    if (taken) this.words.push(quoted("'", taken))
  }

  /** Left out because it is a secret or differs with each run. */
  hidden(length: number): void {
    if (this.#take(length)) this.words.push('NNNN')
  }

  /** Int32 length, -1 for NULL, then as many bytes. */
  value(): void {
    const length = this.int(4)
    if (length >= 0) this.bytes(length)
  }

  list(bytes: 2 | 4, each: () => void): void {
    for (let count = this.int(bytes); count > 0 && this.left > 0; count--) each()
  }

  rest(): void {
    while (this.left > 0) this.text()
  }
}

function quoted(mark: string, bytes: Buffer): string {
  let text = ''
  for (const byte of bytes) {
    const printable = byte >= 0x20 && byte < 0x7f && byte !== 0x5c
    text += printable ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return mark + text + mark
}

type Writer = (fields: Fields) => void

const text: Writer = (fields) => fields.text()
const letter: Writer = (fields) => fields.letter()
const value: Writer = (fields) => fields.value()
const int16: Writer = (fields) => fields.int(2)
const int32: Writer = (fields) => fields.int(4)
const bytes: Writer = (fields) => fields.bytes(fields.left)
const hiddenInt32: Writer = (fields) => fields.hidden(4)
const hidden: Writer = (fields) => fields.hidden(fields.left)
const list =
  (count: 2 | 4, each: Writer): Writer =>
  (fields) =>
    fields.list(count, () => each(fields))
const inOrder =
  (...writers: Writer[]): Writer =>
  (fields) => {
    for (const write of writers) write(fields)
  }

const FRONTEND: ReadonlyMap<number, Writer> = new Map([
  [BIND, inOrder(text, text, list(2, int16), list(2, value), list(2, int16))],
  [CLOSE, inOrder(letter, text)],
  [COPY_DATA, bytes],
  [COPY_FAIL, text],
  [DESCRIBE, inOrder(letter, text)],
  [EXECUTE, inOrder(text, int32)],
  [FUNCTION_CALL, inOrder(int32, list(2, int16), list(2, value), int16)],
  [PARSE, inOrder(text, text, list(2, int32))],
  [PASSWORD_MESSAGE, hidden],
  [QUERY, text],
])

const AUTHENTICATION_NAMES: ReadonlyMap<number, string> = new Map([
  [AUTHENTICATION_OK, 'AuthenticationOk'],
  [AUTHENTICATION_CLEARTEXT_PASSWORD, 'AuthenticationCleartextPassword'],
  [AUTHENTICATION_MD5_PASSWORD, 'AuthenticationMD5Password'],
  [AUTHENTICATION_SASL, 'AuthenticationSASL'],
  [AUTHENTICATION_SASL_CONTINUE, 'AuthenticationSASLContinue'],
  [AUTHENTICATION_SASL_FINAL, 'AuthenticationSASLFinal'],
])

function authentication(fields: Fields): void {
  const subtype = fields.int(4)
  if (subtype === AUTHENTICATION_SASL) fields.rest()
  else if (fields.left > 0) fields.hidden(fields.left)
}

/** File, line and routine change with the server's version. */
const CHANGING_FIELDS = new Set(['F', 'L', 'R'])

function errorFields(fields: Fields): void {
  for (let code = fields.letter(); code !== 0 && fields.left > 0; code = fields.letter()) {
    const letter = fields.words.pop() ?? ''
    fields.text(`${letter} `)
    if (CHANGING_FIELDS.has(letter)) fields.words.pop()
  }
}

const copyResponse = inOrder((fields) => fields.int(1), list(2, int16))

const BACKEND: ReadonlyMap<number, Writer> = new Map([
  [AUTHENTICATION, authentication],
  [BACKEND_KEY_DATA, inOrder(hiddenInt32, hidden)],
  [COMMAND_COMPLETE, text],
  [COPY_DATA, bytes],
  [COPY_IN_RESPONSE, copyResponse],
  [COPY_OUT_RESPONSE, copyResponse],
  [COPY_BOTH_RESPONSE, copyResponse],
  [DATA_ROW, list(2, value)],
  [ERROR_RESPONSE, errorFields],
  [NOTICE_RESPONSE, errorFields],
  [FUNCTION_CALL_RESPONSE, value],
  [NEGOTIATE_PROTOCOL_VERSION, inOrder(int32, list(4, text))],
  [NOTIFICATION_RESPONSE, inOrder(hiddenInt32, text, text)],
  [PARAMETER_DESCRIPTION, list(2, int32)],
  [PARAMETER_STATUS, inOrder(text, text)],
  [READY_FOR_QUERY, letter],
  [ROW_DESCRIPTION, list(2, inOrder(text, int32, int16, int32, int16, int32, int16))],
])

/** One line: direction, length (of the length field on), name, fields; separated by tabs like libpq's. */
const line = (direction: TraceDirection, length: number, name: string, words: readonly string[] = []): string =>
  [direction, length, words.length > 0 ? `${name}\t ${words.join(' ')}` : name].join('\t')

/** The line of one whole message with its header. Total. */
export function traceMessage(direction: TraceDirection, message: Buffer): string {
  const type = message[0] ?? 0
  const fields = new Fields(message.subarray(HEADER_LENGTH))
  const names = direction === 'F' ? FRONTEND_NAMES : BACKEND_NAMES
  let name = names.get(type) ?? `Unknown(${quoted("'", Buffer.from([type]))})`
  const write = (direction === 'F' ? FRONTEND : BACKEND).get(type)
  write?.(fields)
  if (type === AUTHENTICATION && direction === 'B') name = AUTHENTICATION_NAMES.get(Number(fields.words.shift())) ?? name
  return line(direction, message.length - 1, name, fields.words)
}

/** The line of a whole first packet, which has no type byte. Total. */
function traceFirstPacket(packet: Buffer): string {
  const code = packet.readUInt32BE(4)
  if (code === SSL_REQUEST_CODE) return line('F', packet.length, 'SSLRequest')
  if (code === GSSENC_REQUEST_CODE) return line('F', packet.length, 'GSSENCRequest')
  if (code === CANCEL_REQUEST_CODE) return line('F', packet.length, 'CancelRequest', ['NNNN', 'NNNN'])
  const fields = new Fields(packet.subarray(8, -1))
  fields.rest()
  return line('F', packet.length, 'StartupMessage', [String(code >>> 16), String(code & 0xffff), ...fields.words])
}

/** The lines of a stream in one direction, given in chunks of any size. */
export class Tracer {
  readonly #direction: TraceDirection
  #buffer: Buffer = Buffer.alloc(0)
  #untyped: boolean

  /** `fromStart`: the stream begins with the first packet of a connection. */
  constructor(direction: TraceDirection, fromStart = false) {
    this.#direction = direction
    this.#untyped = fromStart && direction === 'F'
  }

  /** The messages that `chunk` completes. */
  push(chunk: Buffer): string[] {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    const lines: string[] = []
    for (;;) {
      const before = this.#untyped ? 0 : 1
      if (this.#buffer.length < before + 4) return lines
      const length = this.#buffer.readUInt32BE(before)
      if (length < (this.#untyped ? 8 : 4)) {
        lines.push(line(this.#direction, length, 'malformed'))
        this.#buffer = Buffer.alloc(0)
        return lines
      }
      if (this.#buffer.length < before + length) return lines
      const message = this.#buffer.subarray(0, before + length)
      this.#buffer = this.#buffer.subarray(before + length)
      lines.push(this.#untyped ? traceFirstPacket(message) : traceMessage(this.#direction, message))
      if (this.#untyped) this.#untyped = isRequestForEncryption(message)
    }
  }
}

/** After it comes another first packet. */
function isRequestForEncryption(packet: Buffer): boolean {
  const code = packet.readUInt32BE(4)
  return code === SSL_REQUEST_CODE || code === GSSENC_REQUEST_CODE
}
