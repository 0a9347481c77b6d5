// What commands are handed: the process's edges and the parts that other layers supply.
import type { Clock } from '../clock.ts'
import type { ReadFile } from '../settings/entry.ts'
import type { Environment } from '../settings/environment.ts'
import type { LoadedSettings } from '../settings/settings.ts'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export interface CliIo {
  readonly env: Environment
  readonly readFile: ReadFile
  readonly clock: Clock
  /** Standard output. */
  readonly write: (text: string) => void
  /** Standard error. */
  readonly writeError: (text: string) => void
  /** GETs `url` without following redirects; rejects when there is no answer within `deadlineMs`. */
  readonly get: (url: string, deadlineMs: number) => Promise<HttpAnswer>
}

/** One step of `check --online`, in order; the first that is not ok ends the check. */
export interface OnlineStep {
  /** `Vault login`, `lease database/creds/app`, `login to db.internal:5432`, ... */
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  /** What a person can act on; never a secret. */
  readonly detail?: string
}

export interface Parts {
  /** Runs until a signal ends it; answers the exit status. */
  readonly serve: (loaded: LoadedSettings, io: CliIo) => Promise<number>
  /** Logs in, leases, connects and revokes; never rejects for a step that failed. */
  readonly checkOnline: (loaded: LoadedSettings, io: CliIo) => Promise<{ readonly steps: readonly OnlineStep[] }>
}
