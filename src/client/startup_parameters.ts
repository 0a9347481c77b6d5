// What of a client's startup packet a session, or a replication connection, begins with.
import { PgleaseError } from '../errors.ts'
import type { ReplicationRequest } from '../server/replication_link.ts'
import { type ParameterNames, Parameters } from '../wire/parameters.ts'
import { parseOptions, type ReplicationKind, type StartupMessage } from '../wire/startup.ts'

/** Names and values of a client's own. */
export type Wishes = readonly (readonly [string, string])[]

/** The last session's beginning after what a server reported: clients of one application wish for the same. */
const remembered = new WeakMap<ReadonlyMap<string, string>, { readonly wanted: Wishes; readonly parameters: Parameters }>()

/** The values that a session begins with: what the `server` reported at login (never changed afterwards), or what is `wanted` in its place. */
export function initialParameters(server: ReadonlyMap<string, string>, wanted: Wishes, names: ParameterNames): Parameters {
  const known = remembered.get(server)
  if (known !== undefined && known.parameters.names === names && isSame(known.wanted, wanted)) return known.parameters.copy()
  const parameters = new Parameters(names)
  for (const [name, value] of server) parameters.set(name, value)
  for (const [name, value] of wanted) parameters.set(name, value)
  remembered.set(server, { wanted, parameters })
  return parameters.copy()
}

const isSame = (first: Wishes, second: Wishes): boolean =>
  first === second ||
  (first.length === second.length && first.every(([name, value], index) => name === second[index]?.[0] && value === second[index]?.[1]))

/** The tracked parameters; all others must be ignorable (`ignored`), because a pooled server cannot have them per client. */
export function trackedParameters(startup: StartupMessage, names: ParameterNames, ignoredNames: readonly string[]): PgleaseError | Wishes {
  const ignored = new Set(ignoredNames.map((name) => name.toLowerCase()))
  const wanted: [string, string][] = []
  const options = ignored.has('options') ? { kind: 'options' as const, options: [] } : parseOptions(startup.options)
  if (options.kind === 'error') return new PgleaseError('bad_startup_packet', options.detail)
  for (const { name, value } of options.options) {
    if (names.index(name) >= 0) wanted.push([name, value])
    else if (!ignored.has(name.toLowerCase())) return new PgleaseError('unsupported_startup_option', name)
  }
  for (const [name, value] of startup.parameters) {
    if (names.index(name) >= 0) wanted.push([name, value])
    else if (!ignored.has(name.toLowerCase())) return new PgleaseError('unsupported_startup_parameter', name)
  }
  return wanted
}

/** A replication connection has its server to itself: the server is given all parameters as they are, and takes or refuses them. */
export function replicationRequest(kind: ReplicationKind, { parameters, options }: StartupMessage): ReplicationRequest {
  return { kind, parameters: options === '' ? [...parameters] : [...parameters, ['options', options]] }
}
