// Tells addresses of this machine from others, and overlapping listeners apart.

/** A unix socket's path must fit into the system's sun_path, 108 bytes with its end. */
const LONGEST_SOCKET_PATH = 107
const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/
const LOOPBACK_V6 = /^(?:0{0,4}:){2,7}0{0,3}1$|^::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i

/** An IPv6 address as systems take it: in a URL it stands in brackets. */
export const withoutBrackets = (address: string): string => address.replace(/^\[(.*)\]$/, '$1')

/** Whether only this machine (or pod) can reach `address`: loopback, `localhost`, or the directory of a unix socket. */
export function isLocal(address: string): boolean {
  const host = withoutBrackets(address).toLowerCase()
  return host.startsWith('/') || host === 'localhost' || LOOPBACK_V4.test(host) || LOOPBACK_V6.test(host)
}

/** Whether the socket that PostgreSQL and its clients name after `port` can be in `directory`. */
export function fitsSocket(directory: string, port: number): boolean {
  return Buffer.byteLength(`${directory}/.s.PGSQL.${port}`) <= LONGEST_SOCKET_PATH
}

/** Whether two listeners on one port would collide. */
export function overlap(left: readonly string[], right: readonly string[]): boolean {
  if (left.length === 0 || right.length === 0) return false
  const everywhere = (address: string) => address === '*' || address === '0.0.0.0' || address === '::'
  if (left.some(everywhere) || right.some(everywhere)) return true
  return left.some((address) => right.includes(address))
}
