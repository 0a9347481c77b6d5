// What a model of a server has received and not carried out yet, message by message.

export class MessageFeed {
  #bytes = Buffer.alloc(0)

  receive(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
  }

  /** The next whole message: its type and the texts of its body; undefined when it has not come. */
  next(): readonly [type: string, texts: readonly string[]] | undefined {
    if (this.#bytes.length < 5) return undefined
    const end = 1 + this.#bytes.readInt32BE(1)
    if (this.#bytes.length < end) return undefined
    const message = this.#bytes.subarray(0, end)
    this.#bytes = this.#bytes.subarray(end)
    return [message.toString('latin1', 0, 1), message.toString('latin1', 5).split('\0')]
  }
}
