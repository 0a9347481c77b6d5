// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): a server is made to prove that it knows the password too.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../secret.ts'
import { saslprep } from './saslprep.ts'

export const SCRAM_SHA_256 = 'SCRAM-SHA-256'
/** Above this a server could keep our processor busy at will. */
const ITERATIONS_LIMIT = 100_000
const NONCE_LIMIT = 512
const SALT_LIMIT = 256
const MESSAGE_LIMIT = 2_048
const KEY_LENGTH = 32
/** No channel binding: the client does not support it, and says so (RFC 5802 section 6). */
const GS2_HEADER = 'n,,'

/** The server broke SCRAM's rules. The message never holds anything derived from the password. */
export class ScramError extends Error {
  override readonly name = 'ScramError'
}

type ServerFirst =
  | { readonly kind: 'ok'; readonly nonce: string; readonly salt: Buffer; readonly iterations: number }
  | { readonly kind: 'error'; readonly detail: string }

type ServerFinal = { readonly kind: 'ok'; readonly signature: Buffer } | { readonly kind: 'error'; readonly detail: string }

const bad = (detail: string): { kind: 'error'; detail: string } => ({ kind: 'error', detail })

/** Strict: one text for each value, nothing ignored, not empty. */
function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined
}

/** server-first-message: `r=nonce,s=salt,i=iterations[,extensions]`; every length is bounded. Total. */
export function parseServerFirst(text: string, clientNonce: string): ServerFirst {
  if (text.length > MESSAGE_LIMIT) return bad('its first message is too long')
  const [r = '', s = '', i = '', ...extensions] = text.split(',')
  if (r.startsWith('m=')) return bad('it asks for an unknown mandatory extension')
  if (!r.startsWith('r=')) return bad('its first message has no nonce')
  const nonce = r.slice(2)
  if (nonce.length > NONCE_LIMIT) return bad('its nonce is too long')
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(nonce)) return bad('its nonce has characters that are not allowed')
  if (!nonce.startsWith(clientNonce)) return bad('its nonce does not begin with ours')
  if (nonce.length === clientNonce.length) return bad('its nonce adds nothing to ours')
  const salt = s.startsWith('s=') ? decodeBase64(s.slice(2)) : undefined
  if (salt === undefined) return bad('its first message has no salt')
  if (salt.length > SALT_LIMIT) return bad('its salt is too long')
  if (!/^i=[1-9][0-9]{0,9}$/.test(i)) return bad('its first message has no iteration count')
  const iterations = Number(i.slice(2))
  if (iterations > ITERATIONS_LIMIT) return bad(`it asks for ${iterations} iterations, more than ${ITERATIONS_LIMIT}`)
  if (!extensions.every((extension) => /^[A-Za-z]=/.test(extension))) return bad('its first message is malformed')
  return { kind: 'ok', nonce, salt, iterations }
}

/** server-final-message: `v=signature[,extensions]` or `e=error`. Total. */
export function parseServerFinal(text: string): ServerFinal {
  if (text.length > MESSAGE_LIMIT) return bad('its final message is too long')
  const [first = ''] = text.split(',')
  if (first.startsWith('e=')) return bad(`it reports ${first.slice(2, 82).replace(/[^\x20-\x7e]/g, '?')}`)
  const signature = first.startsWith('v=') ? decodeBase64(first.slice(2)) : undefined
  if (signature === undefined || signature.length !== KEY_LENGTH) return bad('its final message has no signature')
  return { kind: 'ok', signature }
}

interface ScramKeys {
  readonly clientKey: Buffer
  readonly serverKey: Buffer
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

function saltedPassword(password: Secret, salt: Buffer, iterations: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // the asynchronous form runs on a thread of its own
    pbkdf2(saslprep(password.reveal()), salt, iterations, KEY_LENGTH, 'sha256', (error, key) => (error ? reject(error) : resolve(key)))
  })
}

