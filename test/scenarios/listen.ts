// Notifications to sessions in transaction mode while credentials are replaced: each reaches every session that listens, and no other.
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { type AcceptContext, atLeast, exactly, type Figure, holds, told } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import { DATABASE, startWorld, type World } from './rotation.ts'

const CHANNEL = 'jobs'
const ARRIVAL_MS = 10_000

export interface ListenOptions {
  listeners: number
  notifications: number
  rotations: number
  /** A credential is replaced after two thirds of it. */
  leaseSeconds: number
}

interface ListenResult {
  sent: number
  rotations: number
  /** Pairs of a session and a notification that never came to it. */
  missing: number
  /** Notifications that came to a session again. */
  again: number
  /** What came to the session that had said UNLISTEN. */
  unwanted: number
  /** Notifications of whose process id a session would think that it sent them though it did not, or the other way round. */
  mistaken: number
  /** Those of others whose process id was not the one that its sender was greeted with. */
  strangers: number
  /** A session's own that came behind the answer to its NOTIFY. */
  lateOwn: number
  /** Errors of clients. */
  errors: string[]
  worstMs: number
}

type Client = Awaited<ReturnType<World['pglease']['client']>>
/** The `pg` driver knows the process id of its BackendKeyData. */
const processIdOf = (client: Client): number => (client as unknown as { processID: number }).processID

class Listener {
  readonly client: Client
  readonly heard = new Map<string, number>()
  mistaken = 0
  strangers = 0
  worstMs = 0

  constructor(client: Client, sentBy: (payload: string) => { pid: number; atMs: number } | undefined) {
    this.client = client
    client.on('notification', ({ payload = '', processId }: pg.Notification) => {
      const sent = sentBy(payload)
      const self = processIdOf(client)
      if ((processId === self) !== (sent?.pid === self)) this.mistaken++
      else if (sent?.pid !== processId) this.strangers++
      if (!this.heard.has(payload) && sent !== undefined) this.worstMs = Math.max(this.worstMs, performance.now() - sent.atMs)
      this.heard.set(payload, (this.heard.get(payload) ?? 0) + 1)
    })
  }
}

export async function runListen(context: AcceptContext, options: ListenOptions): Promise<ListenResult> {
  const { leaseSeconds, notifications, rotations } = options
  const { pglease } = await startWorld(context, { defaultTtl: leaseSeconds, maxTtl: leaseSeconds, database: { pool_size: 5 } })
  const sent = new Map<string, { pid: number; atMs: number }>()
  const open = async () => {
    const client = await pglease.client(DATABASE)
    context.scenario.defer(() => client.end().catch(() => undefined))
    return client
  }
  const listeners: Listener[] = []
  for (let count = 0; count <= options.listeners; count++) listeners.push(new Listener(await open(), (payload) => sent.get(payload)))
  await Promise.all(listeners.map(({ client }) => client.query(`LISTEN ${CHANNEL}`)))
  const ceased = listeners.pop() as Listener
  await ceased.client.query(`UNLISTEN ${CHANNEL}`)
  const own = listeners[0] as Listener
  const senders = [await open(), own.client, await open()]
  const moves = () => pglease.logged('listening_moved').length
  const intervalMs = (rotations * leaseSeconds * 1000 * 2) / 3 / notifications
  const beganMs = performance.now()
  let lateOwn = 0
  // the pace is kept, and the last notifications come when the last rotation is over
  for (let number = 0; number < notifications || moves() < rotations; number++) {
    const sender = senders[number % senders.length] as Client
    const payload = `job ${number}`
    sent.set(payload, { pid: processIdOf(sender), atMs: performance.now() })
    await sender.query(`NOTIFY ${CHANNEL}, '${payload}'`)
    if (sender === own.client && !own.heard.has(payload)) lateOwn++
    await pause(Math.max(0, beganMs + number * intervalMs - performance.now()))
  }
  const missing = () => listeners.reduce((sum, { heard }) => sum + [...sent.keys()].filter((payload) => !heard.has(payload)).length, 0)
  await poll('everything arrives', async () => missing() === 0 || undefined, ARRIVAL_MS).catch(() => undefined)
  const total = (count: (listener: Listener) => number) => listeners.reduce((sum, listener) => sum + count(listener), 0)
  return {
    sent: sent.size,
    rotations: moves(),
    missing: missing(),
    again: total(({ heard }) => [...heard.values()].reduce((sum, times) => sum + times - 1, 0)),
    unwanted: ceased.heard.size,
    mistaken: total(({ mistaken }) => mistaken),
    strangers: total(({ strangers }) => strangers),
    lateOwn,
    errors: [...listeners.flatMap(({ client }) => client.errors), ...senders.flatMap(({ errors }) => errors)].map(String),
    worstMs: Math.max(...listeners.map(({ worstMs }) => worstMs)),
  }
}

export function listenFigures(result: ListenResult, options: ListenOptions): Figure[] {
  return [
    atLeast('notifications sent', result.sent, options.notifications),
    atLeast('rotations, the listening connection moved', result.rotations, options.rotations),
    told('sessions that listen', options.listeners),
    exactly('notifications that did not arrive at a session', result.missing, 0),
    exactly('notifications at the session that said UNLISTEN', result.unwanted, 0),
    exactly("notifications that a session would take wrongly for its own or for another's", result.mistaken, 0),
    told("other sessions' notifications without their process id", result.strangers),
    exactly("a session's own that came behind the answer to its NOTIFY", result.lateOwn, 0),
    holds('no session was ended', result.errors.length === 0, result.errors.slice(0, 3).join('; ')),
    told('notifications that arrived a second time', result.again),
    told('the longest time from NOTIFY to a session', result.worstMs, 'ms'),
  ]
}
