// The demo's two applications: one repeats a query on one connection, one holds long transactions.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { DemoState } from './demo_state.ts'

const QUESTION = 'SELECT current_user'
/** About a hundred queries per second: enough to hit every moment of a rotation, little for a laptop. */
const BETWEEN_QUERIES_MS = 10
const BETWEEN_STATEMENTS_MS = 250
/** A transaction that saw its role being replaced commits so much later, or after this part of a lease: well inside the overlap. */
const AFTER_ROTATION_MS = 3_000
const AFTER_ROTATION_PART = 0.15
const BEFORE_RECONNECT_MS = 500

export interface Application {
  /** Resolves when its last statement has been answered and its connection is closed. */
  stop(): Promise<void>
}

type Connect = () => pg.ClientConfig

/** Keeps one connection and calls `use` again and again; an error counts as a failed query, and a new connection is made. */
function keepConnected(name: string, state: DemoState, connect: Connect, use: (client: pg.Client) => Promise<void>): Application {
  let stopping = false
  const work = async () => {
    while (!stopping) {
      const client = new pg.Client(connect())
      client.on('error', () => undefined) // the query that it breaks is counted
      try {
        await client.connect()
        while (!stopping) await use(client)
        await client.end()
      } catch (error) {
        state.failure(name, error)
        await client.end().catch(() => undefined)
        await pause(BEFORE_RECONNECT_MS)
      }
    }
  }
  const done = work()
  return {
    stop: () => {
      stopping = true
      return done
    },
  }
}

async function askRole(client: pg.Client, state: DemoState): Promise<string> {
  const { rows } = await client.query<{ current_user: string }>(QUESTION)
  state.queries++
  return rows[0]?.current_user ?? ''
}

/** Repeats `SELECT current_user` on one connection. */
export function startRepeatingClient(state: DemoState, connect: Connect): Application {
  return keepConnected('a query', state, connect, async (client) => {
    state.saw(await askRole(client, state))
    await pause(BETWEEN_QUERIES_MS)
  })
}

/** Runs transactions that are open while the role is replaced, and checks that each keeps its role. */
export function startLongTransactions(state: DemoState, connect: Connect): Application {
  let stopping = false
  const afterRotationMs = Math.min(AFTER_ROTATION_MS, state.ttlSeconds * 1000 * AFTER_ROTATION_PART)
  const application = keepConnected('the long transaction', state, connect, async (client) => {
    await client.query('BEGIN')
    state.queries++
    const role = await askRole(client, state)
    const transaction = { role, beganMs: state.elapsedMs, statements: 1, rotationsInside: 0 }
    state.transaction = transaction
    let commitAtMs = Number.POSITIVE_INFINITY
    try {
      while (!stopping && state.elapsedMs < commitAtMs) {
        await pause(BETWEEN_STATEMENTS_MS)
        const now = await askRole(client, state)
        if (now !== role) throw new Error(`its role changed from ${role} to ${now}`)
        transaction.statements++
        if (transaction.rotationsInside > 0) commitAtMs = Math.min(commitAtMs, state.elapsedMs + afterRotationMs)
      }
      await client.query('COMMIT')
      state.queries++
      state.committed++
      if (transaction.rotationsInside > 0) state.tell('note', `the transaction from before committed as ${role}`)
    } finally {
      state.transaction = undefined
    }
  })
  return {
    stop: () => {
      stopping = true
      return application.stop()
    },
  }
}
