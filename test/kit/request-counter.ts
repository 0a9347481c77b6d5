// Finds the request lines in what an HTTP/1.1 client sends on one connection.

const HEADERS_END = '\r\n\r\n'

/** Feed it the bytes as they come; it skips bodies by their length or chunks. */
export class RequestCounter {
  #text = ''
  #body = 0
  #chunked = false

  /** The request lines (`GET /v1/path`) whose headers ended in `bytes`. */
  feed(bytes: Buffer): string[] {
    this.#text += bytes.toString('latin1')
    const lines: string[] = []
    for (;;) {
      if (!this.#skipBody()) return lines
      const end = this.#text.indexOf(HEADERS_END)
      if (end < 0) return lines
      const head = this.#text.slice(0, end)
      this.#text = this.#text.slice(end + HEADERS_END.length)
      this.#body = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
      this.#chunked = /^transfer-encoding:.*chunked/im.test(head)
      lines.push(head.slice(0, head.indexOf(' HTTP/')))
    }
  }

  /** True when the body before the next request is behind us. */
  #skipBody(): boolean {
    if (this.#chunked) {
      const size = /^([0-9a-f]+)[^\r]*\r\n/i.exec(this.#text)
      if (!size) return false
      const length = Number.parseInt(size[1] ?? '', 16)
      const whole = size[0].length + length + 2
      if (this.#text.length < whole) return false
      this.#text = this.#text.slice(whole)
      if (length === 0) this.#chunked = false
      return this.#skipBody()
    }
    const skipped = Math.min(this.#body, this.#text.length)
    this.#body -= skipped
    this.#text = this.#text.slice(skipped)
    return this.#body === 0
  }
}
