// A server that says what a test wants: one scripted reply to each message of the client.
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { AUTHENTICATION } from '../../src/wire/codes.ts'
import { backendKeyData, parameterStatus, readyForQuery } from '../../src/wire/reply.ts'
import type { MemoryTransport } from './memory-transport.ts'

/** Bytes to send, a function of the client's message, 'close' or 'silence'. */
export type Step = Buffer | 'close' | 'silence' | ((message: Buffer) => Buffer)

/** Plays the steps, one for each write of the client. */
export function playServer(far: MemoryTransport, steps: readonly Step[]): void {
  let turn = 0
  far.setHandler({
    data(message) {
      const step = steps[turn++] ?? 'silence'
      if (step === 'silence') return
      if (step === 'close') far.destroy()
      else far.write(typeof step === 'function' ? step(message) : step)
    },
    drain() {},
    end() {},
    close() {},
  })
}

export function wireMessage(type: string | number, body: string | Buffer = ''): Buffer {
  const content = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  const whole = Buffer.alloc(5 + content.length, typeof type === 'number' ? type : type.charCodeAt(0))
  whole.writeUInt32BE(content.length + 4, 1)
  content.copy(whole, 5)
  return whole
}

export function authenticationMessage(subtype: number, rest: string | Buffer = ''): Buffer {
  const code = Buffer.alloc(4)
  code.writeInt32BE(subtype)
  return wireMessage(AUTHENTICATION, Buffer.concat([code, typeof rest === 'string' ? Buffer.from(rest, 'latin1') : rest]))
}

export const OK = authenticationMessage(0)
export const SASL = authenticationMessage(10, 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0')
/** What follows AuthenticationOk. */
export const READY = Buffer.concat([
  parameterStatus('server_version', '18.0'),
  parameterStatus('TimeZone', 'UTC'),
  backendKeyData(4242, Buffer.from('1234')),
  readyForQuery('I'),
])

/** The server's side of SCRAM-SHA-256, for a password in clear text. */
export class ScramServer {
  readonly #salt: Buffer
  readonly #iterations: number
  readonly #keys: { client: Buffer; server: Buffer }
  #bare = ''
  #first = ''

  constructor(password: string, salt = Buffer.from('a salt of tests!'), iterations = 10) {
    this.#salt = salt
    this.#iterations = iterations
    const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
    this.#keys = { client: hmac(salted, 'Client Key'), server: hmac(salted, 'Server Key') }
  }

  /** Answers SASLInitialResponse with AuthenticationSASLContinue. */
  continue = (message: Buffer): Buffer => {
    const text = message.toString('latin1')
    this.#bare = text.slice(text.indexOf('n,,') + 3)
    const nonce = this.#bare.slice(this.#bare.indexOf('r=') + 2)
    this.#first = `r=${nonce}-more,s=${this.#salt.toString('base64')},i=${this.#iterations}`
    return authenticationMessage(11, this.#first)
  }

  /** Answers SASLResponse; an empty buffer when the proof is wrong. */
  final = (message: Buffer): Buffer => {
    const text = message.subarray(5).toString('latin1')
    const at = text.lastIndexOf(',p=')
    const exchange = `${this.#bare},${this.#first},${text.slice(0, at)}`
    const stored = createHash('sha256').update(this.#keys.client).digest()
    const signature = hmac(stored, exchange)
    const proof = Buffer.from(text.slice(at + 3), 'base64')
    const clientKey = Buffer.from(proof.map((byte, index) => byte ^ (signature[index] ?? 0)))
    if (!timingSafeEqual(createHash('sha256').update(clientKey).digest(), stored)) return Buffer.alloc(0)
    return authenticationMessage(12, `v=${hmac(this.#keys.server, exchange).toString('base64')}`)
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
