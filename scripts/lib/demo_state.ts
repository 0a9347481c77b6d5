// What the demo knows at a moment: everything that its view shows.

export interface DemoEvent {
  /** Since the demo began. */
  atMs: number
  text: string
  kind: 'note' | 'rotation' | 'failure'
}

interface LongTransaction {
  role: string
  beganMs: number
  statements: number
  /** Rotations since it began. */
  rotationsInside: number
}

export class DemoState {
  readonly vaultName: string
  readonly ttlSeconds: number
  readonly maxTtlSeconds: number
  readonly #startedMs = performance.now()
  queries = 0
  failed = 0
  committed = 0
  /** In the order in which the repeating client saw them; the last is the current one. */
  readonly roles: string[] = []
  roleSinceMs = 0
  transaction: LongTransaction | undefined
  /** From pglease's metrics. */
  generation: number | undefined
  leaseRemainingSeconds: number | undefined
  /** Leased roles that PostgreSQL has now. */
  alive: readonly string[] = []
  readonly events: DemoEvent[] = []
  onEvent: (event: DemoEvent) => void = () => undefined

  constructor(vaultName: string, ttlSeconds: number) {
    this.vaultName = vaultName
    this.ttlSeconds = ttlSeconds
    this.maxTtlSeconds = ttlSeconds * 3
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  get role(): string | undefined {
    return this.roles.at(-1)
  }

  get rotations(): number {
    return Math.max(0, this.roles.length - 1)
  }

  tell(kind: DemoEvent['kind'], text: string): void {
    const event = { atMs: this.elapsedMs, text, kind }
    this.events.push(event)
    this.onEvent(event)
  }

  /** The repeating client's answer. */
  saw(role: string): void {
    if (role === this.role) return
    const before = this.role
    this.roles.push(role)
    this.roleSinceMs = this.elapsedMs
    if (before === undefined) return this.tell('note', `the client is ${role}`)
    if (this.transaction) this.transaction.rotationsInside++
    this.tell('rotation', `the same connection is ${role} now`)
  }

  failure(what: string, error: unknown): void {
    this.failed++
    this.tell('failure', `${what} FAILED: ${error instanceof Error ? error.message : error}`)
  }

  /** PostgreSQL's list of leased roles. */
  nowAlive(roles: readonly string[]): void {
    for (const role of this.alive) if (!roles.includes(role)) this.tell('note', `${role} was dropped`)
    this.alive = roles
  }

  /** The last line of a run. */
  summary(): string {
    return `queries ${this.queries}, failed ${this.failed}, roles seen ${new Set(this.roles).size}`
  }
}
