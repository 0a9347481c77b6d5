// A message from a server, and its text line in the manner of libpq's PQtrace, so that a test reads protocol and not hex.

const AUTHENTICATION: Record<number, string> = {
  0: 'AuthenticationOk',
  3: 'AuthenticationCleartextPassword',
  5: 'AuthenticationMD5Password',
  10: 'AuthenticationSASL',
  11: 'AuthenticationSASLContinue',
  12: 'AuthenticationSASLFinal',
}

const EMPTY: Record<string, string> = {
  '1': 'ParseComplete',
  '2': 'BindComplete',
  '3': 'CloseComplete',
  I: 'EmptyQueryResponse',
  n: 'NoData',
  s: 'PortalSuspended',
  c: 'CopyDone',
}

/** Reads fields one after another from a message's body. */
class Fields {
  #at = 0
  readonly #body: Buffer
  constructor(body: Buffer) {
    this.#body = body
  }
  get left(): number {
    return this.#body.length - this.#at
  }
  string(): string {
    const end = this.#body.indexOf(0, this.#at)
    const text = this.#body.toString('utf8', this.#at, end < 0 ? undefined : end)
    this.#at = end < 0 ? this.#body.length : end + 1
    return text
  }
  int(bytes: number): number {
    this.#at += bytes
    return this.#body.readIntBE(this.#at - bytes, bytes)
  }
  bytes(count: number): Buffer {
    this.#at += count
    return this.#body.subarray(this.#at - count, this.#at)
  }
  /** Int32 length and so many bytes; -1 is NULL. */
  value(): string {
    const length = this.int(4)
    return length < 0 ? 'NULL' : quote(this.bytes(length).toString('utf8'))
  }
}

const quote = (text: string): string => `'${text}'`
const times = (count: number, one: () => string): string[] => Array.from({ length: count }, one)

/** Fields that differ from server to server and from run to run. */
const UNSTABLE_ERROR_FIELDS = new Set(['F', 'L', 'R', 'V'])

function errorFields(body: Buffer): Record<string, string> {
  const fields = new Fields(body)
  const result: Record<string, string> = {}
  while (fields.left > 1) {
    const type = fields.bytes(1).toString('latin1')
    result[type] = fields.string()
  }
  return result
}

function errorLine(name: string, body: Buffer): string {
  const shown = Object.entries(errorFields(body)).filter(([type]) => !UNSTABLE_ERROR_FIELDS.has(type))
  return [name, ...shown.map(([type, text]) => `${type}=${quote(text)}`)].join(' ')
}

type Describe = (fields: Fields, body: Buffer) => string

const MESSAGES: Record<string, Describe> = {
  R: (fields) => {
    const kind = fields.int(4)
    return AUTHENTICATION[kind] ?? `Authentication ${kind}`
  },
  Z: (fields) => `ReadyForQuery ${fields.bytes(1).toString('latin1')}`,
  C: (fields) => `CommandComplete ${quote(fields.string())}`,
  S: (fields) => `ParameterStatus ${quote(fields.string())} ${quote(fields.string())}`,
  K: () => 'BackendKeyData',
  D: (fields) => ['DataRow', ...times(fields.int(2), () => fields.value())].join(' '),
  T: (fields) => ['RowDescription', ...columns(fields)].join(' '),
  t: (fields) => ['ParameterDescription', ...times(fields.int(2), () => String(fields.int(4)))].join(' '),
  E: (_, body) => errorLine('ErrorResponse', body),
  N: (_, body) => errorLine('NoticeResponse', body),
  A: (fields) => {
    fields.int(4) // the sender's process, different in every run
    return `NotificationResponse ${quote(fields.string())} ${quote(fields.string())}`
  },
  G: () => 'CopyInResponse',
  H: () => 'CopyOutResponse',
  W: () => 'CopyBothResponse',
  d: (_, body) => `CopyData ${quote(body.toString('utf8').replace(/\n$/, ''))}`,
  V: (fields) => `FunctionCallResponse ${fields.value()}`,
  v: (fields) => ['NegotiateProtocolVersion', fields.int(4), ...times(fields.int(4), () => quote(fields.string()))].join(' '),
}

function columns(fields: Fields): string[] {
  return times(fields.int(2), () => {
    const name = fields.string()
    fields.bytes(6) // table and column: they differ between databases
    const type = fields.int(4)
    fields.bytes(8) // size, modifier, format
    return `${quote(name)}:${type}`
  })
}

/** A message from the server. */
export class ServerMessage {
  readonly type: string
  readonly body: Buffer
  constructor(type: string, body: Buffer) {
    this.type = type
    this.body = body
  }

  /** ErrorResponse and NoticeResponse: the fields by their letter (C = SQLSTATE, M = message). */
  get fields(): Record<string, string> {
    return errorFields(this.body)
  }

  /** `ReadyForQuery I`, `DataRow '5'`, `ErrorResponse S='ERROR' C='42601' ...` (without file, line, routine). */
  toString(): string {
    const empty = EMPTY[this.type]
    if (empty) return empty
    return MESSAGES[this.type]?.(new Fields(this.body), this.body) ?? `Unknown ${this.type} ${this.body.toString('hex')}`
  }
}
