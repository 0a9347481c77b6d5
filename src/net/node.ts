// The network on node:net and node:tls, for runtimes other than Bun (and for comparison on Bun).

import { X509Certificate } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { createConnection, createServer, isIP, type ListenOptions, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { systemClock, type Timer } from '../clock.ts'
import { addressText, codeOf, hostPort, transportError } from './address.ts'
import { EarlyEvents } from './early_events.ts'
import { removeStaleSocket, withMode } from './socket_file.ts'
import { checkClientOptions } from './tls.ts'
import {
  type Address,
  type Network,
  type PeerCertificate,
  type TlsClientOptions,
  type TlsOptions,
  type TlsServerOptions,
  type Transport,
  type TransportEnd,
  TransportError,
  type TransportHandler,
} from './transport.ts'

/** Queued bytes from which on `write` answers false. */
const HIGH_WATER_BYTES = 16 * 1024
const DEFAULT_LINGER_MS = 5000

class NodeTransport implements Transport {
  secure = false
  readonly remoteAddress: string
  #handler: TransportHandler = new EarlyEvents()
  #socket: Socket
  #aboveHighWater = false
  #state: 'open' | 'ending' | 'destroyed' | 'closed' = 'open'
  #failure: Error | undefined
  #linger: Timer | undefined
  #peerVerified = false
  #paused = false
  #handshaking = false
  #rejectHandshake: ((error: TransportError) => void) | undefined

  constructor(socket: Socket, address: Address) {
    this.#socket = socket
    this.remoteAddress = address.kind === 'unix' ? addressText(address) : hostPort(socket.remoteAddress, socket.remotePort)
    if (address.kind === 'tcp') {
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 0)
    }
    this.#listenTo(socket)
  }

  #listenTo(socket: Socket): void {
    const current = () => this.#socket === socket && !this.#handshaking
    socket.on('data', (chunk: Buffer) => {
      if (current() && this.#state !== 'destroyed') this.#handler.data(chunk)
    })
    socket.on('drain', () => {
      if (current()) this.#drained()
    })
    socket.on('end', () => {
      if (current() && this.#state !== 'destroyed') this.#handler.end()
    })
    socket.on('error', (error: Error) => {
      this.#failure ??= error
    })
    socket.on('close', () => {
      if (this.#socket === socket) this.#closed()
    })
  }

  #drained(): void {
    if (!this.#aboveHighWater) return
    this.#aboveHighWater = false
    if (this.#state === 'open') this.#handler.drain()
  }

  setHandler(handler: TransportHandler): void {
    const previous = this.#handler
    this.#handler = handler
    if (previous instanceof EarlyEvents) previous.replay(() => this.#handler)
  }

  write(bytes: Uint8Array): boolean {
    if (this.#state !== 'open') return true
    this.#socket.write(bytes)
    if (this.#socket.writableLength < HIGH_WATER_BYTES) return true
    this.#aboveHighWater = true
    return false
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  startTls(options: TlsOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#rejectHandshake = reject
      try {
        if (this.#state !== 'open') throw new TransportError('EPIPE', 'TLS: the connection is closed')
        const done = (tls: TLSSocket) => {
          this.#rejectHandshake = undefined
          this.secure = true
          this.#handshaking = false
          this.#peerVerified = options.role === 'client' || tls.authorized
          if (this.#paused) tls.pause()
          resolve()
        }
        if (options.role === 'client') this.#upgradeClient(options.client, done)
        else this.#upgradeServer(options.server, done)
      } catch (error) {
        this.#rejectHandshake = undefined
        this.destroy()
        reject(transportError(error, 'TLS', 'ERR_TLS'))
      }
    })
  }

  #upgradeClient(options: TlsClientOptions, done: (tls: TLSSocket) => void): void {
    checkClientOptions(options)
    const raw = this.#release()
    const tls = connectTls({
      socket: raw,
      host: options.serverName,
      // SNI is for names only (RFC 6066 3)
      ...(isIP(options.serverName) === 0 && options.serverName !== '' && { servername: options.serverName }),
      rejectUnauthorized: options.verify !== 'none',
      ...(options.verify !== 'full' && { checkServerIdentity: () => undefined }),
      ...(options.ca !== undefined && { ca: options.ca }),
      ...(options.cert !== undefined && { cert: options.cert }),
      ...(options.key !== undefined && { key: options.key.reveal() }),
      ...(options.alpn !== undefined && options.alpn.length > 0 && { ALPNProtocols: [...options.alpn] }),
    })
    this.#adopt(tls, raw)
    tls.once('secureConnect', () => done(tls))
  }

  #upgradeServer(options: TlsServerOptions, done: (tls: TLSSocket) => void): void {
    const raw = this.#release()
    // Deno does not notice a peer that goes away during the handshake when it may stay half-open
    raw.allowHalfOpen = false
    // a server that never listens: only it judges client certificates, a bare TLSSocket does not
    const server = createTlsServer({
      cert: options.cert,
      key: options.key.reveal(),
      requestCert: options.clientCertificate !== 'none',
      rejectUnauthorized: options.clientCertificate === 'require',
      ...(options.ca !== undefined && { ca: options.ca }),
      ALPNProtocols: ['postgresql'],
      allowHalfOpen: true,
    })
    server.once('tlsClientError', (error: Error) => {
      this.#failure ??= error
      raw.destroy()
    })
    server.once('secureConnection', (tls: TLSSocket) => {
      raw.allowHalfOpen = true
      tls.allowHalfOpen = true
      this.#adopt(tls, raw)
      done(tls)
    })
    server.emit('connection', raw)
  }

  /** From now on what the raw socket says is ciphertext. */
  #release(): Socket {
    this.#handshaking = true
    return this.#socket
  }

  #adopt(tls: TLSSocket, raw: Socket): void {
    this.#socket = tls
    this.#listenTo(tls)
    raw.once('close', () => tls.destroy())
    // Deno closes only the TLS stream when a certificate is refused
    tls.once('close', () => raw.destroy())
  }

  peerCertificate(): PeerCertificate | undefined {
    if (!this.secure || !this.#peerVerified || this.#state === 'closed') return undefined
    const raw = (this.#socket as TLSSocket).getPeerCertificate()?.raw
    if (raw === undefined) return undefined
    const certificate = new X509Certificate(raw)
    return { raw, subject: certificate.subject, fingerprint256: certificate.fingerprint256 }
  }

  end(lingerMs = DEFAULT_LINGER_MS): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#linger = systemClock.after(lingerMs, () => this.destroy())
    this.#socket.end()
    // the peer's end is only seen by reading up to it
    this.#socket.resume()
  }

  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#linger = systemClock.after(DEFAULT_LINGER_MS, () => this.destroy())
    this.#socket.destroySoon()
  }

  destroy(): void {
    if (this.#state === 'closed' || this.#state === 'destroyed') return
    this.#state = 'destroyed'
    this.#socket.destroy()
  }

  #closed(): void {
    if (this.#state === 'closed') return
    const end = this.#describeEnd()
    this.#state = 'closed'
    this.#linger?.cancel()
    this.#rejectHandshake?.(transportError(this.#failure ?? new Error(end.message), 'TLS handshake', 'ECONNRESET'))
    this.#handler.close(end)
  }

  #describeEnd(): TransportEnd {
    if (this.#state === 'destroyed') return { kind: 'local', code: '', message: 'closed by us' }
    const failure = this.#failure
    if (failure !== undefined) return { kind: 'error', code: codeOf(failure), message: failure.message }
    return this.#state === 'ending'
      ? { kind: 'local', code: '', message: 'closed by us' }
      : { kind: 'remote', code: '', message: 'closed by the peer' }
  }
}

/** The network of any runtime with Node's modules. */
export function nodeNetwork(): Network {
  return {
    connect(address, signal) {
      return new Promise((resolve, reject) => {
        const where = `connect to ${addressText(address)}`
        if (signal?.aborted) return reject(new TransportError('ABORT_ERR', `${where}: abandoned`))
        const target = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
        const socket = createConnection({ ...target, allowHalfOpen: true })
        const failed = (error: unknown) => {
          signal?.removeEventListener('abort', abandoned)
          reject(transportError(error, where, 'ECONNFAILED'))
        }
        const abandoned = () => {
          socket.destroy()
          reject(new TransportError('ABORT_ERR', `${where}: abandoned`))
        }
        signal?.addEventListener('abort', abandoned, { once: true })
        socket.once('error', failed)
        socket.once('connect', () => {
          signal?.removeEventListener('abort', abandoned)
          socket.removeListener('error', failed)
          resolve(new NodeTransport(socket, address))
        })
      })
    },

    async listen(address, accept, mode) {
      const server = createServer({ allowHalfOpen: true }, (socket) => accept(new NodeTransport(socket, address)))
      const where = `listen on ${addressText(address)}`
      const options: ListenOptions = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
      if (address.kind === 'unix') await removeStaleSocket(address.path)
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error) => reject(transportError(error, where, 'ELISTEN')))
        server.once('listening', resolve)
        withMode(mode, () => server.listen(options))
      })
      server.removeAllListeners('error')
      if (address.kind === 'unix' && mode !== undefined) chmodSync(address.path, mode)
      const bound = server.address()
      const real = address.kind === 'tcp' && typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address
      return { address: real, close: () => void server.close() }
    },
  }
}
