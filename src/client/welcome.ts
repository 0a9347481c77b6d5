// What every client is greeted with: AuthenticationOk and the server's parameters, with the client's own values; its key; and that it may ask.
import { PROTOCOL_MINOR } from '../wire/codes.ts'
import type { Parameters } from '../wire/parameters.ts'
import { authenticationOk, backendKeyData, negotiateProtocolVersion, parameterStatus, readyForQuery } from '../wire/reply.ts'
import type { StartupMessage } from '../wire/startup.ts'
import type { CancelKey } from './registry.ts'

const READY = readyForQuery('I')

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

/** All of the answer to a startup packet. */
export function welcomeMessages(
  { minor, protocolOptions }: StartupMessage,
  server: ReadonlyMap<string, string>,
  parameters: Parameters,
  { processId, key }: CancelKey,
): Buffer {
  const messages = [welcomeBytes(server, parameters), backendKeyData(processId, key), READY]
  if (minor > PROTOCOL_MINOR || protocolOptions.length > 0) {
    messages.unshift(negotiateProtocolVersion(Math.min(minor, PROTOCOL_MINOR), protocolOptions))
  }
  return Buffer.concat(messages)
}
