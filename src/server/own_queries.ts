// The queries of a link's own, whose replies are swallowed: what pglease sets or resets, and what it asks while a user has the link.
import { ASKED } from '../wire/asked.ts'
import type { Ledger } from '../wire/ledger.ts'
import { decodeDataRow, query } from '../wire/pgprotocol.ts'
import { parseFields, type ReplyFields } from '../wire/reply.ts'

type Done = (error: ReplyFields | undefined) => void

export class OwnQueries {
  /** What runs while a user has the link. */
  question: 'none' | 'own' | 'role' = 'none'
  #done: Done | null = null
  #error: ReplyFields | undefined
  /** The first column of its rows, where they are wanted. */
  #values: string[] | null = null
  readonly #ledger: Ledger

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /** Stands for the query that runs: another one is another object. */
  get running(): object | null {
    return this.#done
  }

  /** The next reply answers the query that runs. */
  get answeredNext(): boolean {
    return this.#done !== null && this.#ledger.head === ASKED.inventedQuery
  }

  /** The message to send; `done` is called by `end`. */
  begin(sql: string, done: Done, values: string[] | null = null): Buffer {
    this.#done = done
    this.#error = undefined
    this.#values = values
    this.#ledger.asked(ASKED.inventedQuery)
    return query(sql)
  }

  /** Its rows are wanted, each whole. */
  get collects(): boolean {
    return this.#done !== null && this.#values !== null
  }

  /** A DataRow that begins at `position` answers it. */
  collect(buffer: Buffer, position: number, total: number): void {
    const row = decodeDataRow(buffer.subarray(position, position + total))
    this.#values?.push(row?.[0] ?? '')
  }

  /** The ErrorResponse with its body between `start` and `end` answers it. */
  failed(buffer: Buffer, start: number, end: number): void {
    this.#error = parseFields(buffer, start, end)
  }

  /** Nothing is owed: what runs is done. False: nothing ran. */
  end(): boolean {
    const done = this.#done
    if (done === null || !this.#ledger.quiet) return false
    this.#done = null
    done(this.#error)
    return true
  }

  /** The link is over: nobody waits for the answer. */
  drop(): void {
    this.#done = null
  }
}
