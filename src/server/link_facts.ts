// What the login found out about a link, and what never changes of it.
import type { Parameters } from '../wire/parameters.ts'
import type { DialTarget } from './dial.ts'
import type { Fit } from './session_attributes.ts'

export interface LinkFacts {
  readonly id: number
  readonly generation: number
  readonly openedAtMs: number
  readonly processId: number
  readonly secretKey: Buffer
  readonly target: DialTarget
  /** Host and port of the configuration, as `hostText` has them. */
  readonly server: string
  readonly parameters: Parameters
  /** All that the server reported at login, by its spelling: what a new client is greeted with. */
  readonly welcome: ReadonlyMap<string, string>
  /** RESET ROLE is owed after a SET. */
  readonly hasServerRole: boolean
  /** With target_session_attrs: whether the server still is what was asked for. */
  readonly fit?: Fit | undefined
}
