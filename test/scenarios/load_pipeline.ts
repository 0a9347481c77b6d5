// A client that never stops pipelining: so many requests that end with Sync are outstanding at every moment.
import { connect, type Socket } from 'node:net'
import { bind, execute, parse, startup, sync, terminate } from '../kit/raw-messages.ts'
import { type Load, LoadTally } from './load.ts'

interface PipelineOptions {
  host: string
  port: number
  user: string
  database: string
  /** Requests that are outstanding at every moment. */
  depth?: number
}

const REQUEST = Buffer.concat([parse('', 'SELECT current_user'), bind('', ''), execute(), sync()])

const TYPE = { dataRow: 0x44, error: 0x45, ready: 0x5a }

/** Reads the answers of one connection frame by frame and keeps the pipeline full. */
class Pipeline {
  readonly tally = new LoadTally()
  readonly #socket: Socket
  readonly #depth: number
  readonly #sent: number[] = []
  #bytes: Buffer = Buffer.alloc(0)
  #loggedIn = false
  #stopped = false
  #answer: { role?: string; error?: Error } = {}
  #finished: () => void = () => undefined
  readonly started: Promise<void>
  readonly finished: Promise<void>
  #begin: () => void = () => undefined
  #refuse: (error: Error) => void = () => undefined

  constructor(socket: Socket, depth: number) {
    this.#socket = socket
    this.#depth = depth
    this.started = new Promise((resolve, reject) => {
      this.#begin = resolve
      this.#refuse = reject
    })
    this.finished = new Promise((resolve) => {
      this.#finished = resolve
    })
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
    socket.on('error', (error) => this.#lost(error))
    socket.on('close', () => this.#lost(new Error('the connection was closed')))
  }

  /** Sends no more; `finished` follows with the last answer. */
  stop(): void {
    this.#stopped = true
    if (this.#sent.length === 0) this.#end()
  }

  #received(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    let at = 0
    while (this.#bytes.length - at >= 5) {
      const end = at + 1 + this.#bytes.readInt32BE(at + 1)
      if (this.#bytes.length < end) break
      this.#frame(this.#bytes[at] ?? 0, this.#bytes.subarray(at + 5, end))
      at = end
    }
    this.#bytes = this.#bytes.subarray(at)
  }

  #frame(type: number, body: Buffer): void {
    // one column: a count, a length, the text
    if (type === TYPE.dataRow) this.#answer.role = body.toString('utf8', 6)
    if (type === TYPE.error) this.#answer.error = errorOf(body)
    if (type === TYPE.error && !this.#loggedIn) this.#refuse(errorOf(body))
    if (type === TYPE.ready) this.#ready()
  }

  #ready(): void {
    if (this.#loggedIn) this.#settle()
    else {
      this.#loggedIn = true
      this.#begin()
    }
    if (this.#stopped) {
      if (this.#sent.length === 0) this.#end()
      return
    }
    const missing = this.#depth - this.#sent.length
    const now = performance.now()
    for (let request = 0; request < missing; request++) this.#sent.push(now)
    this.#socket.write(missing === 1 ? REQUEST : Buffer.concat(Array.from({ length: missing }, () => REQUEST)))
  }

  #settle(): void {
    const { role, error } = this.#answer
    this.#answer = {}
    const began = this.#sent.shift()
    if (began === undefined) this.tally.failure('pipeline', new Error('a ReadyForQuery that nothing asked for'))
    else if (error) this.tally.failure('pipeline', error)
    else if (role === undefined) this.tally.failure('pipeline', new Error('no row came'))
    else this.tally.answered(began, role)
  }

  #end(): void {
    this.#socket.end(terminate())
    this.#finished()
  }

  #lost(error: Error): void {
    if (this.#stopped && this.#sent.length === 0) return
    this.#refuse(error)
    this.tally.failure(`pipeline with ${this.#sent.length} requests outstanding`, error)
    this.tally.reconnected()
    this.#stopped = true
    this.#sent.length = 0
    this.#finished()
  }
}

/** Code and message of an ErrorResponse. */
function errorOf(body: Buffer): Error & { code?: string } {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  )
  return Object.assign(new Error(fields.get('M')), { code: fields.get('C') ?? '', detail: fields.get('D') })
}

/** Logs in (no password is asked for under `auth_type: any`) and fills the pipeline until `stop`. A lost connection stays lost. */
export async function startPipeline(options: PipelineOptions): Promise<Load> {
  const socket = connect({ host: options.host, port: options.port, noDelay: true })
  const pipeline = new Pipeline(socket, options.depth ?? 8)
  socket.write(startup({ user: options.user, database: options.database }))
  await pipeline.started
  return {
    async stop() {
      pipeline.stop()
      await pipeline.finished
      return pipeline.tally.result()
    },
  }
}
