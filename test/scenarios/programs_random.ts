// Random programs of client messages, without what PostgreSQL itself does not survive or does not answer reliably (docs/differences.md).
import { execute, query, sync } from '../kit/raw-messages.ts'
import { type Item, NAMED_STEPS, type Random, STEPS } from './programs_steps.ts'

export interface Conversation {
  names: string
  chunks: Buffer[]
  marker: string
}

const EXTENDED = /^(Parse|Bind|Execute|Describe|Close)/

/**
 * A Sync before each Query and FunctionCall that follows extended messages. Without it PostgreSQL 18 reports I after the next Sync,
 * and then fails the command after that one (XX000); pglease spends that error before anyone gets the link again.
 */
function separated(items: readonly Item[]): Item[] {
  let open = false
  return items.flatMap((item): Item[] => {
    const [name] = item
    if (/^(Query|FunctionCall)/.test(name)) {
      const wasOpen = open
      open = false
      return wasOpen ? [['Sync', sync()], item] : [item]
    }
    if (EXTENDED.test(name)) open = true
    if (name === 'Sync') open = false
    return [item]
  })
}

/**
 * Behind a Query, no Execute of the unnamed portal unless a Bind stands before it in its own batch: it is of portal p instead. When a
 * Query fails while it runs in a transaction block, PostgreSQL keeps its portal, whose plan is gone with the message; an Execute of it
 * reads that memory, and after one more message has used it the server process dies (signal 11).
 */
function survivable(items: readonly Item[]): Item[] {
  let queried = false
  let bound = false
  return items.map((item): Item => {
    const [, bytes] = item
    const type = String.fromCharCode(bytes[0] ?? 0)
    const unnamed = bytes[5] === 0
    if (type === 'Q') queried = true
    if (type === 'Q' || type === 'S') bound = false
    if (type === 'B' && unnamed) bound = true
    return type === 'E' && unnamed && queried && !bound ? ['Execute p', execute('p')] : item
  })
}

/** Up to 12 random steps, then whatever brings the session back to idle, cut into a few writes. */
export function conversation(random: Random, round: number, named = false): Conversation {
  const marker = `end of ${round}`
  const steps = named ? [...STEPS, ...NAMED_STEPS] : STEPS
  const any = () => steps[Math.floor(random() * steps.length)]?.(random) ?? []
  const items = survivable(separated(Array.from({ length: 1 + Math.floor(random() * 12) }, any).flat()))
  items.push(['Sync', sync()], ['Query', query('')], ['Query ROLLBACK', query('ROLLBACK')], ['Query', query(`SELECT '${marker}'`)])
  const whole = Buffer.concat(items.map(([, bytes]) => bytes))
  const cuts = Array.from({ length: Math.floor(random() * 4) }, () => Math.floor(random() * whole.length)).sort((a, b) => a - b)
  const chunks = [...cuts, whole.length].map((end, index) => whole.subarray(cuts[index - 1] ?? 0, end))
  return { names: items.map(([name]) => name).join(' | '), chunks, marker }
}
