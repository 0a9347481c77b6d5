// Opens the ports and sockets on which clients connect.
import type { Log } from './log.ts'
import { addressText } from './net/address.ts'
import { type Listener, type Network, type Transport, TransportError } from './net/transport.ts'
import type { LoadedSettings } from './settings/settings.ts'

/** What to do, by what the system said. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'Create the directory, or',
  ENOTDIR: 'Name a directory, or',
  EACCES: 'Let pglease have it, or',
  EPERM: 'Let pglease have it, or',
  EROFS: 'Make it writable, or',
  EADDRNOTAVAIL: 'This machine has no such address:',
  ENOTFOUND: 'There is no such name:',
  ELISTEN: 'Is it an address of this machine? Else',
}

/** A port or socket that cannot be had: exit status 69. `setting` names what to change. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  constructor(setting: string, cause: unknown) {
    const message = cause instanceof Error ? cause.message.replace(/[.?]+$/, '') : 'the listener could not be opened'
    const remedy = (cause instanceof TransportError && REMEDIES[cause.code]) || 'Free it, or'
    super(`${message}. ${remedy} set ${setting} to another one.`)
  }
}

/** IPv6 is missing on many a machine; its loopback address is optional as long as nobody asked for it. */
const OPTIONAL_ADDRESS = '::1'
const MISSING = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT'])

/** Every listener of `listen_addr` and `unix_socket_dir`. Rejects with a ListenError, and then none is left open. */
export async function openListeners(
  { settings, sources }: LoadedSettings,
  network: Network,
  log: Log,
  accept: (transport: Transport) => void,
): Promise<Listener[]> {
  const listeners: Listener[] = []
  const optional = sources.get('listen_addr') === 'built-in'
  let port = settings.listen_port
  try {
    for (const host of settings.listen_addr) {
      try {
        const listener = await network.listen({ kind: 'tcp', host, port }, accept)
        listeners.push(listener)
        // with port 0 every address gets the port of the first
        if (listener.address.kind === 'tcp') port = listener.address.port
      } catch (error) {
        if (optional && host === OPTIONAL_ADDRESS && error instanceof TransportError && MISSING.has(error.code)) continue
        throw new ListenError('listen_addr or listen_port', error)
      }
    }
    if (settings.unix_socket_dir !== undefined) {
      const path = `${settings.unix_socket_dir}/.s.PGSQL.${port}`
      try {
        listeners.push(await network.listen({ kind: 'unix', path }, accept, settings.unix_socket_mode))
      } catch (error) {
        throw new ListenError('unix_socket_dir', error)
      }
    }
  } catch (error) {
    for (const listener of listeners) listener.close()
    throw error
  }
  for (const { address } of listeners) {
    const text = addressText(address)
    const facts = address.kind === 'unix' ? { kind: 'unix', address: address.path } : { kind: 'database', address: text }
    log.info('listening', `listening on ${text}`, facts)
  }
  return listeners
}
