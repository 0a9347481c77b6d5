// What of a client's startup packet a session, or a replication connection, begins with.
import { PgleaseError } from '../errors.ts'
import type { ReplicationRequest } from '../server/replication_link.ts'
import type { ParameterNames } from '../wire/parameters.ts'
import { parseOptions, type ReplicationKind, type StartupMessage } from '../wire/startup.ts'

/** The tracked parameters; all others must be ignorable (`ignored`), because a pooled server cannot have them per client. */
export function trackedParameters(
  startup: StartupMessage,
  names: ParameterNames,
  ignoredNames: readonly string[],
): PgleaseError | [string, string][] {
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
