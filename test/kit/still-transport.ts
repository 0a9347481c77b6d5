// A transport that does nothing by itself: a test reads what was written, and says when it is full, drained or closed.
import type { PeerCertificate, Transport, TransportHandler } from '../../src/net/transport.ts'
import { ServerMessage } from './server-message.ts'

export class StillTransport implements Transport {
  readonly remoteAddress = 'test'
  readonly secure = false
  /** `write` answers false. */
  full = false
  paused = false
  /** `end` or `destroy` was called. */
  ended = false
  /** Every write since the last `take`. */
  writes: Buffer[] = []
  handler: TransportHandler = { data() {}, drain() {}, end() {}, close() {} }

  write(bytes: Uint8Array): boolean {
    if (!this.ended) this.writes.push(Buffer.from(bytes))
    return !this.full
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  setHandler(handler: TransportHandler): void {
    this.handler = handler
  }

  startTls(): Promise<void> {
    return Promise.reject(new Error('no TLS here'))
  }

  peerCertificate(): PeerCertificate | undefined {
    return undefined
  }

  end(): void {
    this.ended = true
  }

  close(): void {
    this.ended = true
  }

  destroy(): void {
    this.ended = true
  }

  /** The other side takes bytes again. */
  drained(): void {
    this.full = false
    this.handler.drain()
  }

  /** The other side is gone. */
  lost(): void {
    this.handler.end()
    this.handler.close({ kind: 'remote', code: '', message: '' })
  }

  /** All bytes that were written since the last call. */
  take(): Buffer {
    const bytes = Buffer.concat(this.writes)
    this.writes = []
    return bytes
  }

  /** The messages that were written since the last call: their type letters, as `PBES`. */
  letters(): string {
    return frames(this.take())
      .map(({ type }) => type)
      .join('')
  }

  /** The server's messages that were written since the last call, as trace lines. */
  lines(): string[] {
    return frames(this.take()).map(String)
  }
}

function frames(bytes: Buffer): ServerMessage[] {
  const found: ServerMessage[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    found.push(new ServerMessage(bytes.toString('latin1', at, at + 1), bytes.subarray(at + 5, end)))
    at = end
  }
  return found
}
