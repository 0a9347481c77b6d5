// A Vault inside the test: tokens and leases that end by the fake clock, every request recorded, and faults on demand.
import type { Clock } from '../../src/clock.ts'
import type { Fetch } from '../../src/vault/api.ts'

interface FakeRequest {
  /** `GET database/creds/app`. */
  line: string
  token: string
  body: Record<string, unknown>
  headers: Headers
}

interface FakeToken {
  name: string
  endMs: number
  /** The end that no renewal moves. */
  maxMs: number
}

interface FakeLease {
  id: string
  token: string
  endMs: number
  /** The second of the wall clock in which it was issued. */
  issuedSecond: number
  maxSeconds: number
}

/** What a fault does: answers, never answers, breaks the connection, or answers as if nothing were (`carry`) but the answer is lost. */
type Fault = { status: number; body?: unknown; headers?: Record<string, string> } | 'hang' | 'refuse' | 'lose'

const VAULT_PATH = 'database/creds/app'

export class FakeVault {
  /** Seconds, as a role of Vault has them; a token's 0 = it never ends. */
  tokenTtl = 600
  tokenMax = 36_000
  leaseTtl = 60
  leaseMax = 600
  leaseRenewable = true
  /** Milliseconds that every request takes. */
  latencyMs = 0
  readonly requests: FakeRequest[] = []
  readonly tokens = new Map<string, FakeToken>()
  readonly leases = new Map<string, FakeLease>()
  readonly #clock: Clock
  #faults: { pattern: RegExp; fault: Fault; times: number }[] = []
  #delays: { pattern: RegExp; until: Promise<void> }[] = []
  #number = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get path(): string {
    return VAULT_PATH
  }

  /** The next `times` requests whose line matches meet `fault`. */
  fail(pattern: RegExp, fault: Fault, times = 1): void {
    this.#faults.push({ pattern, fault, times })
  }

  heal(): void {
    this.#faults = []
  }

  /** The next request whose line matches is carried out when the answer is called. */
  delay(pattern: RegExp): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#delays.push({ pattern, until: promise })
    return resolve
  }

  count(pattern: RegExp): number {
    return this.requests.filter(({ line }) => pattern.test(line)).length
  }

  /** Drops a token and, with it, its leases. */
  revokeToken(name: string): void {
    this.tokens.delete(name)
    for (const lease of [...this.leases.values()]) if (lease.token === name) this.leases.delete(lease.id)
  }

  /** Makes a token as an operator would. */
  issueToken(ttl: number, max = ttl): string {
    const name = `token-${++this.#number}`
    const now = this.#clock.monotonicMs()
    this.tokens.set(name, {
      name,
      endMs: now + (ttl || Number.POSITIVE_INFINITY) * 1000,
      maxMs: now + (max || Number.POSITIVE_INFINITY) * 1000,
    })
    return name
  }

  readonly fetch: Fetch = async (input, init) => {
    const request = input instanceof Request ? new Request(input, init) : new Request(String(input), init)
    const url = new URL(request.url)
    const text = await request.text()
    const seen: FakeRequest = {
      line: `${request.method} ${url.pathname.replace(/^\/v1\//, '')}`,
      token: request.headers.get('x-vault-token') ?? '',
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
      headers: request.headers,
    }
    this.requests.push(seen)
    const delayed = this.#delays.find(({ pattern }) => pattern.test(seen.line))
    this.#delays = this.#delays.filter((one) => one !== delayed)
    await delayed?.until
    if (this.latencyMs > 0) await new Promise<void>((resolve) => this.#clock.after(this.latencyMs, resolve))
    this.#expire()
    const fault = this.#take(seen.line)
    if (fault === undefined) return this.#answer(seen)
    if (fault === 'hang') return new Promise<Response>(() => undefined)
    if (fault === 'refuse') throw Object.assign(new Error('Unable to connect'), { code: 'ConnectionRefused' })
    if (fault === 'lose') {
      this.#answer(seen)
      throw Object.assign(new Error('The socket connection was closed unexpectedly'), { code: 'ECONNRESET' })
    }
    return json(fault.status, fault.body ?? {}, fault.headers)
  }

  #take(line: string): Fault | undefined {
    const found = this.#faults.find(({ pattern, times }) => times > 0 && pattern.test(line))
    if (found === undefined) return undefined
    found.times--
    return found.fault
  }

  #expire(): void {
    const now = this.#clock.monotonicMs()
    for (const token of [...this.tokens.values()]) if (token.endMs <= now) this.revokeToken(token.name)
    for (const lease of [...this.leases.values()]) if (lease.endMs <= now) this.leases.delete(lease.id)
  }

  #answer(request: FakeRequest): Response {
    const { line, body } = request
    if (line === 'GET sys/health') return json(200, { sealed: false })
    if (/^POST auth\/\w+\/login$/.test(line)) {
      const name = this.issueToken(this.tokenTtl, this.tokenMax)
      return json(200, { auth: { client_token: name, accessor: `of-${name}`, lease_duration: this.tokenTtl, renewable: true } })
    }
    const token = this.tokens.get(request.token)
    if (token === undefined) return json(403, { errors: ['permission denied', 'invalid token'] })
    if (line === `GET ${VAULT_PATH}`) return this.#creds(token)
    if (line === 'PUT sys/leases/renew') return this.#renewLease(String(body.lease_id), Number(body.increment))
    if (line.startsWith('PUT sys/leases/revoke/')) {
      this.leases.delete(decodeURIComponent(line.replace('PUT sys/leases/revoke/', '')))
      return new Response(null, { status: 204 })
    }
    return this.#tokenRequest(line, token, body)
  }

  #second(): number {
    return Math.floor(this.#clock.wallMs() / 1000)
  }

  #creds(token: FakeToken): Response {
    const id = `${VAULT_PATH}/lease-${++this.#number}`
    const now = this.#clock.monotonicMs()
    this.leases.set(id, {
      id,
      token: token.name,
      endMs: now + this.leaseTtl * 1000,
      issuedSecond: this.#second(),
      maxSeconds: this.leaseMax,
    })
    const data = { username: `v-${this.#number}`, password: `password-${this.#number}` }
    return json(200, { lease_id: id, lease_duration: this.leaseTtl, renewable: this.leaseRenewable, data })
  }

  #renewLease(id: string, increment: number): Response {
    const lease = this.leases.get(id)
    if (lease === undefined) return json(400, { errors: ['lease not found'] })
    // Vault counts in whole seconds of the wall clock, so that the last grant may reach a little beyond the maximum
    const grant = Math.min(increment, lease.issuedSecond + lease.maxSeconds - this.#second())
    if (grant <= 0) return json(400, { errors: ['failed to renew entry: err: past the max TTL, cannot renew'] })
    lease.endMs = this.#clock.monotonicMs() + grant * 1000
    return json(200, { lease_id: id, lease_duration: grant, renewable: true })
  }

  #tokenRequest(line: string, token: FakeToken, body: Record<string, unknown>): Response {
    const now = this.#clock.monotonicMs()
    if (line === 'PUT auth/token/renew-self') {
      token.endMs = Math.min(now + Number.parseInt(String(body.increment), 10) * 1000, token.maxMs)
      return json(200, { auth: { lease_duration: Math.floor((token.endMs - now) / 1000), renewable: true } })
    }
    if (line === 'GET auth/token/lookup-self') {
      const ends = Number.isFinite(token.endMs)
      const ttl = ends ? Math.floor((token.endMs - now) / 1000) : 0
      return json(200, {
        data: { accessor: `of-${token.name}`, ttl, expire_time: ends ? 'a date' : null, renewable: ends, type: 'service' },
      })
    }
    if (line === 'PUT auth/token/revoke-self') {
      this.revokeToken(token.name)
      return new Response(null, { status: 204 })
    }
    return json(404, { errors: [] })
  }
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } })
}
