// The network on Bun's native sockets: the data path with the least JavaScript between kernel and relay.
import { addressText, transportError } from './address.ts'
import { BunTransport, events, type Socket } from './bun_transport.ts'
import { type BunEndpoint, bunRuntime } from './bun_types.ts'
import { removeStaleSocket, withMode } from './socket_file.ts'
import { type Address, type Listener, type Network, TransportError } from './transport.ts'

const endpoint = (address: Address): BunEndpoint =>
  address.kind === 'unix' ? { unix: address.path } : { hostname: address.host, port: address.port }

/** The network of a process that runs on Bun. */
export function bunNetwork(): Network {
  const runtime = bunRuntime
  if (runtime === undefined) throw new Error('not running on Bun')
  return {
    connect(address, signal) {
      return new Promise((resolve, reject) => {
        const abandoned = () => reject(new TransportError('ABORT_ERR', `connect to ${addressText(address)}: abandoned`))
        if (signal?.aborted) return abandoned()
        signal?.addEventListener('abort', abandoned, { once: true })
        const open = (socket: Socket) => {
          signal?.removeEventListener('abort', abandoned)
          if (signal?.aborted) return socket.terminate()
          socket.data = new BunTransport(socket, address)
          resolve(socket.data)
        }
        const failed = (error: unknown) => {
          signal?.removeEventListener('abort', abandoned)
          reject(transportError(error, `connect to ${addressText(address)}`, 'ECONNFAILED'))
        }
        runtime
          .connect<BunTransport>({
            ...endpoint(address),
            data: undefined as unknown as BunTransport,
            allowHalfOpen: true,
            socket: { ...events, open, connectError: (_socket, error) => failed(error) },
          })
          .catch(failed)
      })
    },

    async listen(address, accept, mode) {
      const open = (socket: Socket) => {
        socket.data = new BunTransport(socket, address)
        accept(socket.data)
      }
      const bind = () => runtime.listen<BunTransport>({ ...endpoint(address), allowHalfOpen: true, socket: { ...events, open } })
      try {
        if (address.kind === 'tcp') {
          const listener = bind()
          return { address: { ...address, port: listener.port ?? address.port }, close: () => listener.stop() }
        }
        await removeStaleSocket(address.path)
        const listener = withMode(mode, bind)
        return { address, close: () => listener.stop() } satisfies Listener
      } catch (error) {
        // Bun has a code for every cause but one: the machine has no IPv6 at all
        const fallback = address.kind === 'tcp' && address.host.includes(':') ? 'EAFNOSUPPORT' : 'ELISTEN'
        throw transportError(error, `listen on ${addressText(address)}`, fallback)
      }
    },
  }
}
