// Host names to addresses, in bounded time.
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Clock, systemClock } from '../clock.ts'
import { transportError } from './address.ts'
import { TransportError } from './transport.ts'

const DEFAULT_TIMEOUT_MS = 5000

const unbracketed = (host: string): string => (host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host)

/** Not a literal address, and not the directory of a unix socket. */
export const isName = (host: string): boolean => !host.startsWith('/') && isIP(unbracketed(host)) === 0

/**
 * All addresses of `host` in the system's order (getaddrinfo: /etc/hosts and search domains count); a literal address,
 * also in brackets, is its own. Rejects with a TransportError: ENOTFOUND, EAI_AGAIN, or ETIMEDOUT after `timeoutMs`.
 */
export async function resolveHost(host: string, timeoutMs = DEFAULT_TIMEOUT_MS, clock: Clock = systemClock): Promise<string[]> {
  if (!isName(host)) return [unbracketed(host)]
  const late = Promise.withResolvers<never>()
  const timer = clock.after(timeoutMs, () =>
    late.reject(new TransportError('ETIMEDOUT', `resolve ${host}: no answer within ${timeoutMs} ms`)),
  )
  try {
    const found = await Promise.race([lookup(host, { all: true, order: 'verbatim' }), late.promise])
    return [...new Set(found.map((entry) => entry.address))]
  } catch (error) {
    throw transportError(error, `resolve ${host}`, 'ENOTFOUND')
  } finally {
    timer.cancel()
  }
}
