// What every load reports: queries, failures, lost connections, the worst query, and the roles that answered.

/** Failures that are kept to be shown; all are counted. */
const KEPT_FAILURES = 20

export interface LoadResult {
  queries: number
  failed: number
  /** The first failures, each with the time since the load began. */
  failures: readonly string[]
  /** Connections that ended without being asked to. */
  reconnects: number
  /** The longest that one query took, statements that sleep left out. */
  worstMs: number
  /** When the worst query began, in seconds since the load began. */
  worstAtSeconds: number
  /** `current_user` of the answers, in the order of first appearance. */
  roles: readonly string[]
}

/** A load that runs until it is told to stop. */
export interface Load {
  stop(): Promise<LoadResult>
}

/** Counts for one load, whatever the number of its clients. */
export class LoadTally {
  readonly #began = performance.now()
  readonly #failures: string[] = []
  readonly #roles = new Set<string>()
  readonly #failedBy = new Map<string, number>()
  #queries = 0
  #failed = 0
  #reconnects = 0
  #worstMs = 0
  #worstAtMs = 0

  /** One query that began at `startedMs` (`performance.now()`) succeeded now. */
  answered(startedMs: number, role?: string): void {
    this.#queries++
    if (role !== undefined) this.#roles.add(role)
    const ms = performance.now() - startedMs
    if (ms <= this.#worstMs) return
    this.#worstMs = ms
    this.#worstAtMs = startedMs - this.#began
  }

  /** A statement that sleeps succeeded: its time is its own. */
  slept(): void {
    this.#queries++
  }

  failure(what: string, error: unknown): void {
    this.#failed++
    this.#failedBy.set(what, (this.#failedBy.get(what) ?? 0) + 1)
    if (this.#failures.length >= KEPT_FAILURES) return
    const { code, message, detail } = error as { code?: string; message?: string; detail?: string }
    const said = `${code === undefined ? '' : `${code} `}${message ?? error}${detail === undefined ? '' : ` (${detail})`}`
    this.#failures.push(`${((performance.now() - this.#began) / 1000).toFixed(2)} s, ${what}: ${said}`)
  }

  reconnected(): void {
    this.#reconnects++
  }

  /** Failures so far, by who had them. */
  get failedBy(): ReadonlyMap<string, number> {
    return new Map(this.#failedBy)
  }

  result(): LoadResult {
    return {
      queries: this.#queries,
      failed: this.#failed,
      failures: [...this.#failures],
      reconnects: this.#reconnects,
      worstMs: this.#worstMs,
      worstAtSeconds: this.#worstAtMs / 1000,
      roles: [...this.#roles],
    }
  }
}
