// Keeps the addresses of host names for a while, so that a server that moves is found without a restart.
import type { Clock } from '../clock.ts'
import { resolveHost } from './dns.ts'
import { TransportError } from './transport.ts'

/** dns_max_ttl and dns_nxdomain_ttl, milliseconds. */
export interface DnsTimes {
  readonly maxTtlMs: number
  readonly nxdomainTtlMs: number
}

interface Entry {
  /** Empty = the name does not exist. */
  readonly addresses: readonly string[]
  readonly untilMs: number
}

type Lookup = (host: string, timeoutMs: number | undefined, clock: Clock) => Promise<string[]>

/** For so long a resolver that failed is left alone while there are addresses. */
const STALE_MS = 1_000

/** What resolvers answer when a name does not exist or has no address. */
const NO_SUCH_NAME = new Set(['ENOTFOUND', 'EAI_NONAME', 'EAI_NODATA', 'ENODATA'])

export class DnsCache {
  readonly #times: DnsTimes
  readonly #clock: Clock
  readonly #lookup: Lookup
  readonly #entries = new Map<string, Entry>()
  /** One question at a time for each name. */
  readonly #asking = new Map<string, Promise<readonly string[]>>()

  constructor(times: DnsTimes, clock: Clock, lookup: Lookup = resolveHost) {
    this.#times = times
    this.#clock = clock
    this.#lookup = lookup
  }

  /** As resolveHost. While the resolver does not answer, the addresses that it gave last are used on. */
  async resolve(host: string, timeoutMs: number | undefined): Promise<readonly string[]> {
    const known = this.#entries.get(host)
    if (known !== undefined && this.#clock.monotonicMs() < known.untilMs) return found(host, known.addresses)
    return found(host, await this.#askOnce(host, timeoutMs, known))
  }

  /** Resolves a name again that was resolved before, once its time is over; `known` tells the outcome later. */
  refresh(host: string, timeoutMs: number | undefined): void {
    const known = this.#entries.get(host)
    if (known === undefined || this.#clock.monotonicMs() < known.untilMs) return
    // a resolver that fails is asked again, and whoever needs the answer is told
    this.#askOnce(host, timeoutMs, known).catch(() => {})
  }

  /** The addresses that the resolver gave last; none for a name that is not known or does not exist. */
  known(host: string): readonly string[] {
    return this.#entries.get(host)?.addresses ?? []
  }

  /** No server answered there as it should: the next `resolve` asks anew. A name that does not exist stays so for its time. */
  doubt(host: string): void {
    const known = this.#entries.get(host)
    if (known !== undefined && known.addresses.length > 0) this.#entries.set(host, { ...known, untilMs: 0 })
  }

  #askOnce(host: string, timeoutMs: number | undefined, known: Entry | undefined): Promise<readonly string[]> {
    const underWay = this.#asking.get(host)
    if (underWay !== undefined) return underWay
    const asking = this.#ask(host, timeoutMs, known).finally(() => this.#asking.delete(host))
    this.#asking.set(host, asking)
    return asking
  }

  async #ask(host: string, timeoutMs: number | undefined, known: Entry | undefined): Promise<readonly string[]> {
    try {
      return this.#keep(host, await this.#lookup(host, timeoutMs, this.#clock), this.#times.maxTtlMs)
    } catch (error) {
      if (!(error instanceof TransportError)) throw error
      if (NO_SUCH_NAME.has(error.code)) return this.#keep(host, [], this.#times.nxdomainTtlMs)
      if (known === undefined || known.addresses.length === 0) throw error
      return this.#keep(host, known.addresses, Math.min(this.#times.maxTtlMs, STALE_MS))
    }
  }

  #keep(host: string, addresses: readonly string[], ttlMs: number): readonly string[] {
    this.#entries.set(host, { addresses, untilMs: this.#clock.monotonicMs() + ttlMs })
    return addresses
  }
}

function found(host: string, addresses: readonly string[]): readonly string[] {
  if (addresses.length > 0) return addresses
  throw new TransportError('ENOTFOUND', `resolve ${host}: ENOTFOUND`)
}
