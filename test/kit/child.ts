// A child process of a test: its lines as events, its end as a promise, and never left behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

export const EVENT_WAIT_MS = 30_000
const KEPT_LINES = 200

export interface ChildEnd {
  code: number | null
  signal: NodeJS.Signals | null
}

interface ChildOptions {
  cwd?: string
  env?: Record<string, string>
  /** Name in error messages. */
  name: string
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

let deathSignal: readonly string[] | undefined
/** The command in front of every child: the kernel kills the child when this process dies, however it dies. */
function diesWithParent(): readonly string[] {
  deathSignal ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', '--', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'KILL', '--'] : []
  return deathSignal
}

interface LineWaiter {
  matches: (line: string) => boolean
  resolve: (line: string) => void
  reject: (error: Error) => void
}

/** A running child. Its stdout and stderr are read as lines and merged in the order of arrival. */
export class Child {
  readonly name: string
  readonly pid: number
  /** Resolves when the process has ended and its output has been read. */
  readonly exit: Promise<ChildEnd>
  /** What stdout held, whole. */
  stdout = ''
  /** What stderr held, whole. */
  stderr = ''
  ended: ChildEnd | undefined
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly #waiters = new Set<LineWaiter>()
  readonly #listeners = new Set<(line: string) => void>()

  /** `wrapper` commands (unshare, setpriv) exec the next one, so `pid` is the program's own. */
  constructor(command: readonly string[], options: ChildOptions, wrapper: readonly string[] = []) {
    this.name = options.name
    const [program, ...args] = [...wrapper, ...diesWithParent(), ...command]
    if (program === undefined) throw new Error('an empty command')
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // a terminal's Ctrl-C is for this process alone, which ends its children in order
    })
    this.#child = child
    this.pid = child.pid ?? 0
    running.add(child)
    child.stdin?.on('error', () => undefined) // it may have ended before it read
    this.#read('stdout')
    this.#read('stderr')
    this.exit = new Promise((resolve) => {
      const end = (ended: ChildEnd) => {
        if (this.ended) return
        running.delete(child)
        this.ended = ended
        for (const waiter of this.#waiters) waiter.reject(this.#endedError())
        this.#waiters.clear()
        resolve(ended)
      }
      child.once('error', (error) => {
        this.#line(`could not be started: ${error.message}`)
        end({ code: 127, signal: null })
      })
      child.once('close', (code, signal) => end({ code, signal }))
    })
  }

  /** The last 200 lines of stdout and stderr. */
  get lines(): readonly string[] {
    return this.#lines
  }

  /** Calls `listener` with each line from now on; the answer removes it. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The next line that matches, those already kept included. Rejects when the process ends first or after `waitMs`. */
  waitForLine(matches: (line: string) => boolean, waitMs = EVENT_WAIT_MS, description = 'a line'): Promise<string> {
    const seen = this.#lines.find(matches)
    if (seen !== undefined) return Promise.resolve(seen)
    if (this.ended) return Promise.reject(this.#endedError())
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
      }
      const waiter: LineWaiter = {
        matches,
        resolve: (line) => {
          finish()
          resolve(line)
        },
        reject: (error) => {
          finish()
          reject(error)
        },
      }
      const timer = setTimeout(
        () => waiter.reject(new Error(`${this.name}: no ${description} within ${waitMs} ms\n${this.tail()}`)),
        waitMs,
      )
      this.#waiters.add(waiter)
    })
  }

  /** The kept lines as text, for messages. */
  tail(): string {
    return this.#lines.map((line) => `    ${line}`).join('\n')
  }

  signal(signal: NodeJS.Signals): void {
    if (this.ended || !this.pid) return
    try {
      process.kill(this.pid, signal)
    } catch {
      // it ended, and the event has not come yet
    }
  }

  closeStdin(): void {
    this.#child.stdin?.end()
  }

  writeStdin(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Sends `signal`, then SIGKILL if the process has not ended after `patienceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', patienceMs = 10_000): Promise<ChildEnd> {
    this.signal(signal)
    this.signal('SIGCONT')
    const kill = setTimeout(() => this.signal('SIGKILL'), patienceMs)
    const ended = await this.exit
    clearTimeout(kill)
    return ended
  }

  #endedError(): Error {
    const how = this.ended?.signal ?? `code ${this.ended?.code}`
    return new Error(`${this.name} ended with ${how}\n${this.tail()}`)
  }

  #read(name: 'stdout' | 'stderr'): void {
    const stream = this.#child[name]
    if (!stream) throw new Error(`no ${name}`)
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      this[name] += text
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#line(line)
    })
    stream.on('end', () => {
      if (rest) this.#line(rest)
    })
  }

  #line(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    for (const listener of this.#listeners) listener(line)
    for (const waiter of [...this.#waiters]) if (waiter.matches(line)) waiter.resolve(line)
  }
}

/** Asks `probe` every 50 ms until it answers something else than undefined; `false` would be an answer, so no probe gives it. */
export async function poll<T extends object | string | number | true>(
  description: string,
  probe: () => Promise<T | undefined> | T | undefined,
  waitMs = EVENT_WAIT_MS,
  detail: () => string = () => '',
): Promise<T> {
  const until = performance.now() + waitMs
  for (;;) {
    const answer = await probe()
    if (answer !== undefined) return answer
    if (performance.now() > until) throw new Error(`${description}: not within ${waitMs} ms\n${detail()}`)
    await pause(50)
  }
}

/** Stopped, or ended: a parent that is stopped does not collect its children. */
const STILL = new Set(['T', 'Z', 'X'])

/** Resolves when every thread of the processes stands still: SIGSTOP takes a moment, in which they may still answer. */
export async function standStill(pids: readonly number[]): Promise<void> {
  await poll('the processes stand still', () => pids.every((pid) => threadStates(pid).every((state) => STILL.has(state))) || undefined)
}

/** The state letters of proc(5) of a process's threads; none once it has ended. */
function threadStates(pid: number): string[] {
  try {
    // the name before the state is in brackets and may hold any character
    return readdirSync(`/proc/${pid}/task`).map(
      (id) => readFileSync(`/proc/${pid}/task/${id}/stat`, 'latin1').split(') ').at(-1)?.[0] ?? '',
    )
  } catch {
    return []
  }
}

/** Whether `promise` is still open after `ms`: the one place where a test has to let time pass. */
export async function staysPending(promise: Promise<unknown>, ms = 200): Promise<boolean> {
  const settled = () => false
  return Promise.race([promise.then(settled, settled), pause(ms, true)])
}

/** A TCP port that was free a moment ago on 127.0.0.1. */
export async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
