// A TCP relay in front of PostgreSQL or Vault that misbehaves on demand and counts what passes.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { RequestCounter } from './request-counter.ts'

type Direction = 'to-server' | 'to-client'

interface WireTarget {
  host?: string
  port?: number
  /** A unix socket's path, in place of host and port. */
  path?: string
}

interface BadWireOptions {
  /** Write every byte on its own. */
  oneByte?: boolean
  /** Milliseconds that each chunk waits, in order. */
  delayMs?: number
  /** Count HTTP requests (plain text only). */
  http?: boolean
  /** Port to listen on; free unless given. */
  port?: number
}

/** One relayed connection. */
class WireConnection {
  readonly client: Socket
  readonly server: Socket
  readonly requests: RequestCounter | undefined
  /** Bytes read so far. */
  readonly bytes: Record<Direction, number> = { 'to-server': 0, 'to-client': 0 }
  /** Set by `loseNext`: the answer is cut, not delivered. */
  losing = false
  readonly #wire: BadWire
  readonly #queues: Record<Direction, Promise<void>> = { 'to-server': Promise.resolve(), 'to-client': Promise.resolve() }

  constructor(wire: BadWire, client: Socket, server: Socket, requests: RequestCounter | undefined) {
    this.#wire = wire
    this.client = client
    this.server = server
    this.requests = requests
    client.setNoDelay(true)
    server.setNoDelay(true)
    this.#relay('to-server', client, server)
    this.#relay('to-client', server, client)
    const forget = () => {
      if (client.destroyed && server.destroyed) wire.connections.delete(this)
    }
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => other.resetAndDestroy())
      socket.on('close', (failed) => {
        forget()
        // What is queued for the other side is still delivered after an orderly end.
        if (failed) other.destroy()
      })
    }
  }

  /** RST to both sides. */
  reset(): void {
    this.client.resetAndDestroy()
    this.server.resetAndDestroy()
  }

  /** FIN to the client (it can still send), as from a server that half-closes. */
  halfCloseClient(): void {
    this.client.end()
  }

  /** FIN to the server, which can still answer. */
  halfCloseServer(): void {
    this.server.end()
  }

  #relay(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      this.bytes[direction] += chunk.length
      if (direction === 'to-server') this.#count(chunk)
      else if (this.losing) return this.reset()
      from.pause() // one chunk at a time: memory stays bounded and order is kept
      this.#queues[direction] = this.#queues[direction].then(() => this.#deliver(direction, chunk, to)).then(() => void from.resume())
    })
    from.on('end', () => {
      this.#queues[direction] = this.#queues[direction].then(() => void to.end())
    })
  }

  #count(chunk: Buffer): void {
    for (const line of this.requests?.feed(chunk) ?? []) {
      this.#wire.requestLines.push(line)
      if (this.#wire.shouldLose(line)) this.losing = true
    }
  }

  async #deliver(direction: Direction, chunk: Buffer, to: Socket): Promise<void> {
    if (this.#wire.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#wire.delayMs))
    await this.#wire.released(direction)
    if (to.destroyed) return
    if (!this.#wire.oneByte) return write(to, chunk)
    for (let at = 0; at < chunk.length && !to.destroyed; at++) {
      await write(to, chunk.subarray(at, at + 1))
      // a turn of the event loop, so that the bytes leave in segments of their own
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

function write(to: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    to.write(bytes, () => resolve())
  })
}

/** The relay. Its properties may be changed at any time and hold from the next chunk on. */
export class BadWire {
  oneByte: boolean
  delayMs: number
  /** True: accepts and resets at once. */
  refuse = false
  readonly host = '127.0.0.1'
  port = 0
  /** Accepted connections since the start. */
  connectionCount = 0
  /** Open ones. */
  readonly connections = new Set<WireConnection>()
  /** HTTP: `GET /v1/...` of each request since the start. */
  readonly requestLines: string[] = []
  #target: WireTarget
  readonly #http: boolean
  #server: Server | undefined
  #toLose: RegExp | undefined
  readonly #held: Record<Direction, { promise: Promise<void>; release: () => void } | undefined> = {
    'to-server': undefined,
    'to-client': undefined,
  }

  constructor(target: WireTarget, options: BadWireOptions) {
    this.#target = target
    this.oneByte = options.oneByte ?? false
    this.delayMs = options.delayMs ?? 0
    this.#http = options.http ?? false
    this.port = options.port ?? 0
  }

  get requestCount(): number {
    return this.requestLines.length
  }

  /** New connections go there. */
  setTarget(target: WireTarget): void {
    this.#target = target
  }

  /** Opens the port (again, the same one). */
  async listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, this.host, resolve)
    })
    const address = server.address()
    if (typeof address === 'object' && address) this.port = address.port
  }

  /** Closes the port: new connections are refused by the kernel. Open ones stay. */
  stopListening(): void {
    this.#server?.close()
    this.#server = undefined
  }

  /** Holds what comes in `direction` (both unless given) until `release`. Connections are still accepted. */
  hold(direction?: Direction): void {
    for (const each of direction ? [direction] : (['to-server', 'to-client'] as const)) {
      if (this.#held[each]) continue
      let release: () => void = () => undefined
      const promise = new Promise<void>((resolve) => {
        release = resolve
      })
      this.#held[each] = { promise, release }
    }
  }

  release(direction?: Direction): void {
    for (const each of direction ? [direction] : (['to-server', 'to-client'] as const)) {
      this.#held[each]?.release()
      this.#held[each] = undefined
    }
  }

  async released(direction: Direction): Promise<void> {
    for (let held = this.#held[direction]; held; held = this.#held[direction]) await held.promise
  }

  /** HTTP: the server gets the next request whose line matches, its answer is lost (RST). */
  loseNext(line: RegExp): void {
    this.#toLose = line
  }

  shouldLose(line: string): boolean {
    if (!this.#toLose?.test(line)) return false
    this.#toLose = undefined
    return true
  }

  /** RST on every open connection. */
  resetAll(): void {
    for (const connection of this.connections) connection.reset()
  }

  async stop(): Promise<void> {
    this.release()
    const server = this.#server
    this.stopListening()
    for (const connection of this.connections) {
      connection.client.destroy()
      connection.server.destroy()
    }
    if (server?.listening) await new Promise((resolve) => server.once('close', resolve))
  }

  #accept(client: Socket): void {
    this.connectionCount++
    if (this.refuse) {
      client.on('error', () => undefined)
      client.resetAndDestroy()
      return
    }
    const { path, host = '127.0.0.1', port = 0 } = this.#target
    const server = path ? connect({ path, allowHalfOpen: true }) : connect({ host, port, allowHalfOpen: true })
    this.connections.add(new WireConnection(this, client, server, this.#http ? new RequestCounter() : undefined))
  }
}

/** Starts a relay in front of `target`. */
export async function startBadWire(target: WireTarget, options: BadWireOptions = {}): Promise<BadWire> {
  const wire = new BadWire(target, options)
  await wire.listen()
  return wire
}
