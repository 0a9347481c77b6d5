// Shows pglease at work: the role of a connection changes under its queries, and none of them fails.
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Application, startLongTransactions, startRepeatingClient } from './lib/demo_clients.ts'
import { picture } from './lib/demo_picture.ts'
import { plainScreen, terminalScreen } from './lib/demo_screen.ts'
import { DATABASE, type DemoServers, startServers, VAULT_NAMES, type VaultKind } from './lib/demo_servers.ts'
import { DemoState } from './lib/demo_state.ts'
import { frame } from './lib/demo_view.ts'

const USAGE = `./scripts/demo [flags]: a client keeps asking "who am I" on one connection while its credential is replaced.

  --rotations N   end after N replacements of the credential (until Ctrl-C unless given)
  --seconds N     end after N seconds
  --ttl N         a credential lives N seconds, three times as long at most (20; from 5)
  --vault KIND    stand-in (starts at once) or real (built with Go at the first use)
  --plain         lines instead of a view that is redrawn
  --picture FILE  write the view as an SVG when the demo ends

Exit status: 0, or 1 if a query failed.
`

interface Options {
  rotations: number
  seconds: number
  ttl: number
  vault: VaultKind
  plain: boolean
  picture: string | undefined
}

const WATCH_MS = 500
/** A query that has no answer so long after the end has failed. */
const LAST_ANSWER_MS = 10_000
/** A credential is replaced about once in its longest life; so much later the demo gives up. */
const PATIENCE_SECONDS = 60

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function readOptions(): Options | undefined {
  const options = {
    rotations: { type: 'string' },
    seconds: { type: 'string' },
    ttl: { type: 'string', default: '20' },
    vault: { type: 'string', default: 'stand-in' },
    plain: { type: 'boolean', default: false },
    picture: { type: 'string' },
    help: { type: 'boolean', default: false },
  } as const
  try {
    const { values } = parseArgs({ options })
    const number = (name: string, text: string | undefined, least: number) => {
      if (text === undefined) return Number.POSITIVE_INFINITY
      if (!/^\d+$/.test(text) || Number(text) < least) throw new Error(`--${name} takes a whole number from ${least}`)
      return Number(text)
    }
    const { vault, plain } = values
    if (vault !== 'stand-in' && vault !== 'real') throw new Error('--vault takes stand-in or real')
    if (values.help) {
      console.log(USAGE.trimEnd())
      process.exit(0)
    }
    const [rotations, seconds, ttl] = [
      number('rotations', values.rotations, 1),
      number('seconds', values.seconds, 1),
      number('ttl', values.ttl, 5),
    ]
    return { rotations, seconds, ttl, vault, plain, picture: values.picture }
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${USAGE.trimEnd()}`)
    return undefined
  }
}

/** Keeps the state's figures of pglease and PostgreSQL fresh until `ended`. What cannot be seen is told once. */
async function watch(state: DemoState, { pglease, leasedRoles }: DemoServers, ended: AbortSignal): Promise<void> {
  let told = ''
  while (!ended.aborted) {
    try {
      const [metrics, roles] = await Promise.all([pglease.metrics(), leasedRoles()])
      state.generation = metrics.find('pglease_lease_generation')[0]?.value
      state.leaseRemainingSeconds = metrics.find('pglease_lease_remaining_seconds')[0]?.value
      state.nowAlive(roles)
    } catch (error) {
      const message = messageOf(error)
      if (message !== told) state.failure('a look at the servers', error)
      told = message
    }
    await pause(WATCH_MS)
  }
}

/** Waits for the end that was asked for. Answers why, and whether that is a failure. */
async function untilDone(state: DemoState, options: Options, servers: DemoServers, interrupted: AbortSignal): Promise<string | undefined> {
  const longest = options.rotations * options.ttl * 3 + PATIENCE_SECONDS
  let best: string | undefined
  try {
    for (;;) {
      if (interrupted.aborted || state.elapsedMs > options.seconds * 1000) return undefined
      if (servers.pglease.child.ended) return `pglease ended by itself\n${servers.pglease.child.tail()}`
      if (state.elapsedMs > longest * 1000) return `${state.rotations} of ${options.rotations} rotations within ${longest} s`
      const outlived = (state.transaction?.rotationsInside ?? 0) > 0
      if (outlived) best = picture(frame(state))
      // the transaction that outlives the last rotation is part of the show
      if (state.rotations >= options.rotations && !outlived) return undefined
      await pause(100)
    }
  } finally {
    if (options.picture) writeFileSync(options.picture, best ?? picture(frame(state)))
  }
}

async function run(options: Options, servers: DemoServers, interrupted: AbortController): Promise<number> {
  const state = new DemoState(VAULT_NAMES[options.vault], options.ttl)
  const isTerminal = process.stdout.isTTY === true && !options.plain
  const screen = isTerminal ? terminalScreen(state, process.stdout) : plainScreen(state, process.stdout)
  const connect = () => servers.pglease.connection(DATABASE, 'anyone')
  const applications: Application[] = [startRepeatingClient(state, connect), startLongTransactions(state, connect)]
  const watching = new AbortController()
  const watched = watch(state, servers, watching.signal)
  const problem = await untilDone(state, options, servers, interrupted.signal)
  const answered = Promise.all(applications.map((application) => application.stop())).then(() => true)
  if (!(await Promise.race([answered, pause(LAST_ANSWER_MS, false)]))) state.failure('the last query', new Error('no answer'))
  watching.abort()
  await watched
  screen.end()
  const code = await servers.stopPglease()
  const left = await servers.leasedRoles().catch(messageOf)
  const rest = Array.isArray(left) ? `${left.length} leased roles left in PostgreSQL` : `PostgreSQL does not answer: ${left}`
  console.log(`pglease was told to stop: exit status ${code}, ${rest}`)
  if (problem) console.error(problem)
  console.log(state.summary())
  return state.failed > 0 || problem !== undefined || code !== 0 || left.length > 0 || state.queries === 0 ? 1 : 0
}

async function main(): Promise<number> {
  const options = readOptions()
  if (!options) return 64
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => (interrupted.signal.aborted ? process.exit(130) : interrupted.abort()))
  }
  const servers = await startServers(options.vault, options.ttl, (text) => console.log(`${text} ...`))
  try {
    return await run(options, servers, interrupted)
  } finally {
    await servers.stop()
  }
}

process.exit(
  await main().catch((error: unknown) => {
    console.error(messageOf(error))
    return 1
  }),
)
