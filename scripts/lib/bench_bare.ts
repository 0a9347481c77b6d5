// The least that a proxy on this runtime can cost: one server connection per client, bytes passed on unread. Arguments: PORT HOST PORT.
import { pickNetwork } from '../../src/net/pick.ts'
import type { Transport } from '../../src/net/transport.ts'

const [port, host = '', serverPort] = process.argv.slice(2)
const network = pickNetwork()

/** What `from` receives goes to `to`. Loads of the benchmark never fill a socket, so nothing is held back. */
function passOn(from: Transport, to: Transport): void {
  from.setHandler({ data: (chunk) => void to.write(chunk), drain() {}, end: () => to.close(), close: () => to.close() })
}

await network.listen({ kind: 'tcp', host: '127.0.0.1', port: Number(port) }, (client) => {
  const early: Buffer[] = []
  client.setHandler({ data: (chunk) => void early.push(chunk), drain() {}, end() {}, close() {} })
  network.connect({ kind: 'tcp', host, port: Number(serverPort) }).then(
    (server) => {
      passOn(client, server)
      passOn(server, client)
      for (const chunk of early) server.write(chunk)
    },
    () => client.destroy(),
  )
})
