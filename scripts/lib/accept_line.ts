// What a line of the acceptance list is: a scenario at its full length, and figures that are within their bounds or not.
import type { PostgresServer } from '../../test/kit/postgres.ts'
import type { Scenario } from '../../test/kit/scenario.ts'
import type { VaultServer } from '../../test/kit/vault.ts'

/** One measured value and what it must be. */
export interface Figure {
  name: string
  value: number | string
  unit?: string
  /** In words: `at most 3`, `0`. */
  bound: string
  ok: boolean
}

export interface AcceptContext {
  /** The run's PostgreSQL and Vault, those of `sharedPostgres()` and `sharedVault()`. A line with `servers: false` has none. */
  readonly postgres: PostgresServer
  readonly vault: VaultServer
  /** Ends with the line; pglease and servers of the line's own are started through it. */
  readonly scenario: Scenario
  /** Whatever a scenario leaves to chance comes from this number (`seeded`). */
  readonly seed: number
  /** Tells the person who waits what happens. */
  say(text: string): void
}

/** `scripts/lib/accept_a3.ts` exports one as `line`. */
export interface AcceptLine {
  /** `A3`. */
  name: string
  /** What is proven, in one sentence. */
  title: string
  /** False: the line starts what it needs, and the shared servers are not started for it. */
  servers?: false
  run(context: AcceptContext): Promise<Figure[]>
}

const withUnit = (unit: string | undefined): { unit: string } | Record<string, never> => (unit === undefined ? {} : { unit })

export function atMost(name: string, value: number, most: number, unit?: string): Figure {
  return { name, value: rounded(value), ...withUnit(unit), bound: `at most ${rounded(most)}`, ok: value <= most }
}

export function atLeast(name: string, value: number, least: number, unit?: string): Figure {
  return { name, value: rounded(value), ...withUnit(unit), bound: `at least ${rounded(least)}`, ok: value >= least }
}

export function exactly(name: string, value: number | string, wanted: number | string, unit?: string): Figure {
  return { name, value, ...withUnit(unit), bound: String(wanted), ok: value === wanted }
}

/** Something that is so or is not. `seen` is shown in place of `no`. */
export function holds(name: string, ok: boolean, seen = 'no'): Figure {
  return { name, value: ok ? 'yes' : seen, bound: 'yes', ok }
}

/** A value that is told and has no bound. */
export function told(name: string, value: number | string, unit?: string): Figure {
  return { name, value: typeof value === 'number' ? rounded(value) : value, ...withUnit(unit), bound: '', ok: true }
}

function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100
}

export function figureText({ name, value, unit, bound, ok }: Figure): string {
  const wanted = bound === '' ? '' : ` (${ok ? '' : 'MISSED: '}${bound})`
  return `${name}: ${value}${unit === undefined ? '' : ` ${unit}`}${wanted}`
}

/** For the short form of a scenario in a test: throws when a figure is out of its bounds, and shows them all. */
export function assertFigures(figures: readonly Figure[]): void {
  if (figures.every(({ ok }) => ok)) return
  throw new Error(figures.map((figure) => `${figure.ok ? 'ok    ' : 'MISSED'} ${figureText(figure)}`).join('\n'))
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
