// One simple query of our own on a logged-in server: connect_query, checks, `select session_user`.
import type { Clock } from '../clock.ts'
import type { Transport } from '../net/transport.ts'
import {
  BACKEND_NAMES,
  COMMAND_COMPLETE,
  DATA_ROW,
  EMPTY_QUERY_RESPONSE,
  ERROR_RESPONSE,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_STATUS,
  READY_FOR_QUERY,
  ROW_DESCRIPTION,
} from '../wire/codes.ts'
import { decodeCommandTag, decodeDataRow, query } from '../wire/pgprotocol.ts'
import { parseFields, parseParameterStatus, type ReplyFields } from '../wire/reply.ts'
import { Conversation, type Message, refusalIn } from './conversation.ts'

interface QueryOptions {
  /** 0 = no limit. */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal?: AbortSignal
}

export interface QueryAnswer {
  /** Undefined when the server answered with an error; then `error` is set. */
  readonly rows: readonly (readonly (string | null)[])[]
  /** CommandComplete's tag of the last statement, '' when none. */
  readonly tag: string
  readonly error: ReplyFields | undefined
  /** Transaction status at the end. */
  readonly status: 'I' | 'T' | 'E'
  /** What the query changed, by the server's spelling. */
  readonly parameters: ReadonlyMap<string, string>
}

const BUDGET_BYTES = 1024 * 1024

/**
 * Sends `sql` and stays until ReadyForQuery. Takes the transport's handler; the caller sets its own again before it awaits
 * anything else. An ERROR is an answer; a FATAL or a lost connection rejects with a PgleaseError (server_lost), as does all that is
 * not a plain query's answer (server_misbehaved) or takes too long (connect_timeout): the transport is then destroyed.
 */
export async function simpleQuery(transport: Transport, sql: string, options: QueryOptions): Promise<QueryAnswer> {
  const message = query(sql)
  const conversation = new Conversation(transport, {
    clock: options.clock,
    timeoutMs: options.timeoutMs,
    budgetBytes: BUDGET_BYTES,
    messageLimit: BUDGET_BYTES,
    what: 'a query',
    lost: 'server_lost',
    signal: options.signal,
  })
  conversation.write(message)
  const answer = new Answer()
  let last: Message | undefined
  for (;;) {
    let next: Message
    try {
      next = await conversation.next()
    } catch (error) {
      // what the server said before it left tells more than that it left
      throw (last && refusalIn(last, transport, '', 'server_lost')) ?? error
    }
    if (next.type === ERROR_RESPONSE) last = next
    const detail = answer.take(next)
    if (detail) {
      const error = conversation.violation(detail)
      conversation.fail(error)
      throw error
    }
    if (answer.status !== undefined && conversation.pending === 0) {
      conversation.finish()
      return answer.result()
    }
  }
}

class Answer {
  status: 'I' | 'T' | 'E' | undefined
  readonly #rows: (readonly (string | null)[])[] = []
  readonly #parameters = new Map<string, string>()
  #tag = ''
  #error: ReplyFields | undefined

  /** Answers what is wrong with the message, if anything. */
  take(message: Message): string | undefined {
    switch (message.type) {
      case NOTICE_RESPONSE:
      case NOTIFICATION_RESPONSE:
        return undefined
      case PARAMETER_STATUS:
        return this.#parameter(message)
    }
    if (this.status !== undefined) return `${nameOf(message)} after ReadyForQuery`
    switch (message.type) {
      case ROW_DESCRIPTION:
      case EMPTY_QUERY_RESPONSE:
        return undefined
      case DATA_ROW:
        return this.#row(message)
      case COMMAND_COMPLETE:
        this.#tag = decodeCommandTag(message.whole) ?? ''
        return undefined
      case ERROR_RESPONSE:
        this.#error = parseFields(message.body)
        return undefined
      case READY_FOR_QUERY:
        return this.#ready(message)
      default:
        return `${nameOf(message)} in answer to a query`
    }
  }

  #parameter(message: Message): string | undefined {
    const parameter = parseParameterStatus(message.body)
    if (!parameter) return 'a malformed ParameterStatus'
    this.#parameters.set(parameter[0], parameter[1])
    return undefined
  }

  #row(message: Message): string | undefined {
    const row = decodeDataRow(message.whole)
    if (!row) return 'a malformed DataRow'
    this.#rows.push(row)
    return undefined
  }

  #ready(message: Message): string | undefined {
    const status = message.body.toString('latin1')
    if (status !== 'I' && status !== 'T' && status !== 'E') return 'a malformed ReadyForQuery'
    this.status = status
    return undefined
  }

  result(): QueryAnswer {
    return { rows: this.#rows, tag: this.#tag, error: this.#error, status: this.status ?? 'I', parameters: this.#parameters }
  }
}

const nameOf = (message: Message): string => BACKEND_NAMES.get(message.type) ?? `type 0x${message.type.toString(16).padStart(2, '0')}`
