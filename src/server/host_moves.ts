// Sees that a host name has new addresses, and which links go to an address that it has no longer.
import { isName } from '../net/dns.ts'
import type { DnsCache } from '../net/dns_cache.ts'
import type { ServerHost } from '../settings/hosts.ts'
import type { Link } from './link.ts'

export class HostMoves {
  readonly #names: readonly string[]
  readonly #dns: DnsCache
  readonly #timeoutMs: number | undefined

  constructor(hosts: readonly ServerHost[], dns: DnsCache, timeoutMs: number) {
    this.#names = [...new Set(hosts.map(({ host }) => host).filter(isName))]
    this.#dns = dns
    this.#timeoutMs = timeoutMs > 0 ? timeoutMs : undefined
  }

  /** No host is a name: there is nothing to watch. */
  get none(): boolean {
    return this.#names.length === 0
  }

  /** Marks the links that are to be replaced. Called some times a second; names are resolved again once their time is over. */
  check(links: readonly Pick<Link, 'facts' | 'moved'>[]): void {
    if (links.length === 0) return
    for (const name of this.#names) this.#dns.refresh(name, this.#timeoutMs)
    for (const link of links) {
      const { address, serverName } = link.facts.target
      if (address.kind !== 'tcp' || !this.#names.includes(serverName)) continue
      const addresses = this.#dns.known(serverName)
      // a name that does not exist any more tells nothing of a server that serves
      if (addresses.length > 0) link.moved = !addresses.includes(address.host)
    }
  }
}
