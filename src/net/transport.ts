// The contract of a byte stream between two peers; net/bun and net/node implement it.
import type { Secret } from '../secret.ts'

/** Why a transport ended. `error` carries the system's code (ECONNRESET, EPIPE, ...). */
export interface TransportEnd {
  readonly kind: 'remote' | 'local' | 'error'
  /** The system's error code or the TLS library's, or '' */
  readonly code: string
  /** Text for a log: never holds payload. */
  readonly message: string
}

/**
 * Receives a transport's events. One object at a time, replaced with `setHandler` (a session changes its handler as it
 * changes state). `close` comes exactly once and last; `end` (the peer half-closed) at most once and before it.
 */
export interface TransportHandler {
  /** Bytes as they came; the chunk belongs to the handler and is never reused by the transport. */
  data(chunk: Buffer): void
  /** What was queued has been given to the kernel: write again. */
  drain(): void
  /** The peer will send nothing more. */
  end(): void
  /** Both sides are closed. */
  close(end: TransportEnd): void
}

export interface TlsClientOptions {
  /** Sent as SNI and verified against the certificate when `verify` is `full`. */
  readonly serverName: string
  /** PEM text; undefined = the system's certificates. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: Secret
  /** none: any certificate; ca: chain only; full: chain and host name. */
  readonly verify: 'none' | 'ca' | 'full'
  /** Plain protocol names, e.g. ['postgresql']. */
  readonly alpn?: readonly string[]
}

export interface TlsServerOptions {
  readonly cert: string
  readonly key: Secret
  readonly ca?: string
  /** Ask for a client certificate; `require` refuses without one that the CA signed. */
  readonly clientCertificate: 'none' | 'request' | 'require'
}

export type TlsOptions =
  | { readonly role: 'client'; readonly client: TlsClientOptions }
  | { readonly role: 'server'; readonly server: TlsServerOptions }

export interface PeerCertificate {
  readonly raw: Uint8Array
  readonly subject: string
  readonly fingerprint256: string
}

export interface Transport {
  /** host:port of the peer, or `unix:` with the path; for logs. */
  readonly remoteAddress: string
  readonly secure: boolean
  /**
   * Takes all of `bytes`, which nobody may change afterwards: what the kernel does not take at once is kept, not copied. False = above the high-water mark: stop until `drain`. After close it takes and drops, answering true.
   */
  write(bytes: Uint8Array): boolean
  /** Stops `data` events (bytes stay in the kernel, at most one more chunk arrives). */
  pause(): void
  resume(): void
  setHandler(handler: TransportHandler): void
  /**
   * Upgrades in place and resolves when the handshake is done. No byte received before the call may be pending: the
   * caller checks that it consumed exactly the reply to SSLRequest (bytes before the handshake are never used after it).
   * Rejects with a TransportError; the transport is then closed.
   */
  startTls(options: TlsOptions): Promise<void>
  peerCertificate(): PeerCertificate | undefined
  /** Flushes what was written, then half-closes; forced down after `lingerMs` (default 5000). `close` event follows. */
  end(lingerMs?: number): void
  /** Flushes what was written, then closes both sides, if possible without waiting for the peer's end. `close` event follows. */
  close(): void
  /** Drops everything at once. `close` event follows (asynchronously). */
  destroy(): void
}

/** A failed connect or handshake. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface Listener {
  /** The real address: port 0 is resolved. */
  readonly address: Address
  /** Stops accepting; existing transports live on. */
  close(): void
}

export interface Network {
  /** Rejects with a TransportError (ECONNREFUSED, ETIMEDOUT, ENOTFOUND, ...). `signal` abandons the attempt. */
  connect(address: Address, signal?: AbortSignal): Promise<Transport>
  /** `accept` must call setHandler before it returns. Rejects with a TransportError (EADDRINUSE, EACCES, ...). `mode` for a unix socket, e.g. 0o600. */
  listen(address: Address, accept: (transport: Transport) => void, mode?: number): Promise<Listener>
}
