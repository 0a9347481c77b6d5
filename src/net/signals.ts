// Signals of the operating system, on every runtime.
import process from 'node:process'
import { denoRuntime } from './deno_types.ts'

export type SignalName = 'TERM' | 'INT' | 'QUIT' | 'HUP' | 'USR1' | 'USR2'

/**
 * Calls `handler` at each `name` in place of the default, which would end the process. Returns what takes it back, or
 * undefined where the runtime keeps the signal for itself (Deno opens its debugger at USR1).
 */
export function onSignal(name: SignalName, handler: () => void): (() => void) | undefined {
  if (name === 'USR1' && denoRuntime !== undefined) return undefined
  const listener = () => handler()
  process.on(`SIG${name}`, listener)
  return () => process.removeListener(`SIG${name}`, listener)
}
