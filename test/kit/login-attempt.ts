// Logins at a server whose replies are scripted: one that must succeed or be watched, one that must be refused.
import assert from 'node:assert/strict'
import { type ErrorCode, PgleaseError } from '../../src/errors.ts'
import { Secret } from '../../src/secret.ts'
import { type AuthMethod, type LoggedIn, type LoginOptions, login } from '../../src/server/login.ts'
import { ScramCache } from '../../src/wire/scram.ts'
import { FakeClock } from './fake-clock.ts'
import { type MemoryTransport, memoryPair } from './memory-transport.ts'
import { OK, playServer, READY, SASL, ScramServer, type Step } from './scripted-server.ts'

export const PASSWORD = 'correct horse'
export const ALL: readonly AuthMethod[] = ['trust', 'md5', 'password', 'scram-sha-256']

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
export const baseOptions = (): LoginOptions => ({
  credential: { user: 'anna', password: new Secret(PASSWORD) },
  database: 'shop',
  parameters: [],
  requireAuth: ALL,
  secure: true,
  scramCache: new ScramCache(),
  timeoutMs: 5_000,
  clock: new FakeClock(),
})

interface Attempt {
  promise: Promise<LoggedIn>
  near: MemoryTransport
  far: MemoryTransport
  clock: FakeClock
}

export function attempt(steps: readonly Step[], options: Partial<LoginOptions> = {}, pieceSize = Number.POSITIVE_INFINITY): Attempt {
  const [near, far] = memoryPair()
  far.pieceSize = pieceSize
  playServer(far, steps)
  const clock = new FakeClock()
  const promise = login(near, {
    ...baseOptions(),
    parameters: [['role', 'app']],
    clock,
    ...options,
  })
  promise.catch(() => {})
  return { promise, near, far, clock }
}

export const isClosed = async (near: MemoryTransport): Promise<boolean> => {
  for (let turns = 0; turns < 10 && !near.closed; turns++) await turn()
  return near.closed !== undefined
}

export async function refused(
  steps: readonly Step[],
  code: ErrorCode,
  detail: RegExp,
  options: Partial<LoginOptions> = {},
): Promise<PgleaseError> {
  const { promise, near, clock } = attempt(steps, options)
  const error = await promise.then(
    () => assert.fail(`logged in, expected ${code} ${detail}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof PgleaseError, String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.detail, detail)
  assert.match(error.detail, /^test:5432: /)
  assert.ok(await isClosed(near))
  assert.equal(clock.pending, 0)
  assert.ok(!error.message.includes(PASSWORD))
  return error
}

export const scramSteps = (password = PASSWORD): Step[] => {
  const server = new ScramServer(password)
  return [SASL, server.continue, (message) => Buffer.concat([server.final(message), OK, READY])]
}
export const both = (...parts: Buffer[]): Buffer => Buffer.concat(parts)
