// Which host of a database a new link goes to first, which it leaves for last, and what it means when all of them failed.

import type { Clock } from '../clock.ts'
import { type ErrorCode, PgleaseError } from '../errors.ts'
import type { ServerHost } from '../settings/hosts.ts'
import type { DatabaseSettings } from '../settings/settings.ts'

/** load_balance_hosts. */
type LoadBalance = DatabaseSettings['load_balance_hosts']

/** For so long a host that failed is tried after the others. */
const AVOIDED_MS = 15_000
/** A standby learns of a new role with its next bytes of WAL. */
const LAGGING_MS = 1_000
/** What a host that did not answer is given from then on while another does: a login that comes to it must not be late. */
const SILENT_TIMEOUT_MS = 1_000
/** For so long a refused credential may be the fault of a standby that lags while its primary is away. */
const LAG_PATIENCE_MS = 5_000

/** How a host failed last. */
interface Mark {
  readonly avoidedUntilMs: number
  /** It did not answer in time. */
  readonly silent: boolean
}

/** Passes by itself, and says nothing about what was asked for. */
const isAway = ({ code, class: kind }: PgleaseError): boolean => kind === 'transient' && code !== 'login_refused' && code !== 'no_host_fits'

/** Called when a host begins to fail, or for another reason than before, and with undefined when it answers again. */
export type HostChanged = (host: ServerHost, error: PgleaseError | undefined) => void

/** Shared by all logins of one database. */
export class Hosts {
  readonly list: readonly ServerHost[]
  readonly #balance: LoadBalance
  readonly #clock: Clock
  readonly #changed: HostChanged
  readonly #marks = new Map<ServerHost, Mark>()
  /** Why a host fails, as it was told. */
  readonly #told = new Map<ServerHost, ErrorCode>()
  #turn = 0
  #used = 0
  #refusedBesideAwayMs: number | undefined

  constructor(list: readonly ServerHost[], balance: LoadBalance, clock: Clock, changed: HostChanged = () => {}) {
    this.list = list
    this.#balance = balance
    this.#clock = clock
    this.#changed = changed
  }

  get several(): boolean {
    return this.list.length > 1
  }

  /** All hosts, in the order in which one new link tries them. */
  order(): readonly ServerHost[] {
    if (!this.several) return this.list
    const inTurn = this.#balance === 'disable' ? rotated(this.list, this.#used) : this.list
    const good = inTurn.filter((host) => !this.#avoided(host))
    const rest = inTurn.filter((host) => this.#avoided(host))
    return [
      ...this.#balanced(good),
      ...this.#balanced(rest.filter((host) => !this.#silent(host))),
      ...rest.filter((host) => this.#silent(host)),
    ]
  }

  /** The next login begins with the next one. */
  nextTurn(): void {
    this.#turn++
  }

  #balanced<T>(list: readonly T[]): readonly T[] {
    if (this.#balance === 'disable') return list
    return this.#balance === 'random' ? this.#shuffled(list) : rotated(list, this.#turn)
  }

  /** The addresses of one name in their turn; those of the family that the system puts first stay first. */
  addressOrder(addresses: readonly string[]): readonly string[] {
    if (this.#balance === 'disable' || addresses.length < 2) return addresses
    const isSix = (address: string) => address.includes(':')
    const six = isSix(addresses[0] as string)
    const first = addresses.filter((address) => isSix(address) === six)
    const second = addresses.filter((address) => isSix(address) !== six)
    if (this.#balance === 'random') return [...this.#shuffled(first), ...this.#shuffled(second)]
    // hosts are taken in turn as well: each of them counts its rounds
    const round = Math.floor(this.#turn / this.list.length)
    return [...rotated(first, round), ...rotated(second, round)]
  }

  /** Milliseconds that this host may take, of `timeoutMs` (0 = no limit). */
  timeoutMs(host: ServerHost, timeoutMs: number): number {
    if (!this.#silent(host) || this.list.every((one) => this.#silent(one))) return timeoutMs
    return timeoutMs === 0 ? SILENT_TIMEOUT_MS : Math.min(timeoutMs, SILENT_TIMEOUT_MS)
  }

  succeeded(host: ServerHost): void {
    this.#marks.delete(host)
    this.#used = this.list.indexOf(host)
    this.#refusedBesideAwayMs = undefined
    this.#answers(host)
  }

  failed(host: ServerHost, error: PgleaseError): void {
    const { code } = error
    const forMs = code === 'login_refused' ? LAGGING_MS : AVOIDED_MS
    this.#marks.set(host, { avoidedUntilMs: this.#clock.monotonicMs() + forMs, silent: code === 'connect_timeout' })
    // one that is not what was asked for is well
    if (code === 'no_host_fits') return this.#answers(host)
    if (!this.several || this.#told.get(host) === code) return
    this.#told.set(host, code)
    this.#changed(host, error)
  }

  /**
   * What the failures of all hosts together are. A cause that passes by itself comes before one that does not, and a refused
   * credential, while another host is away, is told only after some time: the one that refused may be a standby that lags.
   */
  verdict(failures: readonly PgleaseError[]): PgleaseError {
    const [first] = failures
    if (first === undefined) return new PgleaseError('host_not_found', 'no host is configured')
    if (failures.length === 1) return first
    const refused = failures.find(({ code }) => code === 'login_refused')
    const away = failures.find(isAway)
    const passing = away ?? failures.find(({ code }) => code === 'no_host_fits')
    let cause = refused ?? passing ?? (failures[failures.length - 1] as PgleaseError)
    if (refused !== undefined && away !== undefined) {
      const nowMs = this.#clock.monotonicMs()
      this.#refusedBesideAwayMs ??= nowMs
      if (nowMs - this.#refusedBesideAwayMs < LAG_PATIENCE_MS) cause = away
    } else this.#refusedBesideAwayMs = undefined
    return new PgleaseError(cause.code, failures.map(({ detail }) => detail).join('; '))
  }

  #answers(host: ServerHost): void {
    if (this.#told.delete(host)) this.#changed(host, undefined)
  }

  #avoided(host: ServerHost): boolean {
    const mark = this.#marks.get(host)
    return mark !== undefined && this.#clock.monotonicMs() < mark.avoidedUntilMs
  }

  #silent(host: ServerHost): boolean {
    return this.#marks.get(host)?.silent === true
  }

  #shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list]
    const result: T[] = []
    while (rest.length > 0) result.push(...rest.splice(Math.floor(this.#clock.random() * rest.length), 1))
    return result
  }
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  if (list.length === 0) return list
  const start = by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}
