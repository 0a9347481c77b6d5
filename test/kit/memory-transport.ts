// Transports without sockets: two ends in memory, and a network of scripted servers.
import {
  type Address,
  type Listener,
  type Network,
  type TlsOptions,
  type Transport,
  type TransportEnd,
  TransportError,
  type TransportHandler,
} from '../../src/net/transport.ts'

const SILENT: TransportHandler = { data() {}, drain() {}, end() {}, close() {} }

/** Gives every event its own turn of the event loop, as sockets do. */
const later = (task: () => void): void => {
  setImmediate(task)
}

/** One end. What is written arrives at `peer` in a later turn, whole or cut by `pieceSize`. */
export class MemoryTransport implements Transport {
  readonly remoteAddress: string
  secure = false
  peer!: MemoryTransport
  /** Cuts what arrives at the peer into pieces of this many bytes. */
  pieceSize = Number.POSITIVE_INFINITY
  /** Set to make startTls reject with it. */
  tlsFailure: TransportError | undefined
  /** Set to make startTls wait for ever. */
  tlsHangs = false
  /** What startTls was asked for. */
  tlsOptions: TlsOptions | undefined
  closed: TransportEnd | undefined
  /** All bytes that were written here. */
  readonly written: Buffer[] = []
  #handler: TransportHandler = SILENT
  #paused = false
  #queue: Buffer[] = []
  #ended = false

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed || this.#ended) return true
    const copy = Buffer.from(bytes)
    this.written.push(copy)
    for (let start = 0; start < copy.length; start += this.pieceSize) {
      const piece = copy.subarray(start, Math.min(copy.length, start + this.pieceSize))
      later(() => this.peer.#arrive(piece))
    }
    return true
  }

  #arrive(piece: Buffer): void {
    if (this.closed) return
    if (this.#paused) this.#queue.push(piece)
    else this.#handler.data(piece)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    for (const piece of this.#queue.splice(0)) later(() => this.#arrive(piece))
  }

  setHandler(handler: TransportHandler): void {
    this.#handler = handler
  }

  async startTls(options: TlsOptions): Promise<void> {
    this.tlsOptions = options
    if (this.tlsHangs) await new Promise(() => {})
    if (this.closed) throw new TransportError('ECONNRESET', 'closed')
    if (this.tlsFailure) {
      this.destroy()
      throw this.tlsFailure
    }
    this.secure = true
  }

  peerCertificate(): undefined {
    return undefined
  }

  end(): void {
    if (this.#ended || this.closed) return
    this.#ended = true
    later(() => {
      if (this.peer.closed) return
      this.peer.#handler.end()
      if (this.peer.#ended) {
        this.#close('local')
        this.peer.#close('remote')
      }
    })
  }

  close(): void {
    this.end()
  }

  destroy(): void {
    later(() => {
      this.#close('local')
      later(() => this.peer.#close('remote'))
    })
  }

  /** As if the system had reported an error. */
  breakWith(code: string): void {
    later(() => this.#close('error', code))
  }

  #close(kind: TransportEnd['kind'], code = ''): void {
    if (this.closed) return
    this.closed = { kind, code, message: code }
    this.#handler.close(this.closed)
  }
}

/** [ours, the peer's] */
export function memoryPair(remoteAddress = 'test:5432'): [MemoryTransport, MemoryTransport] {
  const ours = new MemoryTransport(remoteAddress)
  const theirs = new MemoryTransport('client')
  ours.peer = theirs
  theirs.peer = ours
  return [ours, theirs]
}

/** A network whose servers are functions: each connection gets its far end, and may prepare the near one. */
export class MemoryNetwork implements Network {
  readonly connections: MemoryTransport[] = []
  readonly #accept: (far: MemoryTransport, near: MemoryTransport, address: Address) => void
  failure: TransportError | undefined
  hangs = false

  constructor(accept: (far: MemoryTransport, near: MemoryTransport, address: Address) => void) {
    this.#accept = accept
  }

  async connect(address: Address, signal?: AbortSignal): Promise<Transport> {
    if (this.failure) throw this.failure
    if (this.hangs) {
      await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
      throw new TransportError('ECONNABORTED', 'abandoned')
    }
    const [near, far] = memoryPair(address.kind === 'unix' ? `unix:${address.path}` : `${address.host}:${address.port}`)
    this.connections.push(near)
    this.#accept(far, near, address)
    return near
  }

  listen(): Promise<Listener> {
    return Promise.reject(new TransportError('EACCES', 'a memory network does not listen'))
  }
}
