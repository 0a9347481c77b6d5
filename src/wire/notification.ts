// NotificationResponse, and the tags and names of LISTEN.
import { HEADER_LENGTH } from './codes.ts'

/** Behind the header. */
const PROCESS_LENGTH = 4

/** The process id of who sent the NotificationResponse at `start`. */
export const senderOf = (buffer: Buffer, start: number): number => buffer.readUInt32BE(start + HEADER_LENGTH)

export function setSender(buffer: Buffer, start: number, processId: number): void {
  buffer.writeUInt32BE(processId, start + HEADER_LENGTH)
}

/** The channel of the NotificationResponse between `start` and `end`; '' when it is malformed. */
export function channelOf(buffer: Buffer, start: number, end: number): string {
  const from = start + HEADER_LENGTH + PROCESS_LENGTH
  const zero = buffer.indexOf(0, from)
  return zero < 0 || zero >= end ? '' : buffer.toString('utf8', from, zero)
}

/**
 * A channel's name in SQL. Other letters than ASCII are escaped: the connection may have any client_encoding, and a name is compared by
 * its bytes in the database.
 */
export function quotedChannel(name: string): string {
  const quoted = name.replaceAll('"', '""')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(name)) return `"${quoted}"`
  const escaped = [...quoted].map((letter) => {
    const code = letter.codePointAt(0) ?? 0
    if (letter === '\\') return '\\\\'
    return code < 0x80 ? letter : `\\+${code.toString(16).padStart(6, '0')}`
  })
  return `U&"${escaped.join('')}"`
}
