// Where messages begin and end: a type byte, then a length that counts itself (PostgreSQL protocol, "Overview").
import { HEADER_LENGTH } from './codes.ts'

/** An unsigned 32-bit length, big endian, without a DataView. */
export function lengthAt(buffer: Buffer, position: number): number {
  return (
    (buffer[position] as number) * 0x1000000 +
    (((buffer[position + 1] as number) << 16) | ((buffer[position + 2] as number) << 8) | (buffer[position + 3] as number))
  )
}

/**
 * The end of the whole messages of `type` that follow one another from `position` on, each with a length up to `longest`. Rows and COPY
 * data come by the thousand and change nothing, so they are not looked at one by one.
 */
export function endOfRun(buffer: Buffer, position: number, type: number, longest = 0x7fffffff): number {
  const end = buffer.length
  const last = end - HEADER_LENGTH
  let at = position
  while (at <= last && buffer[at] === type) {
    const length = lengthAt(buffer, at + 1)
    if (length < 4 || length > longest || length >= end - at) break
    at += length + 1
  }
  return at
}
