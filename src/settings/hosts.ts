// The hosts of a database: names and ports paired as libpq pairs them.
import { withoutBrackets } from './local.ts'

export interface ServerHost {
  /** Host name, address, or (beginning with `/`) the directory of a unix socket. */
  readonly host: string
  readonly port: number
}

/** For comparison. */
export const hostText = ({ host, port }: ServerHost): string => `${host}:${port}`

export const DEFAULT_PORT = 5432

/** The names in a `host` setting, in order; a name may come twice, with another port. */
export const hostNames = (host: string): readonly string[] => host.split(',').map((name) => name.trim())

/** One port holds for every host, else each host has its own. */
export function hostsOf(host: string, ports: readonly number[]): readonly ServerHost[] {
  const pairs = hostNames(host).map((name, index) => ({
    host: withoutBrackets(name),
    port: (ports.length === 1 ? ports[0] : ports[index]) ?? DEFAULT_PORT,
  }))
  return Object.freeze(pairs)
}
