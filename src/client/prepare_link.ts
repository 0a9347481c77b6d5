// Brings a link to a session's parameters before the session's first request on it.
import type { Link } from '../server/link.ts'
import type { Parameters } from '../wire/parameters.ts'
import type { ReplyFields } from '../wire/reply.ts'

const QUERY_CANCELED = '57014'

/** Sets the parameters `differing` on `link`: `ask` when it has its user already. `done` gets the server's error, if any; never called if the link dies. */
export function prepareLink(
  link: Link,
  parameters: Parameters,
  differing: readonly number[],
  done: (error: ReplyFields | undefined) => void,
  how: 'run' | 'ask' = 'run',
): void {
  link[how](parameters.setStatement(differing), (error) => {
    // the client's cancel request meant its own query, which has not been asked yet
    if (error?.sqlstate === QUERY_CANCELED) prepareLink(link, parameters, differing, done, how)
    else done(error)
  })
}

/**
 * What the server does not report is known from what was set; what it reports is in its own spelling, which the session takes over
 * and its client is told through `tell`.
 */
export function takeOverSpelling(
  link: Link,
  parameters: Parameters,
  differing: readonly number[],
  tell: (name: string, value: string) => void,
): void {
  for (const index of differing) {
    const name = parameters.names.names[index] as string
    const value = parameters.values[index]
    const told = link.parameters.values[index]
    if (value === undefined) link.parameters.forget(index)
    else if (told === undefined) link.parameters.set(name, value)
    else if (told !== value) {
      parameters.set(name, told)
      tell(name, told)
    }
  }
}
