// One byte stream on Bun's native sockets, plain or under TLS.
import { systemClock, type Timer } from '../clock.ts'
import { addressText, codeOf, hostPort, transportError } from './address.ts'
import { clientTls, serverTls } from './bun_tls.ts'
import type { BunSocket, BunSocketHandlers } from './bun_types.ts'
import { EarlyEvents } from './early_events.ts'
import { SendQueue } from './send_queue.ts'
import { acceptsPeer, strictness } from './tls.ts'
import {
  type Address,
  type PeerCertificate,
  type TlsClientOptions,
  type TlsOptions,
  type Transport,
  type TransportEnd,
  TransportError,
  type TransportHandler,
} from './transport.ts'

/** Queued bytes from which on `write` answers false. */
const HIGH_WATER_BYTES = 16 * 1024
const DEFAULT_LINGER_MS = 5000

export type Socket = BunSocket<BunTransport>

interface Handshake {
  readonly role: TlsOptions['role']
  /** How strictly the peer's certificate is judged. */
  readonly verify: TlsClientOptions['verify']
  readonly resolve: () => void
  readonly reject: (error: TransportError) => void
}

export class BunTransport implements Transport {
  secure = false
  readonly remoteAddress: string
  handler: TransportHandler
  /** The socket whose events count: after the upgrade the raw one is deaf. */
  socket: Socket
  #queue: SendQueue | undefined
  #aboveHighWater = false
  #state: 'open' | 'ending' | 'destroyed' | 'closed' = 'open'
  #halfClosed = false
  #failure: Error | undefined
  #linger: Timer | undefined
  #handshake: Handshake | undefined
  #peerVerified = false

  constructor(socket: Socket, address: Address | undefined) {
    this.socket = socket
    this.handler = new EarlyEvents()
    this.remoteAddress = address?.kind === 'unix' ? addressText(address) : hostPort(socket.remoteAddress, socket.remotePort)
    // Bun has set TCP_NODELAY
    if (address?.kind !== 'unix') socket.setKeepAlive(true, 0)
  }

  setHandler(handler: TransportHandler): void {
    const previous = this.handler
    this.handler = handler
    if (previous instanceof EarlyEvents) previous.replay(() => this.handler)
  }

