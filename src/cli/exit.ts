// The closed table of exit statuses.

export const EXIT = {
  /** Done, also after a drain on SIGTERM or SIGINT. */
  done: 0,
  /** `check --online` or `healthcheck` failed. */
  failed: 1,
  usage: 64,
  /** A port or socket is unavailable. */
  unavailable: 69,
  internal: 70,
  /** `wait` timed out. */
  timedOut: 75,
  /** A mistake in the configuration. */
  configuration: 78,
  /** Ended at once after SIGINT, SIGQUIT or SIGTERM: a second signal or `shutdown_timeout`. */
  interrupted: 130,
  quit: 131,
  terminated: 143,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** What each status means, for `pglease help exit`. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: 'done, also after a drain on SIGTERM or SIGINT',
  failed: '`check --online` or `healthcheck` failed',
  usage: 'the command line is wrong',
  unavailable: 'a port or socket is unavailable',
  internal: 'an internal error',
  timedOut: '`wait` timed out',
  configuration: 'a mistake in the configuration, also when `check` finds it',
  interrupted: 'ended at once after SIGINT (a second signal or shutdown_timeout)',
  quit: 'ended at once after SIGQUIT',
  terminated: 'ended at once after SIGTERM (a second signal or shutdown_timeout)',
}
