// Tokens with a maximum: each life's leases move to the next token, and nothing of an earlier life stays in Vault.
import { setTimeout as pause } from 'node:timers/promises'
import { type AcceptContext, atLeast, atMost, exactly, type Figure } from '../../scripts/lib/accept_line.ts'
import { poll } from '../kit/child.ts'
import type { VaultServer } from '../kit/vault.ts'
import { startDrivers } from './load_drivers.ts'
import { DATABASE, loadFigures, sampleRoles, startWorld } from './rotation.ts'

interface TokenOptions {
  /** Token lives to see. */
  lives: number
  /** Seconds. */
  tokenTtl: number
  tokenMaxTtl: number
  /** Of the leases, which outlive every token. */
  defaultTtl: number
  maxTtl: number
  clients?: number
}

const LOOK_MS = 500
const SETTLED_MS = 10_000

/** Accessors of the tokens that were made by a login at `mount`. */
export async function accessorsOf(vault: VaultServer, mount: string): Promise<string[]> {
  const found: string[] = []
  for (const accessor of await vault.list('auth/token/accessors')) {
    const answer = await vault.send('POST', 'auth/token/lookup-accessor', { accessor })
    if (String(answer.data?.path).startsWith(`auth/${mount}/`)) found.push(accessor)
  }
  return found
}

/** Queries without a pause while tokens come and go. */
export async function runTokenLives(context: AcceptContext, options: TokenOptions): Promise<Figure[]> {
  const { lives, tokenTtl, tokenMaxTtl, defaultTtl, maxTtl } = options
  const { vault, seed } = context
  const { mount, pglease, authMount } = await startWorld(context, { defaultTtl, maxTtl, tokenTtl, tokenMaxTtl })
  const sampler = sampleRoles(mount)
  const load = await startDrivers({ connection: pglease.connection(DATABASE), clients: options.clients ?? 16, seed, pauseMs: 2 })
  const seen = new Set<string>()
  let mostTokens = 0
  const until = performance.now() + (lives + 2) * tokenMaxTtl * 1000
  const look = async () => {
    const alive = await accessorsOf(vault, authMount)
    for (const accessor of alive) seen.add(accessor)
    mostTokens = Math.max(mostTokens, alive.length)
    return alive
  }
  // the life after the last one that counts has begun: then that one is over
  while (seen.size <= lives && performance.now() < until) {
    await look()
    await pause(LOOK_MS)
  }
  const result = await load.stop()
  let [tokens, leases, roles] = [-1, -1, -1]
  const oneOfEach = async () => {
    ;[tokens, leases, roles] = [(await look()).length, (await mount.leases()).length, (await mount.leasedRoles()).length]
    return (tokens === 1 && leases === 1 && roles === 1) || undefined
  }
  await poll('one token, one lease, one role', oneOfEach, SETTLED_MS).catch(() => undefined)
  const samples = await sampler.stop()
  const { code } = await pglease.stop()
  return [
    atLeast('token lives that ended', seen.size - 1, lives),
    ...loadFigures('pg driver', result),
    atMost('most tokens at once', mostTokens, 2),
    atMost('most leased roles at once', samples.most, 3),
    exactly('tokens left of all logins', tokens, 1),
    exactly('leases left', leases, 1),
    exactly('leased roles left', roles, 1),
    exactly('exit status of pglease', code ?? -1, 0),
    exactly('tokens after pglease ended', (await accessorsOf(vault, authMount)).length, 0),
    exactly('leases after pglease ended', (await mount.leases()).length, 0),
    exactly('leased roles after pglease ended', (await mount.leasedRoles()).length, 0),
  ]
}
