// The part of Bun that net/ uses, declared narrowly so that the same text type-checks under tsc and under deno check.

export interface BunTlsOptions {
  readonly serverName?: string
  readonly rejectUnauthorized?: boolean
  readonly requestCert?: boolean
  readonly ca?: string | readonly string[]
  readonly cert?: string
  readonly key?: string
  /** Wire format: each name after its length byte. A plain name is silently not sent. */
  readonly ALPNProtocols?: string
}

export interface BunSocket<Data> {
  data: Data
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: 'IPv4' | 'IPv6' | undefined
  /** Bytes taken (the rest is dropped), -1 when closed. */
  write(bytes: Uint8Array, offset?: number, length?: number): number
  /** Half-closes. */
  shutdown(): void
  /** Closes both directions; what the kernel holds is still sent. */
  close(): void
  /** Resets the connection. */
  terminate(): void
  pause(): void
  resume(): void
  setKeepAlive(on: boolean, initialDelayMs: number): boolean
  getPeerX509Certificate(): { readonly raw: Uint8Array; readonly subject: string; readonly fingerprint256: string } | undefined
  upgradeTLS(options: {
    readonly data: Data
    readonly tls: BunTlsOptions
    readonly isServer?: boolean
    readonly socket: BunSocketHandlers<Data>
  }): [raw: BunSocket<Data>, tls: BunSocket<Data>]
}

export interface BunSocketHandlers<Data> {
  open?(socket: BunSocket<Data>): void
  data?(socket: BunSocket<Data>, chunk: Buffer): void
  drain?(socket: BunSocket<Data>): void
  end?(socket: BunSocket<Data>): void
  close?(socket: BunSocket<Data>, error?: Error): void
  error?(socket: BunSocket<Data>, error: Error): void
  connectError?(socket: BunSocket<Data>, error: Error): void
  handshake?(socket: BunSocket<Data>, success: boolean, error: Error | null): void
}

export type BunEndpoint = { readonly hostname: string; readonly port: number } | { readonly unix: string }

export interface BunSocketListener {
  readonly port?: number
  readonly hostname?: string
  stop(closeActive?: boolean): void
}

export interface BunHttpServer {
  readonly port?: number
  readonly hostname?: string
  stop(closeActive?: boolean): Promise<void>
}

export interface BunRuntime {
  connect<Data>(
    options: BunEndpoint & { readonly data: Data; readonly allowHalfOpen: boolean; readonly socket: BunSocketHandlers<Data> },
  ): Promise<BunSocket<Data>>
  listen<Data>(
    options: BunEndpoint & { readonly data?: Data; readonly allowHalfOpen: boolean; readonly socket: BunSocketHandlers<Data> },
  ): BunSocketListener
  serve(options: {
    readonly hostname?: string
    readonly port: number
    readonly idleTimeout: number
    readonly maxRequestBodySize: number
    readonly development: boolean
    readonly reusePort: boolean
    fetch(request: Request): Response | Promise<Response>
    error(error: Error): Response
  }): BunHttpServer
}

/** Bun's global object; undefined on any other runtime. */
export const bunRuntime = (globalThis as unknown as { Bun?: BunRuntime }).Bun