async function deriveKeys(password: Secret, salt: Buffer, iterations: number): Promise<ScramKeys> {
  const salted = await saltedPassword(password, salt, iterations)
  return { clientKey: hmac(salted, 'Client Key'), serverKey: hmac(salted, 'Server Key') }
}

/**
 * Keys derived lately, so that opening twenty links of one credential costs one derivation. An entry belongs to the very
 * `Secret` object of a credential (one per generation), the salt and the iteration count; the oldest make room.
 */
export class ScramCache {
  readonly #limit: number
  readonly #entries = new Map<string, { readonly password: Secret; readonly keys: Promise<ScramKeys> }>()

  constructor(limit = 16) {
    this.#limit = limit
  }

  /** The keys, derived at most once also when asked for at the same time. */
  keys(password: Secret, salt: Buffer, iterations: number): Promise<ScramKeys> {
    const name = `${iterations} ${salt.toString('base64')}`
    const known = this.#entries.get(name)
    this.#entries.delete(name)
    const entry = known?.password === password ? known : { password, keys: this.#derive(name, password, salt, iterations) }
    this.#entries.set(name, entry)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limit) break
      this.#entries.delete(oldest)
    }
    return entry.keys
  }

  async #derive(name: string, password: Secret, salt: Buffer, iterations: number): Promise<ScramKeys> {
    try {
      return await deriveKeys(password, salt, iterations)
    } catch (error) {
      this.#entries.delete(name)
      throw error
    }
  }

  clear(): void {
    this.#entries.clear()
  }

  get size(): number {
    return this.#entries.size
  }
}

/** One exchange: firstMessage, then finalMessage, then verify. Any other order throws ScramError. */
export class ScramClient {
  readonly #password: Secret
  readonly #cache: ScramCache
  readonly #nonce: string
  readonly #bare: string
  #state: 'new' | 'first_sent' | 'final_sent' | 'verified' = 'new'
  #expected: Buffer | undefined

  /** PostgreSQL takes the user from the StartupMessage and ignores SCRAM's, so it stays empty. `nonce` is given by tests only. */
  constructor(password: Secret, cache: ScramCache, nonce: string = randomBytes(24).toString('base64'), user = '') {
    this.#password = password
    this.#cache = cache
    this.#nonce = nonce
    this.#bare = `n=${user},r=${nonce}`
  }

  get verified(): boolean {
    return this.#state === 'verified'
  }

  /** client-first-message. */
  firstMessage(): string {
    this.#move('new', 'first_sent')
    return GS2_HEADER + this.#bare
  }

  /** client-final-message, the answer to server-first-message. Throws ScramError. */
  async finalMessage(serverFirst: string): Promise<string> {
    this.#move('first_sent', 'final_sent')
    const first = parseServerFirst(serverFirst, this.#nonce)
    if (first.kind === 'error') throw new ScramError(first.detail)
    const { clientKey, serverKey } = await this.#cache.keys(this.#password, first.salt, first.iterations)
    const withoutProof = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${first.nonce}`
    const exchange = `${this.#bare},${serverFirst},${withoutProof}`
    const clientSignature = hmac(createHash('sha256').update(clientKey).digest(), exchange)
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (clientSignature[index] ?? 0)))
    this.#expected = hmac(serverKey, exchange)
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** Checks server-final-message: only who knows the password (or its verifier) can sign. Throws ScramError. */
  verify(serverFinal: string): void {
    const final = parseServerFinal(serverFinal)
    if (final.kind === 'error') throw new ScramError(final.detail)
    if (this.#expected === undefined || !timingSafeEqual(final.signature, this.#expected)) throw new ScramError('its signature is wrong')
    this.#move('final_sent', 'verified')
  }

  #move(from: 'new' | 'first_sent' | 'final_sent', to: 'first_sent' | 'final_sent' | 'verified'): void {
    if (this.#state !== from) throw new ScramError('its messages are out of order')
    this.#state = to
  }
}
