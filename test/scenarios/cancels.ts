// Scenario: cancel requests at random moments of queries, transactions and waits, beside sessions that nobody cancels.
import { setTimeout as pause } from 'node:timers/promises'
import { type AcceptContext, atLeast, exactly, type Figure, seeded } from '../../scripts/lib/accept_line.ts'
import { type FixedDatabase, fixedDatabase } from '../kit/fixed-database.ts'
import { type RawClient, rawCancel } from '../kit/raw-client.ts'
import { bind, describePortal, execute, parse, query, sync } from '../kit/raw-messages.ts'

const CANCELLING = 12
const BYSTANDERS = 4
/** Fewer than the sessions: some wait for a link when their cancel comes. */
const LINKS = 8
const LONGEST_QUERY_MS = 8
const LONGEST_MOMENT_MS = 10
/** Of the cancel requests, for either outcome. */
const LEAST_PART = 0.1
const MOST_ROUNDS = 4
const CANCELED = "ErrorResponse S='ERROR' C='57014' M='canceling statement due to user request'"

interface Outcome {
  sent: number
  canceled: number
  survived: number
  /** Queries that nobody meant and that were cancelled, or answered with another one's rows. */
  wrong: string[]
  bystanders: number
}

/** As a simple query, or as a batch of extended messages. */
const ask = (text: string, simple: boolean): Buffer[] =>
  simple ? [query(text)] : [parse('', text), bind('', ''), describePortal(''), execute(''), sync()]

/** The one value of the one row of `lines`; or the error, as it is. */
function answerOf(lines: readonly string[]): string {
  const error = lines.find((line) => line.startsWith('ErrorResponse'))
  return error ?? lines.find((line) => line.startsWith('DataRow'))?.match(/'(\d+)'$/)?.[1] ?? lines.join('; ')
}

class Cancelling {
  readonly outcome: Outcome = { sent: 0, canceled: 0, survived: 0, wrong: [], bystanders: 0 }
  #numbers = 0
  readonly #app: FixedDatabase
  readonly #random: () => number
  readonly #cancels: number

  constructor(app: FixedDatabase, random: () => number, cancels: number) {
    this.#app = app
    this.#random = random
    this.#cancels = cancels
  }

  /** On a busy machine most come too late: then there are more, until both outcomes were seen often enough. */
  get over(): boolean {
    const { sent, canceled, survived } = this.outcome
    const seen = canceled >= this.#cancels * LEAST_PART && survived >= this.#cancels * LEAST_PART
    return sent >= this.#cancels * (seen ? 1 : MOST_ROUNDS)
  }

  async cancelling(client: RawClient): Promise<void> {
    while (!this.over) {
      const inTransaction = this.#random() < 0.3
      if (inTransaction) await this.#undisturbed(client, 'BEGIN')
      await this.#cancelled(client)
      if (inTransaction) await this.#undisturbed(client, 'ROLLBACK')
      await this.#numbered(client)
    }
  }

  async bystander(client: RawClient): Promise<void> {
    while (!this.over) {
      await this.#numbered(client)
      this.outcome.bystanders++
    }
  }

  /** One query with a cancel request at some moment before, while or after it runs; the next waits for the end of both, as libpq's PQcancel does. */
  async #cancelled(client: RawClient): Promise<void> {
    const { outcome } = this
    const number = this.#numbers++
    const seconds = (this.#random() * LONGEST_QUERY_MS) / 1000
    const moment = this.#random() * LONGEST_MOMENT_MS
    client.send(...ask(`SELECT ${number} FROM pg_sleep(${seconds})`, this.#random() < 0.5))
    outcome.sent++
    const cancel = pause(moment).then(() => rawCancel({ port: this.#app.pglease.port }, client.pid, client.key))
    const [lines] = await Promise.all([client.ready(), cancel])
    const answer = answerOf(lines)
    if (answer === CANCELED) outcome.canceled++
    else if (answer === String(number)) outcome.survived++
    else outcome.wrong.push(answer)
  }

  /** A query that nobody cancels, answered with its own row. */
  async #numbered(client: RawClient): Promise<void> {
    const number = this.#numbers++
    const answer = answerOf(await client.ask(...ask(`SELECT ${number}`, this.#random() < 0.5)))
    if (answer !== String(number)) this.outcome.wrong.push(answer)
  }

  async #undisturbed(client: RawClient, command: string): Promise<void> {
    const lines = await client.ask(query(command))
    if (lines.length !== 2 || !lines[0]?.startsWith('CommandComplete')) this.outcome.wrong.push(`${command}: ${lines.join('; ')}`)
  }
}

/** `cancels` of them; `seed` decides the moments. */
export async function cancelledAtRandom(
  { scenario, seed, say }: Pick<AcceptContext, 'scenario' | 'seed' | 'say'>,
  { cancels }: { readonly cancels: number },
): Promise<Figure[]> {
  const app = await fixedDatabase(scenario, { facts: { pool_size: LINKS }, http: true })
  const load = new Cancelling(app, seeded(seed), cancels)
  const clients = await Promise.all(Array.from({ length: CANCELLING + BYSTANDERS }, () => app.raw()))
  say(
    `${cancels} cancel requests from ${CANCELLING} sessions, ${BYSTANDERS} sessions beside them, ${LINKS} server connections, seed ${seed}`,
  )
  await Promise.all(clients.map((client, at) => (at < CANCELLING ? load.cancelling(client) : load.bystander(client))))
  const { sent, canceled, survived, wrong, bystanders } = load.outcome
  const metrics = await app.pglease.metrics()
  const lost = metrics.sum('pglease_connections_closed_total', { reason: 'cancel_unfinished' })
  return [
    atLeast('cancel requests', sent, cancels),
    atLeast('queries that one ended', canceled, cancels * LEAST_PART),
    atLeast('queries that one came too late for', survived, cancels * LEAST_PART),
    atLeast('of those ended, waited for a server connection', metrics.sum('pglease_client_errors_total', { code: 'query_canceled' }), 1),
    exactly('queries cancelled or answered that were not meant', wrong.length === 0 ? 0 : wrong.slice(0, 3).join(' | '), 0),
    atLeast('queries of sessions beside them, none failed', bystanders, cancels * LEAST_PART),
    exactly('server connections given up', lost, 0),
  ]
}
