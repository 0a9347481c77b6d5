// Logs in to a server that is not trusted: it must ask in an allowed way, prove itself where it can, and keep to the order.
import { createHash } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { PgleaseError } from '../errors.ts'
import type { Transport } from '../net/transport.ts'
import type { Secret } from '../secret.ts'
import type { DatabaseSettings } from '../settings/settings.ts'
import {
  AUTHENTICATION,
  AUTHENTICATION_CLEARTEXT_PASSWORD,
  AUTHENTICATION_MD5_PASSWORD,
  AUTHENTICATION_OK,
  AUTHENTICATION_SASL,
  AUTHENTICATION_SASL_CONTINUE,
  AUTHENTICATION_SASL_FINAL,
  BACKEND_KEY_DATA,
  BACKEND_NAMES,
  CANCEL_KEY_LONGEST,
  CANCEL_KEY_SHORTEST,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_STATUS,
  READY_FOR_QUERY,
  STATUS_IDLE,
} from '../wire/codes.ts'
import { NulByteError, passwordMessage, saslInitialResponse, saslResponse, startupMessage } from '../wire/pgprotocol.ts'
import { parseParameterStatus } from '../wire/reply.ts'
import { SCRAM_SHA_256, type ScramCache, ScramClient, ScramError } from '../wire/scram.ts'
import { Conversation, type Message, refusalIn } from './conversation.ts'

/** A method of server_require_auth. */
export type AuthMethod = DatabaseSettings['server_require_auth'][number]

export interface LoginOptions {
  readonly credential: { readonly user: string; readonly password: Secret }
  readonly database: string
  /** More startup parameters: role, application_name ... */
  readonly parameters: ReadonlyArray<readonly [string, string]>
  /** What the server may ask for; all else is refused before anything is sent. */
  readonly requireAuth: readonly AuthMethod[]
  /** The peer is who it should be (verify-full or a unix socket): only then a clear password is sent. */
  readonly secure: boolean
  readonly scramCache: ScramCache
  /** 0 = no limit. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal?: AbortSignal
}

export interface LoggedIn {
  /** The server's parameters as it reported them, by its spelling. */
  readonly parameters: Map<string, string>
  /** 0 when the server gave no key. */
  readonly processId: number
  readonly secretKey: Buffer
  /** What the server asked for. */
  readonly method: AuthMethod
}

/** PostgreSQL sends about 20 messages and 1 kB. */
const BUDGET_BYTES = 256 * 1024
const MESSAGES_LIMIT = 1_000

/**
 * Sends a StartupMessage of protocol 3.0 and stays until ReadyForQuery. Rejects with a PgleaseError (ServerRefusal when the
 * server said why) and the transport is then destroyed. When it resolves no byte is left over; the caller sets its own
 * handler before it awaits anything else.
 */
export async function login(transport: Transport, options: LoginOptions): Promise<LoggedIn> {
  const conversation = new Conversation(transport, {
    clock: options.clock,
    timeoutMs: options.timeoutMs,
    budgetBytes: BUDGET_BYTES,
    what: 'the login',
    lost: 'connect_refused',
    signal: options.signal,
  })
  try {
    return await new Login(transport, conversation, options).run()
  } catch (error) {
    const reported = translate(error, conversation)
    conversation.fail(reported instanceof PgleaseError ? reported : conversation.violation('an internal error'))
    throw reported
  }
}

function translate(error: unknown, conversation: Conversation): unknown {
  if (error instanceof ScramError) return conversation.violation(`SCRAM: ${error.message}`)
  if (error instanceof NulByteError) return conversation.error('login_not_permitted', error.message)
  return error
}

const md5 = (data: string | Buffer): string => createHash('md5').update(data).digest('hex')

/** One login. Each method is a state, and takes only the messages of that state. */
class Login {
  readonly #transport: Transport
  readonly #conversation: Conversation
  readonly #options: LoginOptions
  readonly #parameters = new Map<string, string>()
  #key: { processId: number; secretKey: Buffer } | undefined
  #messages = 0

  constructor(transport: Transport, conversation: Conversation, options: LoginOptions) {
    this.#transport = transport
    this.#conversation = conversation
    this.#options = options
  }

  async run(): Promise<LoggedIn> {
    const { credential, database, parameters } = this.#options
    this.#conversation.write(startupMessage(credential.user, database, parameters))
    const method = await this.#authenticate()
    await this.#becomeReady()
    await this.#emptyLine()
    this.#conversation.finish()
    const { processId, secretKey } = this.#key ?? { processId: 0, secretKey: Buffer.alloc(0) }
    return { parameters: this.#parameters, processId, secretKey, method }
  }

  /** The next message that is neither a notice nor an error. */
  async #next(): Promise<Message> {
    for (;;) {
      const message = await this.#conversation.next()
      if (++this.#messages > MESSAGES_LIMIT) throw this.#conversation.violation(`more than ${MESSAGES_LIMIT} messages during the login`)
      const refusal = refusalIn(message, this.#transport, this.#options.credential.password.reveal())
      if (refusal) throw refusal
      if (message.type !== NOTICE_RESPONSE) return message
    }
  }

  #unexpected(message: Message, state: string): PgleaseError {
    const name = BACKEND_NAMES.get(message.type) ?? `type 0x${message.type.toString(16).padStart(2, '0')}`
    return this.#conversation.violation(`${name} ${state}`)
  }

  /** The next Authentication message, cut into subtype and the rest. */
  async #authentication(state: string): Promise<{ subtype: number; rest: Buffer; message: Message }> {
    const message = await this.#next()
    if (message.type !== AUTHENTICATION || message.body.length < 4) throw this.#unexpected(message, state)
    return { subtype: message.body.readInt32BE(0), rest: message.body.subarray(4), message }
  }

