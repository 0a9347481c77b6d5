// Runs other programs for the scripts: their output shown or collected, and none left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { resolve } from 'node:path'

/** The checkout's top folder. */
export const repository = resolve(import.meta.dirname, '../..')

export interface RunOptions {
  cwd?: string
  env?: Record<string, string | undefined>
  /** `inherit` shows output as it comes, `collect` only answers it, `both` does both. */
  output?: 'inherit' | 'collect' | 'both'
  /** The process is killed after so long; no limit unless given. */
  timeoutMs?: number
}

export interface RunResult {
  code: number
  /** stdout and stderr in the order of arrival; empty with `inherit`. */
  output: string
  ms: number
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM')
})

/** Runs `command` to its end. A program that can't be started answers code 127. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = command
  if (program === undefined) throw new Error('an empty command')
  const kind = options.output ?? 'inherit'
  const started = performance.now()
  return new Promise((done) => {
    const env = { ...process.env, ...options.env }
    const out = kind === 'inherit' ? 'inherit' : 'pipe'
    const child = spawn(program, args, { cwd: options.cwd ?? repository, env, stdio: ['ignore', out, out] })
    running.add(child)
    let output = ''
    for (const [stream, target] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ] as const) {
      stream?.setEncoding('utf8')
      stream?.on('data', (text: string) => {
        output += text
        if (kind === 'both') target.write(text)
      })
    }
    const late = setTimeout(
      () => {
        output += `\n${program} was killed: it ran for more than ${options.timeoutMs} ms\n`
        child.kill('SIGKILL')
      },
      options.timeoutMs ?? 2 ** 31 - 1,
    )
    const end = (code: number) => {
      clearTimeout(late)
      running.delete(child)
      done({ code, output, ms: performance.now() - started })
    }
    child.once('error', (error) => {
      output += `${program}: ${error.message}\n`
      end(127)
    })
    child.once('close', (code) => end(code ?? 1))
  })
}

/** Like `run`, but a failure is an Error with the output. Answers the output. */
export async function mustRun(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, output } = await run(command, { output: 'collect', ...options })
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}\n${output}`)
  return output
}
