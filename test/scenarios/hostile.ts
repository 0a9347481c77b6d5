// Bad input of every kind on every port, again and again: each answer is checked, the process must live and not grow.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seeded } from '../../scripts/lib/accept_line.ts'
import { type FixedDatabase, fixedDatabase, residentBytes } from '../kit/fixed-database.ts'
import type { Pglease } from '../kit/pglease.ts'
import type { Scenario } from '../kit/scenario.ts'
import { ADMIN_ATTACKS, HTTP_ATTACKS } from './hostile_http.ts'
import { type Attack, WIRE_ATTACKS } from './hostile_wire.ts'

export const MAX_CLIENTS = 1_000
const PATIENCE_MS = 20_000
const LATE = ' (the connection did not end)'
/** Attacks whose end is a timeout run beside the others; no more than this at a time. */
const MOST_SLOW = 60

interface Door {
  /** `port`, `socket`, `http`, `admin`. */
  name: string
  attacks: readonly Attack[]
  /** Where to connect: a port of 127.0.0.1, or a unix socket's path. */
  to: number | string
}

/** Every way into `pglease`. */
function doorsOf(pglease: Pglease, socket: string): Door[] {
  return [
    { name: 'port', attacks: WIRE_ATTACKS, to: pglease.port },
    { name: 'socket', attacks: WIRE_ATTACKS, to: socket },
    { name: 'http', attacks: HTTP_ATTACKS, to: pglease.httpPort },
    { name: 'admin', attacks: ADMIN_ATTACKS, to: pglease.adminPort },
  ]
}

/** A pglease with every port open and a login timeout of a second, so that slow attacks end. */
export async function besieged(run: Scenario): Promise<{ app: FixedDatabase; doors: Door[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'hostile-'))
  run.defer(() => rmSync(folder, { recursive: true, force: true }))
  const settings = { client_login_timeout: 1, max_client_conn: MAX_CLIENTS, unix_socket_dir: folder }
  const app = await fixedDatabase(run, { http: true, facts: { pool_size: 10 }, settings })
  return { app, doors: doorsOf(app.pglease, join(folder, `.s.PGSQL.${app.pglease.port}`)) }
}

export const kindsOf = (doors: readonly Door[]): Set<string> => new Set(doors.flatMap(({ attacks }) => attacks.map(({ kind }) => kind)))

/** Latin1 with a point for each control character. */
function printable(chunk: Buffer): string {
  const bytes = chunk.map((byte) => (byte < 0x20 ? 0x2e : byte))
  return Buffer.from(bytes).toString('latin1')
}

interface ExchangeOptions {
  /** End our half after sending. */
  halfClose?: boolean
  /** Leave when this has come, in place of waiting for the end of the connection. */
  until?: RegExp
  /** Source address. */
  from?: string
}

/** Sends `bytes` and answers all that comes back until the connection has ended; with `late` behind it when no end comes. */
export function exchange(to: number | string, bytes: Buffer, options: ExchangeOptions = {}): Promise<string> {
  const { halfClose = false, until, from = '127.0.0.1' } = options
  return new Promise((resolve, reject) => {
    const address = typeof to === 'string' ? { path: to } : { host: '127.0.0.1', port: to, localAddress: from }
    const socket = connect({ ...address, allowHalfOpen: true })
    let text = ''
    let connected = false
    const timer = setTimeout(() => end(text + LATE), PATIENCE_MS)
    const end = (answer: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => {
      connected = true
      if (bytes.length > 0) socket.write(bytes)
      if (halfClose) socket.end()
    })
    socket.on('data', (chunk: Buffer) => {
      text += printable(chunk)
      if (until?.test(text)) end(text)
    })
    socket.once('end', () => end(text))
    // what was sent last may meet a closed door: an RST is an end too
    socket.once('close', () => end(text))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (connected) return end(text)
      clearTimeout(timer)
      reject(error)
    })
  })
}

/** One attack; undefined = the answer is right, else what it was. */
async function attempt(door: Door, attack: Attack, random: () => number, from: string): Promise<string | undefined> {
  const { answer, stays, halfClose = false } = attack
  const text = await exchange(door.to, attack.bytes(random), { halfClose, from, ...(stays ? { until: answer } : {}) })
  return answer.test(text) && !text.endsWith(LATE) ? undefined : `${door.name}, ${attack.kind}: ${JSON.stringify(text.slice(-200))}`
}

interface HostileResult {
  attacks: number
  /** How many answers were not as they must be, and the first of them. */
  wrongCount: number
  wrong: string[]
  /** Bytes resident after each repetition. */
  resident: number[]
}

/** Every attack on every door, `repetitions` times. */
export async function hostile(pid: number, doors: readonly Door[], repetitions: number, seed: number): Promise<HostileResult> {
  const random = seeded(seed)
  const result: HostileResult = { attacks: 0, wrongCount: 0, wrong: [], resident: [] }
  const slow = new Set<Promise<void>>()
  const note = (wrong: string | undefined) => {
    result.attacks++
    if (wrong !== undefined && result.wrongCount++ < 20) result.wrong.push(wrong)
  }
  for (let repetition = 0; repetition < repetitions; repetition++) {
    // more source addresses, so that ports last
    const from = `127.0.0.${1 + (repetition % 250)}`
    const quick: Promise<void>[] = []
    for (const door of doors) {
      for (const attack of door.attacks) {
        if (attack.slow && slow.size >= MOST_SLOW) continue
        const running = attempt(door, attack, random, from).then(note)
        if (!attack.slow) quick.push(running)
        else {
          slow.add(running)
          void running.finally(() => slow.delete(running)).catch(() => undefined)
        }
      }
    }
    await Promise.all(quick)
    result.resident.push(residentBytes(pid))
  }
  await Promise.all(slow)
  return result
}