  #allow(method: AuthMethod): AuthMethod {
    if (this.#options.requireAuth.includes(method)) return method
    throw this.#conversation.error('auth_method_refused', method === 'trust' ? 'none (trust)' : method)
  }

  async #authenticate(): Promise<AuthMethod> {
    const { subtype, rest } = await this.#authentication('instead of an authentication request')
    switch (subtype) {
      case AUTHENTICATION_OK:
        this.#exactly(rest, 0)
        return this.#allow('trust')
      case AUTHENTICATION_CLEARTEXT_PASSWORD:
        this.#exactly(rest, 0)
        return this.#cleartext()
      case AUTHENTICATION_MD5_PASSWORD:
        this.#exactly(rest, 4)
        return this.#md5(rest)
      case AUTHENTICATION_SASL:
        return this.#scram(rest)
      default:
        throw this.#conversation.error('auth_method_refused', `authentication type ${subtype}`)
    }
  }

  #exactly(rest: Buffer, length: number): void {
    if (rest.length !== length) throw this.#conversation.violation('an authentication request of a wrong length')
  }

  async #cleartext(): Promise<AuthMethod> {
    this.#allow('password')
    if (!this.#options.secure) {
      throw this.#conversation.error('auth_method_refused', 'a clear password over a connection that is not verified (verify-full)')
    }
    this.#conversation.write(passwordMessage(this.#options.credential.password.reveal()))
    await this.#accepted()
    return 'password'
  }

  async #md5(salt: Buffer): Promise<AuthMethod> {
    this.#allow('md5')
    const { user, password } = this.#options.credential
    const inner = md5(password.reveal() + user)
    this.#conversation.write(passwordMessage(`md5${md5(Buffer.concat([Buffer.from(inner), salt]))}`))
    await this.#accepted()
    return 'md5'
  }

  async #scram(mechanismList: Buffer): Promise<AuthMethod> {
    this.#allow('scram-sha-256')
    const mechanisms = this.#mechanisms(mechanismList)
    if (!mechanisms.includes(SCRAM_SHA_256)) {
      throw this.#conversation.error('auth_method_refused', 'SASL without SCRAM-SHA-256')
    }
    const scram = new ScramClient(this.#options.credential.password, this.#options.scramCache)
    this.#conversation.write(saslInitialResponse(SCRAM_SHA_256, scram.firstMessage()))
    const first = await this.#authentication('instead of an answer to SCRAM')
    if (first.subtype !== AUTHENTICATION_SASL_CONTINUE) throw this.#unproven(first.subtype)
    if (this.#conversation.pending > 0) throw await this.#outOfTurn()
    this.#conversation.write(saslResponse(await scram.finalMessage(first.rest.toString('latin1'))))
    const final = await this.#authentication('instead of the end of SCRAM')
    if (final.subtype !== AUTHENTICATION_SASL_FINAL) throw this.#unproven(final.subtype)
    scram.verify(final.rest.toString('latin1'))
    await this.#accepted()
    return 'scram-sha-256'
  }

  /** A server that is being stopped says so at any time; nothing else may come before our answer. */
  async #outOfTurn(): Promise<PgleaseError> {
    const refusal = refusalIn(await this.#conversation.next(), this.#transport, this.#options.credential.password.reveal())
    return refusal ?? this.#conversation.violation('SCRAM: it spoke out of turn')
  }

  /** Names that each end with a NUL, then an empty one. */
  #mechanisms(list: Buffer): string[] {
    const text = list.toString('latin1')
    if (!/^[^\0]+(\0[^\0]+)*\0\0$/.test(text)) throw this.#conversation.violation('a malformed list of SASL mechanisms')
    return text.slice(0, -2).split('\0')
  }

  #unproven(subtype: number): PgleaseError {
    const what =
      subtype === AUTHENTICATION_OK ? 'it accepted the login without proving that it knows the password' : 'its messages are out of order'
    return this.#conversation.violation(`SCRAM: ${what}`)
  }

  async #accepted(): Promise<void> {
    const { subtype, rest, message } = await this.#authentication('instead of AuthenticationOk')
    if (subtype !== AUTHENTICATION_OK || rest.length > 0) throw this.#unexpected(message, 'instead of AuthenticationOk')
  }

  async #becomeReady(): Promise<void> {
    for (;;) {
      const message = await this.#next()
      if (message.type === PARAMETER_STATUS) this.#setParameter(message)
      else if (message.type === BACKEND_KEY_DATA) this.#setKey(message)
      else if (message.type === READY_FOR_QUERY) {
        if (message.body.length !== 1 || message.body[0] !== STATUS_IDLE)
          throw this.#conversation.violation('ReadyForQuery that is not idle')
        return
      } else throw this.#unexpected(message, 'during the login')
    }
  }

  /** After ReadyForQuery only what may come at any time; a message that came in part is waited for. */
  async #emptyLine(): Promise<void> {
    while (this.#conversation.pending > 0) {
      const message = await this.#next()
      if (message.type === PARAMETER_STATUS) this.#setParameter(message)
      else if (message.type !== NOTIFICATION_RESPONSE) throw this.#unexpected(message, 'after the login')
    }
  }

  #setParameter(message: Message): void {
    const parameter = parseParameterStatus(message.body)
    if (!parameter) throw this.#unexpected(message, 'that is malformed')
    this.#parameters.set(parameter[0], parameter[1])
  }

  #setKey(message: Message): void {
    const keyLength = message.body.length - 4
    if (this.#key || keyLength < CANCEL_KEY_SHORTEST || keyLength > CANCEL_KEY_LONGEST) throw this.#unexpected(message, 'that is malformed')
    this.#key = { processId: message.body.readUInt32BE(0), secretKey: Buffer.from(message.body.subarray(4)) }
  }
}
