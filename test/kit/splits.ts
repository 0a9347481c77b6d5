// The ways in which the same bytes may arrive.

/** A copy whose byteOffset is not zero, as chunks of a socket have. */
export function offsetCopy(bytes: Uint8Array): Buffer {
  const room = Buffer.alloc(bytes.length + 24, 0xee)
  room.set(bytes, 11)
  return room.subarray(11, 11 + bytes.length)
}

/** The bytes whole, byte by byte, and at every two-way split; each chunk at a non-zero byteOffset. */
export function* arrivals(bytes: Buffer): Generator<Buffer[]> {
  yield [offsetCopy(bytes)]
  yield [...bytes].map((byte) => offsetCopy(Buffer.from([byte])))
  for (let cut = 1; cut < bytes.length; cut++) yield [offsetCopy(bytes.subarray(0, cut)), offsetCopy(bytes.subarray(cut))]
}
