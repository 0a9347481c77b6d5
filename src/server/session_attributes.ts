// What a server must be to serve a database (target_session_attrs): the test at login, and what is heard of it later.

import type { Clock } from '../clock.ts'
import { PgleaseError } from '../errors.ts'
import type { Transport } from '../net/transport.ts'
import type { DatabaseSettings } from '../settings/settings.ts'
import { simpleQuery } from './query.ts'

/** target_session_attrs. */
export type SessionAttribute = DatabaseSettings['target_session_attrs']

/** What PostgreSQL reports since version 14; undefined = it does not. */
interface ServerState {
  readonly inHotStandby: boolean | undefined
  readonly readOnlyByDefault: boolean | undefined
}

const IN_HOT_STANDBY = 'in_hot_standby'
const READ_ONLY_BY_DEFAULT = 'default_transaction_read_only'
/** Of a statement that writes in a read-only transaction. */
const READ_ONLY_TRANSACTION = '25006'

const switchOf = (value: string | undefined): boolean | undefined => (value === undefined ? undefined : value === 'on')

export function stateOf(parameters: ReadonlyMap<string, string>): ServerState {
  return { inHotStandby: switchOf(parameters.get(IN_HOT_STANDBY)), readOnlyByDefault: switchOf(parameters.get(READ_ONLY_BY_DEFAULT)) }
}

/** libpq's test. Undefined = the server did not report what decides. */
export function fits(attribute: SessionAttribute, { inHotStandby, readOnlyByDefault }: ServerState): boolean | undefined {
  if (attribute === 'any') return true
  if (inHotStandby === undefined) return undefined
  if (attribute === 'primary') return !inHotStandby
  if (attribute === 'standby' || attribute === 'prefer-standby') return inHotStandby
  if (readOnlyByDefault === undefined) return undefined
  const readOnly = inHotStandby || readOnlyByDefault
  return attribute === 'read-only' ? readOnly : !readOnly
}

/** For servers that do not report it: true in the one cell = it fits. */
function condition(attribute: SessionAttribute): string {
  switch (attribute) {
    case 'read-write':
      return "pg_catalog.current_setting('transaction_read_only') = 'off'"
    case 'read-only':
      return "pg_catalog.current_setting('transaction_read_only') = 'on'"
    case 'primary':
      return 'NOT pg_catalog.pg_is_in_recovery()'
    case 'standby':
    case 'prefer-standby':
      return 'pg_catalog.pg_is_in_recovery()'
    default:
      return 'true'
  }
}

/** What the server is not, in libpq's words. */
export function unfitText(attribute: SessionAttribute): string {
  switch (attribute) {
    case 'read-write':
      return 'session is read-only'
    case 'read-only':
      return 'session is not read-only'
    case 'primary':
      return 'server is in hot standby mode'
    default:
      return 'server is not in hot standby mode'
  }
}

interface FitOptions {
  readonly attribute: SessionAttribute
  /** The server, for comparison with other links. */
  readonly host: string
  readonly timeoutMs: number
  readonly clock: Clock
  /** False: a physical replication connection takes no SQL, and a server that reports too little (before version 14) is taken as it is. */
  readonly sql: boolean
}

/**
 * Tests a server that was just logged in to and reported `parameters`; asks it when it reported too little. Takes the transport's
 * handler when it asks. Rejects as simpleQuery does. Undefined when any server will do.
 */
export async function fitOf(
  transport: Transport,
  parameters: ReadonlyMap<string, string>,
  options: FitOptions,
): Promise<{ readonly fit: Fit | undefined; readonly fitting: boolean }> {
  const { attribute, host, clock, timeoutMs, sql } = options
  if (attribute === 'any') return { fit: undefined, fitting: true }
  const state = stateOf(parameters)
  const fit = new Fit(attribute, host, state)
  const told = fits(attribute, state)
  if (told !== undefined || !sql) return { fit, fitting: told ?? true }
  const { rows, error } = await simpleQuery(transport, `SELECT ${condition(attribute)}`, { timeoutMs, clock })
  if (error !== undefined) {
    transport.end()
    throw new PgleaseError('no_host_fits', `${host}: ${error.message}`)
  }
  return { fit, fitting: rows[0]?.[0] === 't' }
}

/** Whether the server of one link still is what was asked for. */
export class Fit {
  readonly host: string
  /** The server has said that it is not; the link serves nobody any more once it has settled. */
  unfit = false
  /** It is unfit because the server has been promoted, which no client can bring about with a SET. */
  serverUnfit = false
  /** Something speaks against it: the server is asked `question` when the link has settled. */
  doubted = false
  readonly #attribute: SessionAttribute
  #state: ServerState

  constructor(attribute: SessionAttribute, host: string, state: ServerState) {
    this.host = host
    this.#attribute = attribute
    this.#state = state
  }

  get #reported(): boolean {
    return fits(this.#attribute, this.#state) !== undefined
  }

  /** A ParameterStatus. */
  heard(name: string, value: string): void {
    const { inHotStandby } = this.#state
    if (name === IN_HOT_STANDBY) this.#state = { ...this.#state, inHotStandby: value === 'on' }
    else if (name === READ_ONLY_BY_DEFAULT) this.#state = { ...this.#state, readOnlyByDefault: value === 'on' }
    else return
    // one that was taken for want of a standby stays
    this.unfit = this.#attribute !== 'prefer-standby' && fits(this.#attribute, this.#state) === false
    if (this.#state.inHotStandby !== inHotStandby) this.serverUnfit = this.unfit
  }

  /** An error of the server. Any SQL may raise it, so it only raises a question; a server that reports what it is has answered it. */
  refused(sqlstate: string): void {
    if (sqlstate !== READ_ONLY_TRANSACTION || this.#reported) return
    if (this.#attribute === 'read-write' || this.#attribute === 'primary') this.doubted = true
  }

  /** Fails when the server does not fit. One that reports what it is does so before the answer to any query. */
  get question(): string {
    return this.#reported || this.#attribute === 'prefer-standby' ? '' : `SELECT 1 / (${condition(this.#attribute)})::int`
  }
}
