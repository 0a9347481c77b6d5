// Signals reach their handler in place of ending the process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import type { Readable } from 'node:stream'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { denoRuntime } from '../../src/net/deno_types.ts'

/** What a child has printed, with a wait for its next words. */
class Output {
  text = ''
  #heard = () => {}
  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => {
      this.text += chunk.toString()
      this.#heard()
    })
  }
  until(end: string): Promise<void> {
    return new Promise((resolve) => {
      this.#heard = () => {
        if (this.text.endsWith(end)) resolve()
      }
      this.#heard()
    })
  }
}

test('every signal is handled in place of ending the process; Deno keeps USR1 for itself', async () => {
  const script = fileURLToPath(new URL('./signals_child.ts', import.meta.url))
  const args = denoRuntime === undefined ? [script] : ['run', '-A', '--no-check', script]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  try {
    const output = new Output(child.stdout)
    await output.until('ready\n')
    assert.equal(output.text, denoRuntime === undefined ? 'ready\n' : 'left USR1\nready\n')
    const names = ['INT', 'QUIT', 'HUP', 'USR1', 'USR2', 'TERM'].filter((name) => denoRuntime === undefined || name !== 'USR1')
    for (const name of names) {
      process.kill(child.pid as number, `SIG${name}`)
      await output.until(`got ${name}\n`)
    }
    assert.equal((await exited)[0], 0)
  } finally {
    child.kill('SIGKILL')
  }
})
