// Random programs with LISTEN, UNLISTEN and NOTIFY: a session of pglease hears what a session of PostgreSQL itself hears, step by step.
import assert from 'node:assert/strict'
import { seeded } from '../scripts/lib/accept_line.ts'
import { fixedDatabase } from './kit/fixed-database.ts'
import type { RawClient } from './kit/raw-client.ts'
import { bind, execute, parse, query, sync } from './kit/raw-messages.ts'
import { scenario } from './kit/scenario.ts'

const RUN_MS = 20_000
const STEPS = 40
const CHANNELS = ['a', 'b', 'c']
const SEED = Number(process.env.PGLEASE_LISTEN_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** other: another session sends on the channel; the rest are the session's own requests. */
type Step = { kind: 'other'; channel: string } | { kind: 'simple' | 'extended'; text: string } | { kind: 'named'; name: string }

const NAMED = new Map(['LISTEN a', 'UNLISTEN a', 'LISTEN b', 'UNLISTEN *'].map((text) => [text.toLowerCase().replace(/\W/g, '_'), text]))

/**
 * PostgreSQL may deliver what others sent before a LISTEN has committed, to a session that listened to something else before: that is
 * left out, as no session can count on it. UNLISTEN is not mixed with ROLLBACK TO in a transaction: see
 * docs/listen.md.
 */
function program(random: () => number): Step[] {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  let open = false
  let mark = false
  let unlistened = false
  let number = 0
  /** To which others have sent since the transaction began, and those with a LISTEN in it. */
  const sent = new Set<string>()
  const listened = new Set<string>()
  const single = (): string => {
    const channel = pick(CHANNELS)
    const choice = random()
    if (choice < 0.3) return sent.has(channel) ? 'SELECT 1' : `LISTEN ${channel}`
    if (choice < 0.45 && !mark) return pick([`UNLISTEN ${channel}`, `Unlisten ${channel}`, 'UNLISTEN *'])
    if (choice < 0.75) return `NOTIFY ${channel}, 'own ${number++}'`
    if (choice < 0.8) return 'SELECT 1/0'
    return 'SELECT 1'
  }
  const step = (): Step => {
    const choice = random()
    const channel = pick(CHANNELS)
    if (choice < 0.3 && !listened.has(channel)) return { kind: 'other', channel }
    if (choice < 0.36 && !mark && sent.size === 0) return { kind: 'named', name: pick([...NAMED.keys()]) }
    if (choice < 0.42 && !open) return { kind: 'simple', text: Array.from({ length: 3 }, single).join('; ') }
    if (choice < 0.45 && !open) return { kind: 'simple', text: 'DISCARD ALL' }
    if (choice < 0.7) return { kind: random() < 0.5 ? 'simple' : 'extended', text: single() }
    if (!open) return { kind: 'simple', text: 'BEGIN' }
    if (!unlistened && random() < 0.5) return { kind: 'simple', text: mark ? 'ROLLBACK TO s' : 'SAVEPOINT s' }
    return { kind: 'simple', text: pick(['COMMIT', 'COMMIT', 'ROLLBACK']) }
  }
  return Array.from({ length: STEPS }, () => {
    const next = step()
    if (next.kind === 'other' && open) sent.add(next.channel)
    const [, listen] = /^listen.(\w)$/i.exec(next.kind === 'named' ? next.name : next.kind === 'other' ? '' : next.text) ?? []
    if (open && listen !== undefined) listened.add(listen)
    const text = next.kind === 'named' ? (NAMED.get(next.name) ?? '') : next.kind === 'other' ? '' : next.text
    if (text === 'BEGIN') open = true
    if (text === 'SAVEPOINT s') mark = true
    if (/unlisten/i.test(text)) unlistened = true
    if (/^(COMMIT|ROLLBACK)$/.test(text)) {
      open = mark = unlistened = false
      sent.clear()
      listened.clear()
    }
    return next
  })
}

/** One session and another that sends, both of pglease or both of PostgreSQL. */
class Pair {
  readonly #client: RawClient
  readonly #other: RawClient
  #sent = 0
  constructor(client: RawClient, other: RawClient) {
    this.#client = client
    this.#other = other
  }

  async begin(): Promise<void> {
    for (const [name, text] of NAMED) await this.#client.ask(parse(name, text), sync())
  }

  /** What the client got for `step`, with its notifications by their sender. */
  async run(step: Step): Promise<string> {
    if (step.kind === 'other') {
      await this.#other.ask(query(`NOTIFY ${step.channel}, 'other ${this.#sent++}'`))
      this.#client.send(query(''))
    } else if (step.kind === 'named') this.#client.send(bind('', step.name), execute(), sync())
    else if (step.kind === 'extended') this.#client.send(parse('', step.text), bind('', ''), execute(), sync())
    else this.#client.send(query(step.text))
    const messages = await this.#client.until('Z')
    const senders = new Map([
      [this.#client.pid, 'own'],
      [this.#other.pid, 'other'],
    ])
    // where they come between the other replies is left open, and in what order those of different channels do
    const notes = messages.filter(({ type }) => type === 'A').map((one) => `${one} by ${senders.get(one.body.readInt32BE(0))}`)
    const channelOf = (note: string) => note.split("'")[1] ?? ''
    notes.sort((one, other) => channelOf(one).localeCompare(channelOf(other)))
    return [...messages.filter(({ type }) => type !== 'A').map(String), ...notes].join('\n')
  }
}

scenario('a session hears what it would hear of PostgreSQL itself, whatever it does', async (test) => {
  const [pooled, direct] = [await fixedDatabase(test, { facts: { pool_size: 2 } }), await fixedDatabase(test)]
  const random = seeded(SEED)
  const until = performance.now() + RUN_MS
  let programs = 0
  while (performance.now() < until) {
    const steps = program(random)
    const clients = [await pooled.raw(), await pooled.raw(), await direct.direct(), await direct.direct()] as const
    const [ours, theirs] = [new Pair(clients[0], clients[1]), new Pair(clients[2], clients[3])]
    await Promise.all([ours.begin(), theirs.begin()])
    for (const [index, step] of steps.entries()) {
      const [got, wanted] = await Promise.all([ours.run(step), theirs.run(step)])
      const done = steps.slice(0, index + 1).map((one) => JSON.stringify(one))
      assert.equal(got, wanted, `seed ${SEED}, program ${programs}:\n${done.join('\n')}`)
    }
    for (const client of clients) client.terminate()
    programs++
  }
  assert.ok(programs >= 5, `${programs} programs`)
  console.log(`seed ${SEED}: ${programs} programs`)
})