  write(bytes: Uint8Array): boolean {
    if (this.#state !== 'open') return true
    const queue = this.#queue
    if (queue !== undefined && queue.length > 0) return this.#enqueue(queue, bytes, 0)
    const taken = this.socket.write(bytes)
    if (taken === bytes.length || taken < 0) return true
    this.#queue = queue ?? new SendQueue()
    return this.#enqueue(this.#queue, bytes, taken)
  }

  #enqueue(queue: SendQueue, bytes: Uint8Array, offset: number): boolean {
    queue.append(bytes, offset)
    if (queue.length < HIGH_WATER_BYTES) return true
    this.#aboveHighWater = true
    return false
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  startTls(options: TlsOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      try {
        if (this.#state !== 'open') throw new TransportError('EPIPE', 'TLS: the connection is closed')
        if (this.#queue !== undefined && this.#queue.length > 0) throw new TransportError('EBUSY', 'TLS: bytes are still to be sent')
        const tls = options.role === 'client' ? clientTls(options.client) : serverTls(options.server)
        this.#handshake = { role: options.role, verify: strictness(options), resolve, reject }
        this.socket = this.socket.upgradeTLS({ data: this, isServer: options.role === 'server', tls, socket: tlsEvents })[1]
      } catch (error) {
        this.#handshake = undefined
        this.destroy()
        reject(transportError(error, 'TLS', 'ERR_TLS'))
      }
    })
  }

  handshaken(success: boolean, error: Error | null): void {
    const handshake = this.#handshake
    if (handshake === undefined) return
    const code = error === null ? '' : codeOf(error) || 'ERR_TLS'
    const accepted = acceptsPeer(handshake.verify, code === '' && !success ? 'ERR_TLS' : code)
    if (accepted && this.#state === 'open') {
      this.#handshake = undefined
      this.secure = true
      this.#peerVerified = handshake.role === 'client' || error === null
      handshake.resolve()
      return
    }
    this.#failure ??= error ?? new TransportError('ERR_TLS', 'TLS: the handshake failed')
    this.socket.terminate()
  }

  peerCertificate(): PeerCertificate | undefined {
    // a client's certificate that no authority signed is as good as none
    if (!this.secure || !this.#peerVerified || this.#state === 'closed') return undefined
    const certificate = this.socket.getPeerX509Certificate()
    return certificate && { raw: certificate.raw, subject: certificate.subject, fingerprint256: certificate.fingerprint256 }
  }

  end(lingerMs = DEFAULT_LINGER_MS): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#linger = systemClock.after(lingerMs, () => this.destroy())
    // the peer's end is only seen by reading up to it
    this.socket.resume()
    if (this.#queue === undefined || this.#queue.length === 0) this.#halfClose()
  }

  close(): void {
    if (this.#state !== 'open') return
    if (this.#queue !== undefined && this.#queue.length > 0) return this.end()
    this.#state = 'ending'
    this.socket.close()
  }

  #halfClose(): void {
    this.#halfClosed = true
    this.socket.shutdown()
  }

  destroy(): void {
    if (this.#state === 'closed' || this.#state === 'destroyed') return
    this.#state = 'destroyed'
    this.#queue = undefined
    this.socket.terminate()
  }

  received(chunk: Buffer): void {
    if (this.#state !== 'destroyed') this.handler.data(chunk)
  }

  writable(): void {
    const queue = this.#queue
    if (queue === undefined || queue.length === 0) return
    while (queue.length > 0) {
      const head = queue.head()
      const taken = this.socket.write(head)
      if (taken < 0) {
        queue.clear()
        return
      }
      queue.consume(taken)
      if (taken < head.length) return
    }
    if (this.#state === 'ending' && !this.#halfClosed) this.#halfClose()
    if (!this.#aboveHighWater) return
    this.#aboveHighWater = false
    if (this.#state === 'open') this.handler.drain()
  }

  peerEnded(): void {
    if (this.#state !== 'destroyed') this.handler.end()
  }

  failed(error: Error): void {
    this.#failure ??= error
    // no code: thrown by a handler, which must not leave a half-alive connection behind
    if (codeOf(error) !== '') return
    this.destroy()
    queueMicrotask(() => {
      throw error
    })
  }

  closed(error: Error | undefined): void {
    if (this.#state === 'closed') return
    const end = this.#describeEnd(error)
    this.#state = 'closed'
    this.#queue = undefined
    this.#linger?.cancel()
    const handshake = this.#handshake
    this.#handshake = undefined
    handshake?.reject(transportError(this.#failure ?? error ?? new Error(end.message), 'TLS handshake', 'ECONNRESET'))
    if (end.kind === 'local') queueMicrotask(() => this.handler.close(end))
    else this.handler.close(end)
  }

  #describeEnd(error: Error | undefined): TransportEnd {
    if (this.#state === 'destroyed') return { kind: 'local', code: '', message: 'closed by us' }
    const failure = this.#failure ?? error
    if (failure !== undefined) return { kind: 'error', code: codeOf(failure), message: failure.message }
    return this.#state === 'ending'
      ? { kind: 'local', code: '', message: 'closed by us' }
      : { kind: 'remote', code: '', message: 'closed by the peer' }
  }
}

/** For all sockets. A raw socket under TLS still fires: only the transport's present socket is heard. */
export const events = {
  data(socket: Socket, chunk: Buffer): void {
    const transport = socket.data
    if (transport.socket === socket) transport.received(chunk)
  },
  drain(socket: Socket): void {
    const transport = socket.data
    if (transport.socket === socket) transport.writable()
  },
  end(socket: Socket): void {
    const transport = socket.data
    if (transport.socket === socket) transport.peerEnded()
  },
  close(socket: Socket, error?: Error): void {
    const transport = socket.data
    if (transport?.socket === socket) transport.closed(error)
  },
  error(socket: Socket, error: Error): void {
    const transport = socket.data
    if (transport?.socket === socket) transport.failed(error)
  },
} satisfies BunSocketHandlers<BunTransport>

const tlsEvents: BunSocketHandlers<BunTransport> = {
  ...events,
  handshake(socket, success, error) {
    socket.data.handshaken(success, error)
  },
}
