// Tells addresses of this machine from others, and overlapping listeners apart.

const LOOPBACK_V4 = /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/
const LOOPBACK_V6 = /^(?:0{0,4}:){2,7}0{0,3}1$|^::ffff:127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i

/** Whether only this machine (or pod) can reach `address`: loopback, `localhost`, or the directory of a unix socket. */
export function isLocal(address: string): boolean {
  const host = address.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return host.startsWith('/') || host === 'localhost' || LOOPBACK_V4.test(host) || LOOPBACK_V6.test(host)
}

/** Whether two listeners on one port would collide. */
export function overlap(left: readonly string[], right: readonly string[]): boolean {
  if (left.length === 0 || right.length === 0) return false
  const everywhere = (address: string) => address === '*' || address === '0.0.0.0' || address === '::'
  if (left.some(everywhere) || right.some(everywhere)) return true
  return left.some((address) => right.includes(address))
}
