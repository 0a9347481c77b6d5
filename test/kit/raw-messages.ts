// The PostgreSQL messages that raw tests send, as bytes (manual: "Message Formats").

/** A message with a type letter and the length in front of `body`. */
export function message(type: string, ...body: (Buffer | string | number)[]): Buffer {
  const content = Buffer.concat(body.map(part))
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeInt32BE(content.length + 4, 1)
  return Buffer.concat([header, content])
}

/** Strings get their final zero; numbers are Int16. */
function part(value: Buffer | string | number): Buffer {
  if (typeof value === 'string') return Buffer.from(`${value}\0`)
  return typeof value === 'number' ? int16(value) : value
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A packet without a type letter. */
export function packet(code: number, ...body: (Buffer | string)[]): Buffer {
  const content = Buffer.concat([int32(code), ...body.map(part)])
  return Buffer.concat([int32(content.length + 4), content])
}

export const PROTOCOL_3_0 = 3 << 16
export const PROTOCOL_3_2 = (3 << 16) | 2

export const sslRequest = (): Buffer => packet(80877103)
export const gssRequest = (): Buffer => packet(80877104)
export const cancelRequest = (pid: number, key: Buffer): Buffer => packet(80877102, int32(pid), key)
export const startup = (parameters: Record<string, string>, version = PROTOCOL_3_0): Buffer =>
  packet(version, ...Object.entries(parameters).flat(), Buffer.from([0]))

export const password = (text: string): Buffer => message('p', text)
export const query = (sql: string): Buffer => message('Q', sql)
export const parse = (name: string, sql: string, types: readonly number[] = []): Buffer =>
  message('P', name, sql, types.length, Buffer.concat(types.map(int32)))
/** All parameters and results in text format; null = NULL. */
export const bind = (portal: string, statement: string, values: readonly (string | null)[] = []): Buffer =>
  message('B', portal, statement, 0, values.length, Buffer.concat(values.map(bindValue)), 0)
export const describeStatement = (name: string): Buffer => message('D', Buffer.from('S'), name)
export const describePortal = (name: string): Buffer => message('D', Buffer.from('P'), name)
export const execute = (portal = '', rows = 0): Buffer => message('E', portal, int32(rows))
export const closeStatement = (name: string): Buffer => message('C', Buffer.from('S'), name)
export const closePortal = (name: string): Buffer => message('C', Buffer.from('P'), name)
export const sync = (): Buffer => message('S')
export const flush = (): Buffer => message('H')
export const terminate = (): Buffer => message('X')
export const copyData = (text: string | Buffer): Buffer => message('d', Buffer.from(text))
export const copyDone = (): Buffer => message('c')
export const copyFail = (reason: string): Buffer => message('f', reason)
/** A fast-path call with text arguments. */
export const functionCall = (oid: number, values: readonly (string | null)[]): Buffer =>
  message('F', int32(oid), 0, values.length, Buffer.concat(values.map(bindValue)), 0)

function bindValue(value: string | null): Buffer {
  if (value === null) return int32(-1)
  const bytes = Buffer.from(value)
  return Buffer.concat([int32(bytes.length), bytes])
}
