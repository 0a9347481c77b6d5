// The whole Vault client on a fake clock before a fake Vault, for tests of its parts' lives.

import type { VaultSettings } from '../../src/vault/context.ts'
import { createVault, type Vault } from '../../src/vault/vault.ts'
import { FakeClock } from '../kit/fake-clock.ts'
import { RecordingLog, RecordingObserver, vaultSettings } from './double.ts'
import { FakeVault } from './fake-vault.ts'

interface World {
  clock: FakeClock
  fake: FakeVault
  log: RecordingLog
  observer: RecordingObserver
  vault: Vault
  /** Moves on by `ms`, then looks every `stepMs` until `done`; throws after `longestMs`. Answers the time that passed. */
  until(done: () => boolean, longestMs: number, stepMs?: number): Promise<number>
}

export function startWorld(prepare: (fake: FakeVault) => void = () => undefined, settings: Partial<VaultSettings> = {}): World {
  const clock = new FakeClock()
  const fake = new FakeVault(clock)
  prepare(fake)
  const [log, observer] = [new RecordingLog(), new RecordingObserver()]
  const vault = createVault({ settings: vaultSettings(settings), fetch: fake.fetch, clock, log, observer })
  const until = async (done: () => boolean, longestMs: number, stepMs = 100) => {
    const began = clock.monotonicMs()
    await clock.run(0)
    while (!done()) {
      if (clock.monotonicMs() - began >= longestMs) throw new Error(`not within ${longestMs} ms\n${log.text}`)
      await clock.run(stepMs)
    }
    return clock.monotonicMs() - began
  }
  return { clock, fake, log, observer, vault, until }
}
