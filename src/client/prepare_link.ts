// Brings a link to a session's parameters before the session's first request on it.
import type { Link } from '../server/link.ts'
import type { Parameters } from '../wire/parameters.ts'
import { parameterStatus, type ReplyFields } from '../wire/reply.ts'
import type { SessionParts } from './session_parts.ts'

const QUERY_CANCELED = '57014'
const NOTHING: readonly number[] = []

/** Which parameters of `link` are to be set. */
export const differingParameters = (link: Link, parameters: Parameters): readonly number[] =>
  link.parameters.key === parameters.key ? NOTHING : parameters.differing(link.parameters)

/** Sets the parameters `differing` on `link`: `ask` when it has its user already. `done` gets the server's error, if any; never called if the link dies. */
export function prepareLink(
  link: Link,
  parts: SessionParts,
  differing: readonly number[],
  done: (error: ReplyFields | undefined) => void,
  how: 'run' | 'ask' = 'run',
): void {
  link[how](parts.parameters.setStatement(differing), (error) => {
    // the client's cancel request meant its own query, which has not been asked yet
    if (error?.sqlstate === QUERY_CANCELED) return prepareLink(link, parts, differing, done, how)
    if (error === undefined) takeOverSpelling(link, parts, differing)
    done(error)
  })
}

/**
 * What the server does not report is known from what was set; what it reports is in its own spelling, which the session takes over
 * and its client is told.
 */
function takeOverSpelling(link: Link, { parameters, transport }: SessionParts, differing: readonly number[]): void {
  for (const index of differing) {
    const name = parameters.names.names[index] as string
    const value = parameters.values[index]
    const told = link.parameters.values[index]
    if (value === undefined) link.parameters.forget(index)
    else if (told === undefined) link.parameters.set(name, value)
    else if (told !== value) {
      parameters.set(name, told)
      transport.write(parameterStatus(name, told))
    }
  }
}
