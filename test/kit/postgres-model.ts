// A small model of how PostgreSQL answers messages (postgres.c, copyfromparse.c): what properties compare the ledger with.

import { ASKED } from '../../src/wire/asked.ts'
import {
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  COMMAND_COMPLETE,
  COPY_IN_RESPONSE,
  DATA_ROW,
  EMPTY_QUERY_RESPONSE,
  ERROR_RESPONSE,
  FUNCTION_CALL_RESPONSE,
  NO_DATA,
  PARAMETER_DESCRIPTION,
  PARSE_COMPLETE,
  PORTAL_SUSPENDED,
  READY_FOR_QUERY,
  ROW_DESCRIPTION,
} from '../../src/wire/codes.ts'

/** What the server will make of a message. copy: reads data; copyFails: its CopyInResponse is followed by an error at once. */
export type Effect = 'works' | 'fails' | 'empty' | 'suspends' | 'begin' | 'commit' | 'copy' | 'copyFails'

export interface ModelMessage {
  /** An ASKED, or 'data' (CopyData) and 'flush', which nobody answers. */
  readonly kind: number | 'data' | 'flush'
  readonly effect: Effect
}

interface ModelReply {
  readonly type: number
  readonly status: number
}

const code = (letter: string): number => letter.charCodeAt(0)

export class PostgresModel {
  /** Sent and not read yet. */
  inbox: ModelMessage[] = []
  /** Answered and not delivered yet. */
  outbox: ModelReply[] = []
  #status = 'I'
  #skipping = false
  #batch = false
  #copy: 'none' | 'simple' | 'extended' = 'none'

  /** No message read so far leaves anything to say or to do. */
  get #calm(): boolean {
    return this.outbox.length === 0 && this.#status === 'I' && !this.#skipping && !this.#batch && this.#copy === 'none'
  }

  /** The link might serve somebody else: what is still unread changes nothing and gets no answer. */
  get settled(): boolean {
    if (!this.#calm) return false
    const ahead = this.#copyOfThis()
    while (ahead.inbox.length > 0) {
      ahead.read()
      if (!ahead.#calm) return false
    }
    return true
  }

  /** Reads one message and answers it. */
  read(): void {
    const message = this.inbox.shift()
    if (message === undefined) return
    if (this.#copy !== 'none') return this.#inCopy(message)
    const { kind, effect } = message
    if (kind === ASKED.sync) {
      // a Sync fails when it commits what was done since the last one (a deferred constraint)
      if (effect === 'fails' && this.#batch && !this.#skipping && this.#status === 'I') this.#say(ERROR_RESPONSE)
      this.#skipping = false
      this.#batch = false
      return this.#ready()
    }
    if (this.#skipping || kind === 'data' || kind === 'flush' || kind === ASKED.copyEnd) return
    if (kind === ASKED.query) return this.#query(effect)
    if (kind === ASKED.functionCall) {
      this.#say(effect === 'fails' ? ERROR_RESPONSE : FUNCTION_CALL_RESPONSE)
      if (effect === 'fails') this.#fail()
      this.#batch = false
      return this.#ready()
    }
    this.#batch = true
    if (effect === 'fails') return this.#failExtended()
    this.#extended(kind, effect)
  }

  #query(effect: Effect): void {
    this.#batch = false
    switch (effect) {
      case 'copy':
        this.#copy = 'simple'
        return this.#say(COPY_IN_RESPONSE)
      case 'copyFails':
        this.#say(COPY_IN_RESPONSE)
        this.#say(ERROR_RESPONSE)
        this.#fail()
        return this.#ready()
      case 'fails':
        this.#say(ERROR_RESPONSE)
        this.#fail()
        return this.#ready()
      case 'empty':
        this.#say(EMPTY_QUERY_RESPONSE)
        return this.#ready()
    }
    if (effect === 'begin' && this.#status === 'I') this.#status = 'T'
    if (effect === 'commit') this.#status = 'I'
    if (effect === 'works') {
      this.#say(ROW_DESCRIPTION)
      this.#say(DATA_ROW)
    }
    this.#say(COMMAND_COMPLETE)
    this.#ready()
  }

  #extended(kind: number, effect: Effect): void {
    switch (kind) {
      case ASKED.parse:
      case ASKED.parseUnnamed:
      case ASKED.inventedParse:
        return this.#say(PARSE_COMPLETE)
      case ASKED.bind:
        return this.#say(BIND_COMPLETE)
      case ASKED.describe:
        if (effect === 'empty') return this.#say(NO_DATA)
        this.#say(PARAMETER_DESCRIPTION)
        return this.#say(ROW_DESCRIPTION)
      case ASKED.execute:
        return this.#execute(effect)
      default:
        this.#say(CLOSE_COMPLETE)
    }
  }

  #execute(effect: Effect): void {
    if (effect === 'copy' || effect === 'copyFails') {
      this.#say(COPY_IN_RESPONSE)
      if (effect === 'copyFails') return this.#failExtended()
      this.#copy = 'extended'
      return
    }
    if (effect === 'begin' && this.#status === 'I') this.#status = 'T'
    if (effect === 'commit') this.#status = 'I'
    if (effect === 'empty') return this.#say(EMPTY_QUERY_RESPONSE)
    this.#say(DATA_ROW)
    this.#say(effect === 'suspends' ? PORTAL_SUSPENDED : COMMAND_COMPLETE)
  }

  #inCopy({ kind, effect }: ModelMessage): void {
    if (kind === ASKED.sync || kind === 'flush' || (kind === 'data' && effect !== 'fails')) return
    const simple = this.#copy === 'simple'
    this.#copy = 'none'
    if (kind === ASKED.copyEnd && effect !== 'fails') {
      this.#say(COMMAND_COMPLETE)
      if (simple) this.#ready()
      return
    }
    // CopyFail, bad data, or a message that has no business here
    if (!simple) return this.#failExtended()
    this.#say(ERROR_RESPONSE)
    this.#fail()
    this.#ready()
  }

  #failExtended(): void {
    this.#say(ERROR_RESPONSE)
    this.#fail()
    this.#skipping = true
  }

  #fail(): void {
    if (this.#status === 'T') this.#status = 'E'
  }

  #ready(): void {
    this.outbox.push({ type: READY_FOR_QUERY, status: code(this.#status) })
  }

  #say(type: number): void {
    this.outbox.push({ type, status: 0 })
  }

  #copyOfThis(): PostgresModel {
    const other = new PostgresModel()
    other.inbox = [...this.inbox]
    other.outbox = [...this.outbox]
    other.#status = this.#status
    other.#skipping = this.#skipping
    other.#batch = this.#batch
    other.#copy = this.#copy
    return other
  }
}
