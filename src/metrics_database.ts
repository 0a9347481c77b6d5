// What the data path counts: typed arrays, no allocation, no library.

/** Upper bounds of the buckets, in milliseconds. */
export const BUCKETS_MS: readonly number[] = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000, 5000, 15_000, 60_000]
const BOUNDS_MS = Float64Array.from(BUCKETS_MS)
export const BUCKETS_SECONDS = BUCKETS_MS.map((bound) => bound / 1000)
/** Each histogram's places: one per bucket, one beyond the last bound, the sum in milliseconds. */
const OVERFLOW = BOUNDS_MS.length
const SUM = OVERFLOW + 1
const PLACES = SUM + 1

/** Durations in fixed buckets (not cumulative: that is arithmetic of the scrape). */
export class Durations {
  readonly places = new Float64Array(PLACES)

  /** Allocates nothing. A clock that ran backwards counts as 0. */
  observe(ms: number): void {
    const value = Math.max(0, ms)
    let place = 0
    while (place < OVERFLOW && value > BOUNDS_MS[place]!) place++
    const places = this.places
    places[place]! += 1
    places[SUM]! += value
  }

  get sumMs(): number {
    return this.places[SUM]!
  }

  get count(): number {
    let count = 0
    for (let place = 0; place <= OVERFLOW; place++) count += this.places[place]!
    return count
  }
}

/** Indices of `DatabaseMetrics.counters`. */
export const QUERIES = 0
export const TRANSACTIONS = 1
export const BYTES_FROM_CLIENT = 2
export const BYTES_TO_CLIENT = 3
export const PINS = 4
export const NOTIFICATIONS = 5
export const PLAN_CHANGES = 6

/** What the data path of one configured database counts. No method allocates; hot code may write `counters` itself. */
export class DatabaseMetrics {
  readonly name: string
  readonly counters = new Float64Array(7)
  readonly wait = new Durations()
  readonly transaction = new Durations()
  readonly query = new Durations()

  constructor(name: string) {
    this.name = name
  }

  addQuery(): void {
    this.counters[QUERIES]! += 1
  }

  addTransaction(): void {
    this.counters[TRANSACTIONS]! += 1
  }

  addPin(): void {
    this.counters[PINS]! += 1
  }

  addNotification(): void {
    this.counters[NOTIFICATIONS]! += 1
  }

  addPlanChange(): void {
    this.counters[PLAN_CHANGES]! += 1
  }

  addBytesFromClient(bytes: number): void {
    this.counters[BYTES_FROM_CLIENT]! += bytes
  }

  addBytesToClient(bytes: number): void {
    this.counters[BYTES_TO_CLIENT]! += bytes
  }

  /** Milliseconds from asking for a link to getting one (or giving up). */
  observeWaitMs(ms: number): void {
    this.wait.observe(ms)
  }

  /** Milliseconds from checkout to release. */
  observeTransactionMs(ms: number): void {
    this.transaction.observe(ms)
  }

  /** Milliseconds from forwarding a Query or Sync to its ReadyForQuery. */
  observeQueryMs(ms: number): void {
    this.query.observe(ms)
  }

  get pins(): number {
    return this.counters[PINS]!
  }

  get notifications(): number {
    return this.counters[NOTIFICATIONS]!
  }

  get planChanges(): number {
    return this.counters[PLAN_CHANGES]!
  }

  get queries(): number {
    return this.counters[QUERIES]!
  }

  get transactions(): number {
    return this.counters[TRANSACTIONS]!
  }

  get bytesFromClient(): number {
    return this.counters[BYTES_FROM_CLIENT]!
  }

  get bytesToClient(): number {
    return this.counters[BYTES_TO_CLIENT]!
  }
}

/** The counts up to each bound of `BUCKETS_MS` and, last, of all. */
export function cumulative(durations: Durations): number[] {
  let count = 0
  return [...durations.places.subarray(0, SUM)].map((here) => {
    count += here
    return count
  })
}
