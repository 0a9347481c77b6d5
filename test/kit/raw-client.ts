// A PostgreSQL client for tests that sends what it is told, right or wrong, and shows what comes back.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { cancelRequest, int32, message, PROTOCOL_3_0, password, startup, terminate } from './raw-messages.ts'
import { ServerMessage } from './server-message.ts'

const WAIT_MS = 30_000

interface RawTarget {
  host?: string
  port?: number
  /** A unix socket's path, in place of host and port. */
  path?: string
}

export interface LoginOptions {
  user: string
  database: string
  password?: string
  /** More startup parameters. */
  parameters?: Record<string, string>
  version?: number
}

export class RawClient {
  readonly socket: Socket
  /** Every message so far, or since `forgetRead`. */
  readonly received: ServerMessage[] = []
  /** The server's half is closed. */
  ended = false
  /** The error that ended the connection (`ECONNRESET`), or ''. */
  errorCode = ''
  pid = 0
  key: Buffer = Buffer.alloc(0)
  readonly parameters: Record<string, string> = {}
  #read = 0
  #bytes: Buffer = Buffer.alloc(0)
  #raw = false
  #wake: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      if (!this.#raw) this.#frames()
      this.#wake?.()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.errorCode = error.code ?? error.message
    })
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => {
        this.ended = true
        this.#wake?.()
      })
    }
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  /** One write per byte, each in a turn of the event loop of its own. */
  async sendByteByByte(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at++) {
      this.socket.write(bytes.subarray(at, at + 1))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The next message. Rejects when the connection ended, or after 30 s. */
  async next(waitMs = WAIT_MS): Promise<ServerMessage> {
    await this.#until(() => this.#read < this.received.length, waitMs, 'a message')
    const next = this.received[this.#read++]
    if (!next) throw new Error(`the connection ended ${this.errorCode}`)
    return next
  }

  /** Lets go of the messages that were read: a client of a long run would keep them all. */
  forgetRead(): void {
    this.received.splice(0, this.#read)
    this.#read = 0
  }

  /** The messages up to and with the first of `type`; notices and ParameterStatus included. */
  async until(type: string, waitMs = WAIT_MS): Promise<ServerMessage[]> {
    const messages: ServerMessage[] = []
    for (;;) {
      const one = await this.next(waitMs)
      messages.push(one)
      if (one.type === type) return messages
    }
  }

  /** The trace lines up to ReadyForQuery. */
  async ready(waitMs = WAIT_MS): Promise<string[]> {
    return (await this.until('Z', waitMs)).map(String)
  }

  /** Sends `parts` and answers the trace lines up to ReadyForQuery. */
  ask(...parts: Buffer[]): Promise<string[]> {
    this.send(...parts)
    return this.ready()
  }

  /** The trace lines of everything up to the end of the connection. */
  async rest(waitMs = WAIT_MS): Promise<string[]> {
    await this.#until(() => this.ended, waitMs, 'the end')
    const left = this.received.slice(this.#read).map(String)
    this.#read = this.received.length
    return left
  }

  /** So many bytes outside the message stream: the answer to SSLRequest or GSSENCRequest. Call before they can arrive. */
  async rawBytes(count: number): Promise<Buffer> {
    this.#raw = true
    await this.#until(() => this.#bytes.length >= count || this.ended, WAIT_MS, `${count} bytes`)
    const bytes = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    this.#raw = false
    this.#frames()
    return bytes
  }

  /** The startup packet and the authentication that the server asks for, up to ReadyForQuery. Answers the trace. */
  async login(options: LoginOptions): Promise<string[]> {
    const { user, database, version = PROTOCOL_3_0, parameters = {} } = options
    this.send(startup({ user, database, ...parameters }, version))
    const lines: string[] = []
    let scram: ScramLogin | undefined
    for (;;) {
      const one = await this.next()
      lines.push(String(one))
      if (one.type === 'E' || one.type === 'Z') return lines
      if (one.type !== 'R') continue
      const kind = one.body.readInt32BE(0)
      const secret = options.password ?? ''
      if (kind === 3) this.send(password(secret))
      if (kind === 5) this.send(password(md5(user, secret, one.body.subarray(4, 8))))
      if (kind === 10) {
        scram = new ScramLogin(secret)
        this.send(scram.first())
      }
      if (kind === 11 && scram) this.send(scram.final(one.body.toString('utf8', 4)))
    }
  }

  terminate(): void {
    this.send(terminate())
    this.socket.end()
  }

  /** RST. */
  vanish(): void {
    this.socket.resetAndDestroy()
  }

  #frames(): void {
    while (this.#bytes.length >= 5) {
      const end = this.#bytes.readInt32BE(1) + 1
      if (this.#bytes.length < end) return
      const one = new ServerMessage(this.#bytes.toString('latin1', 0, 1), Buffer.from(this.#bytes.subarray(5, end)))
      this.#bytes = this.#bytes.subarray(end)
      this.received.push(one)
      this.#remember(one)
    }
  }

  #remember({ type, body }: ServerMessage): void {
    if (type === 'K') {
      this.pid = body.readInt32BE(0)
      this.key = body.subarray(4)
    } else if (type === 'S') {
      const [name = '', value = ''] = body.toString('utf8').split('\0')
      this.parameters[name] = value
    }
  }

  async #until(done: () => boolean, waitMs: number, what: string): Promise<void> {
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#wake?.()
    }, waitMs)
    try {
      while (!done()) {
        if (this.ended) throw new Error(`the connection ended ${this.errorCode} before ${what}; received:\n${this.received.join('\n')}`)
        if (late) throw new Error(`no ${what} within ${waitMs} ms; received:\n${this.received.join('\n')}`)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

function md5(user: string, secret: string, salt: Buffer): string {
  const hex = (...parts: (string | Buffer)[]) =>
    createHash('md5')
      .update(Buffer.concat(parts.map((one) => Buffer.from(one))))
      .digest('hex')
  return `md5${hex(hex(secret, user), salt)}`
}

/** SCRAM-SHA-256 (RFC 5802, 7677) without channel binding, as a client that trusts its server. */
class ScramLogin {
  readonly #secret: string
  readonly #clientFirst = `n=,r=${randomBytes(18).toString('base64')}`
  constructor(secret: string) {
    this.#secret = secret
  }

  first(): Buffer {
    const text = Buffer.from(`n,,${this.#clientFirst}`)
    return message('p', 'SCRAM-SHA-256', int32(text.length), text)
  }

  final(serverFirst: string): Buffer {
    const attributes = Object.fromEntries(serverFirst.split(',').map((one) => [one.slice(0, 1), one.slice(2)]))
    const salted = pbkdf2Sync(this.#secret, Buffer.from(attributes.s ?? '', 'base64'), Number(attributes.i), 32, 'sha256')
    const clientKey = createHmac('sha256', salted).update('Client Key').digest()
    const withoutProof = `c=biws,r=${attributes.r}`
    const stored = createHash('sha256').update(clientKey).digest()
    const signature = createHmac('sha256', stored).update(`${this.#clientFirst},${serverFirst},${withoutProof}`).digest()
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)))
    return message('p', Buffer.from(`${withoutProof},p=${proof.toString('base64')}`))
  }
}

/** Opens a connection and sends nothing. */
export function rawConnect(target: RawTarget): Promise<RawClient> {
  return new Promise((resolve, reject) => {
    const { path, host = '127.0.0.1', port = 0 } = target
    const socket = path ? connect({ path, allowHalfOpen: true }) : connect({ host, port, allowHalfOpen: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new RawClient(socket))
    })
  })
}

/** Connects and logs in; throws when the server refuses. */
export async function rawLogin(target: RawTarget, options: LoginOptions): Promise<RawClient> {
  const client = await rawConnect(target)
  const lines = await client.login(options)
  const last = lines.at(-1) ?? ''
  if (last.startsWith('ErrorResponse')) throw new Error(last)
  return client
}

/** Sends a cancel request on a connection of its own and waits for its end. */
export async function rawCancel(target: RawTarget, pid: number, key: Buffer): Promise<void> {
  const client = await rawConnect(target)
  client.send(cancelRequest(pid, key))
  await client.rest()
  client.socket.destroy()
}
