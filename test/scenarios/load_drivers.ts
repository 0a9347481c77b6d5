// Clients of the `pg` driver that never pause: single statements of both protocols, and explicit transactions that sleep.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { seeded } from '../../scripts/lib/accept_line.ts'
import { type Load, LoadTally } from './load.ts'

interface DriverLoadOptions {
  connection: pg.ClientConfig
  clients: number
  seed: number
  /** Every so many-th client runs explicit transactions that sleep; 0 = none. */
  transactionEvery?: number
  sleepSeconds?: number
  /** Milliseconds between two statements or transactions of a client; none unless given. */
  pauseMs?: number
}

const PAUSE_AFTER_FAILURE_MS = 100

/** One client: connects again when its connection was lost, and counts that. */
class DriverClient {
  readonly #options: DriverLoadOptions
  readonly #tally: LoadTally
  readonly #name: string
  readonly #random: () => number
  readonly #transactions: boolean
  #client: pg.Client | undefined
  #lost = false
  #stopped = false

  constructor(options: DriverLoadOptions, tally: LoadTally, number: number) {
    const every = options.transactionEvery ?? 4
    this.#options = options
    this.#tally = tally
    this.#name = `client ${number}`
    this.#random = seeded(options.seed + number)
    this.#transactions = every > 0 && number % every === every - 1
  }

  async connect(): Promise<void> {
    const client = new pg.Client(this.#options.connection)
    const lost = () => {
      if (this.#client === client) this.#lost = true
    }
    client.on('error', lost)
    client.on('end', lost)
    this.#lost = true
    this.#client = client
    await client.connect()
    this.#lost = false
  }

  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (this.#lost) {
          this.#tally.reconnected()
          await this.connect()
        }
        await (this.#transactions ? this.#transaction() : this.#statement())
        if (this.#options.pauseMs !== undefined) await pause(this.#options.pauseMs)
      } catch (error) {
        this.#tally.failure(this.#name, error)
        await pause(PAUSE_AFTER_FAILURE_MS)
        if (this.#transactions && !this.#lost) await this.#client?.query('ROLLBACK').catch(() => undefined)
      }
    }
  }

  stop(): void {
    this.#stopped = true
  }

  async end(): Promise<void> {
    await this.#client?.end().catch(() => undefined)
  }

  async #ask(text: string, values?: readonly unknown[]): Promise<string> {
    const started = performance.now()
    const answer = await this.#client?.query<{ role: string; echo?: string }>({ text, ...(values && { values: [...values] }) })
    const row = answer?.rows[0]
    this.#tally.answered(started, row?.role)
    // an answer that belongs to somebody else is worse than an error
    if (values && row?.echo !== String(values[0])) throw new Error(`asked for ${values[0]} and got ${row?.echo}`)
    return row?.role ?? ''
  }

  async #statement(): Promise<void> {
    if (this.#random() < 0.5) await this.#ask('SELECT current_user AS role')
    else await this.#ask('SELECT $1::text AS echo, current_user AS role', [Math.floor(this.#random() * 2 ** 31)])
  }

  async #transaction(): Promise<void> {
    await this.#ask('BEGIN')
    const before = await this.#ask('SELECT current_user AS role')
    await this.#client?.query(`SELECT pg_sleep(${this.#options.sleepSeconds ?? 0.2})`)
    this.#tally.slept()
    const after = await this.#ask('SELECT $1::text AS echo, current_user AS role', [Math.floor(this.#random() * 2 ** 31)])
    await this.#ask('COMMIT')
    if (before !== after) throw new Error(`the role of a transaction changed from ${before} to ${after}`)
  }
}

/** A load whose counts can be read while it runs. */
export interface DriverLoad extends Load {
  readonly tally: LoadTally
}

/** Connects all clients, then runs them until `stop`. */
export async function startDrivers(options: DriverLoadOptions): Promise<DriverLoad> {
  const tally = new LoadTally()
  const clients = Array.from({ length: options.clients }, (_, number) => new DriverClient(options, tally, number))
  await Promise.all(clients.map((client) => client.connect()))
  const running = clients.map((client) => client.run())
  return {
    tally,
    async stop() {
      for (const client of clients) client.stop()
      await Promise.all(running)
      const result = tally.result()
      await Promise.all(clients.map((client) => client.end()))
      return result
    },
  }
}
