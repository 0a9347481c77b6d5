// Draws the demo's state: lines of coloured spans, for a terminal and for a picture alike.
import type { DemoEvent, DemoState } from './demo_state.ts'

export type Colour = 'plain' | 'dim' | 'good' | 'bad' | 'accent' | 'role0' | 'role1' | 'role2' | 'role3'

interface Span {
  text: string
  colour: Colour
}

export type Line = readonly Span[]

export const VIEW_WIDTH = 92
const EVENTS_SHOWN = 8
const BAR_WIDTH = 30
const SHORT_ROLE = 22
const ROLE_COLOURS: readonly Colour[] = ['role0', 'role1', 'role2', 'role3']

const span = (text: string, colour: Colour = 'plain'): Span => ({ text, colour })

/** `03:07` */
function clockText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
}

const count = (value: number) => value.toLocaleString('en-US')
const times = (value: number, noun: string) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`

/** Enough of a role's name to tell it from the others. */
const shortened = (role: string) => (role.length > SHORT_ROLE ? `${role.slice(0, SHORT_ROLE - 1)}…` : role)

/** `text` with each role that was seen in its own colour, shortened. */
function coloured(state: DemoState, text: string, rest: Colour, shown: (role: string) => string = shortened): Span[] {
  const spans: Span[] = []
  let left = text
  for (;;) {
    const found = state.roles
      .map((role, index) => ({ role, index, at: left.indexOf(role) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)[0]
    if (!found) return left === '' ? spans : [...spans, span(left, rest)]
    if (found.at > 0) spans.push(span(left.slice(0, found.at), rest))
    spans.push(span(shown(found.role), ROLE_COLOURS[found.index % ROLE_COLOURS.length]))
    left = left.slice(found.at + found.role.length)
  }
}

function leaseLine(state: DemoState): Line {
  const { leaseRemainingSeconds: left, generation } = state
  const head = [span('lease         ', 'dim')]
  if (left === undefined) return [...head, span('not yet')]
  const filled = Math.max(0, Math.min(BAR_WIDTH, Math.round((left / state.ttlSeconds) * BAR_WIDTH)))
  const bar = [span('█'.repeat(filled), 'accent'), span('░'.repeat(BAR_WIDTH - filled), 'dim')]
  return [
    ...head,
    ...bar,
    span(` ends in ${Math.max(0, left).toFixed(0).padStart(2)} s`),
    span(`   generation ${generation ?? '?'}`, 'dim'),
  ]
}

function transactionLine(state: DemoState): Line {
  const head = span('transaction   ', 'dim')
  const { transaction } = state
  if (!transaction) return [head, span('none now', 'dim')]
  const age = `  open ${Math.floor((state.elapsedMs - transaction.beganMs) / 1000)} s, ${times(transaction.statements, 'statement')}`
  const inside = transaction.rotationsInside > 0 ? [span(', role replaced meanwhile', 'accent')] : []
  return [head, ...coloured(state, transaction.role, 'plain'), span(age, 'dim'), ...inside]
}

function aliveLine(state: DemoState): Line {
  const names = state.alive.flatMap((role, index) => [
    span(index === 0 ? ': ' : ', ', 'dim'),
    ...(state.roles.includes(role) ? coloured(state, role, 'plain') : [span(shortened(role))]),
  ])
  return [span('in PostgreSQL ', 'dim'), span(times(state.alive.length, 'leased role')), ...names]
}

function totalLine(state: DemoState, hint: string): Line {
  const failed = span(`failed ${state.failed}`, state.failed === 0 ? 'good' : 'bad')
  return [span(`queries ${count(state.queries)}, `), failed, span(`, roles seen ${state.roles.length}`), span(hint, 'dim')]
}

function eventLine(state: DemoState, event: DemoEvent): Line {
  const colour: Colour = event.kind === 'failure' ? 'bad' : event.kind === 'rotation' ? 'plain' : 'dim'
  return [span(`  ${clockText(event.atMs)}  `, 'dim'), ...coloured(state, event.text, colour)]
}

/** The whole view. `hint` stands at its end. */
export function frame(state: DemoState, { width = VIEW_WIDTH, hint = '' } = {}): Line[] {
  const about = `PostgreSQL 18, ${state.vaultName}, leases of ${state.ttlSeconds} s, at most ${state.maxTtlSeconds} s`
  const room = Math.max(1, width - 'pglease  '.length - about.length - 5)
  const role = state.role ?? 'connecting'
  const since = `  for ${Math.floor((state.elapsedMs - state.roleSinceMs) / 1000)} s`
  const events = state.events.slice(-EVENTS_SHOWN).map((event) => eventLine(state, event))
  return [
    [span('pglease', 'accent'), span(`  ${about}${' '.repeat(room)}`, 'dim'), span(clockText(state.elapsedMs))],
    [],
    [span('current_user  ', 'dim'), ...coloured(state, role, 'plain', (whole) => whole), span(since, 'dim')],
    transactionLine(state),
    leaseLine(state),
    aliveLine(state),
    [],
    ...events,
    ...Array.from({ length: EVENTS_SHOWN - events.length }, () => []),
    [],
    totalLine(state, hint),
  ]
}

const ANSI: Readonly<Record<Colour, string>> = {
  plain: '0',
  dim: '2',
  good: '1;32',
  bad: '1;31',
  accent: '1;36',
  role0: '33',
  role1: '35',
  role2: '32',
  role3: '34',
}

/** `line` for a terminal of `columns`, cut at its edge. */
export function ansi(line: Line, columns: number): string {
  let left = columns
  let text = ''
  for (const each of line) {
    const cut = each.text.slice(0, left)
    left -= cut.length
    text += `\x1b[${ANSI[each.colour]}m${cut}`
  }
  return `${text}\x1b[0m`
}

/** A line of plain output. */
export function plainEvent(event: DemoEvent): string {
  return `${clockText(event.atMs)}  ${event.text}`
}

/** The state as one line, without colours. */
export function plainStatus(state: DemoState): string {
  const lease = state.leaseRemainingSeconds === undefined ? 'no lease' : `lease ends in ${state.leaseRemainingSeconds.toFixed(0)} s`
  return `${clockText(state.elapsedMs)}  ${lease}, ${times(state.alive.length, 'leased role')} alive, ${state.summary()}`
}
