// What every client is greeted with: AuthenticationOk and the server's parameters, with the client's own values.
import type { Parameters } from '../wire/parameters.ts'
import { authenticationOk, parameterStatus } from '../wire/reply.ts'

/** The last greeting for what a server reported: clients of one application ask for the same values. */
const remembered = new WeakMap<ReadonlyMap<string, string>, { readonly key: string; readonly bytes: Buffer }>()

/** `server`: what it reported at login, by its spelling; never changed afterwards. */
export function welcomeBytes(server: ReadonlyMap<string, string>, parameters: Parameters): Buffer {
  const known = remembered.get(server)
  if (known !== undefined && known.key === parameters.key) return known.bytes
  const messages = [authenticationOk()]
  for (const [name, value] of server) {
    const index = parameters.names.index(name)
    messages.push(parameterStatus(name, index < 0 ? value : (parameters.values[index] ?? value)))
  }
  const bytes = Buffer.concat(messages)
  remembered.set(server, { key: parameters.key, bytes })
  return bytes
}
