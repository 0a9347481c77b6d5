// The command line: which commands there are, their flags, and which exit status comes out.
import { Command, CommanderError, Option } from 'commander'
import { GLOBALS } from '../settings/declarations.ts'
import { flagOf, type LoadResult, load } from '../settings/load.ts'
import type { Row } from '../settings/row.ts'
import type { LoadedSettings, ProbeAddress } from '../settings/settings.ts'
import { didYouMean } from '../settings/suggest.ts'
import { parseDuration } from '../settings/value.ts'
import type { CliIo, Parts } from './context.ts'
import { EXIT } from './exit.ts'
import { healthcheck, type Question as ProbeQuestion, waitUntilReady } from './probe.ts'
import { effectiveText, mistakesText, stepsText, warningsText } from './report.ts'
import { HELP_TOPICS } from './topics.ts'
import { currentVersion, versionLine } from './version.ts'

interface Run {
  readonly io: CliIo
  readonly parts: Parts
  exit: number
}

function usage(run: Run, text: string): number {
  run.io.writeError(`pglease: ${text}\nSee pglease --help.\n`)
  return EXIT.usage
}

function placeholder(row: Row<unknown>): string {
  if (row.choices.length > 0) return row.choices.length > 6 || row.kind === 'choices' ? 'list' : row.choices.join('|')
  return row.kind
}

/** A flag for every setting but secrets, which would show in the list of processes. */
function settingFlags(): readonly { readonly name: string; readonly option: Option }[] {
  const flags = [{ name: 'config', option: new Option('--config <file>', 'YAML file of settings') }]
  for (const [name, row] of GLOBALS) {
    if (row.kind === 'secret') continue
    const isSwitch = row.kind === 'boolean'
    const option = new Option(`${flagOf(name)} ${isSwitch ? '[boolean]' : `<${placeholder(row)}>`}`, row.help)
    flags.push({ name, option: isSwitch ? option.preset('true') : option })
  }
  return flags
}

type Options = Readonly<Record<string, unknown>>
type Action = (loaded: LoadedSettings, options: Options) => Promise<number> | number
type Question = (probes: ProbeAddress, options: Options) => Promise<number> | number

/** What finding a running pglease depends on. */
const PROBE_SETTINGS: ReadonlySet<string> = new Set(['config', 'http_addr', 'http_port'])

/** A command with a flag for every setting; `action` gets what they, the environment and the file come to. */
function withSettings(
  run: Run,
  name: string,
  description: string,
  examples: readonly string[],
  action: (loaded: LoadResult, options: Options) => Promise<number> | number,
): Command {
  const command = new Command(name).description(description)
  const flags = settingFlags()
  for (const { option } of flags) command.addOption(option)
  command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}\n`).join('')}`)
  command.action(async (options: Options) => {
    const values = new Map<string, string>()
    for (const flag of flags) {
      const value = options[flag.option.attributeName()]
      if (typeof value === 'string') values.set(flag.name, value)
    }
    run.exit = await action(load({ env: run.io.env, flags: values, readFile: run.io.readFile }), options)
  })
  return command
}

/** A command that ends with 78 when anything in the configuration is wrong. */
function configured(run: Run, name: string, description: string, examples: readonly string[], action: Action): Command {
  return withSettings(run, name, description, examples, (loaded, options) => {
    if (!('mistakes' in loaded)) return action(loaded, options)
    run.io.writeError(mistakesText(loaded.mistakes) + warningsText(loaded.warnings))
    return EXIT.configuration
  })
}

/**
 * A command that asks a running pglease. Only what says where that listens has to be right: a mistake that was made in the file
 * meanwhile must not fail the probes of a process that serves, and a container's probe has no reason to know the databases.
 */
function probing(run: Run, name: string, description: string, examples: readonly string[], question: Question): Command {
  return withSettings(run, name, description, examples, (loaded, options) => {
    if (!('mistakes' in loaded)) return question(loaded.settings, options)
    const mistakes = loaded.mistakes.filter(({ setting }) => PROBE_SETTINGS.has(setting))
    if (mistakes.length === 0) return question(loaded.probes, options)
    run.io.writeError(mistakesText(mistakes))
    return EXIT.configuration
  })
}

function serveCommand(run: Run): Command {
  const examples = [
    'pglease --config /etc/pglease.yaml',
    'DB_HOST=db.internal DB_NAME=app VAULT_PATH=database/creds/app pglease',
    'pglease serve --listen-port 5432 --log-level debug',
  ]
  return configured(run, 'serve', 'Listen and serve clients (the default command).', examples, (loaded) => run.parts.serve(loaded, run.io))
}

function checkCommand(run: Run): Command {
  const examples = ['pglease check --config /etc/pglease.yaml', 'pglease check --online']
  const description = 'Show the effective settings with their sources, or all mistakes.'
  const command = configured(run, 'check', description, examples, async (loaded, options) => {
    run.io.write(effectiveText(loaded))
    run.io.writeError(warningsText(loaded.warnings))
    if (options.online !== true) return EXIT.done
    const { steps } = await run.parts.checkOnline(loaded, run.io)
    run.io.write(`\n${stepsText(steps)}`)
    return steps.every((step) => step.ok) ? EXIT.done : EXIT.failed
  })
  return command.option('--online', 'Also log in to Vault, lease, log in to PostgreSQL, and revoke.')
}

function healthcheckCommand(run: Run): Command {
  const examples = ['pglease healthcheck', 'pglease healthcheck --startup --http-port 9090']
  const command = probing(run, 'healthcheck', 'Ask the pglease on this machine how it is.', examples, (probes, options) => {
    const asked = (['startup', 'ready', 'live'] satisfies ProbeQuestion[]).filter((question) => options[question] === true)
    if (asked.length > 1) return usage(run, 'healthcheck takes one of --startup, --ready and --live')
    return healthcheck(run.io, probes, asked[0] ?? 'ready')
  })
  return command
    .option('--startup', 'Are the listeners open and all credentials proven?')
    .option('--ready', 'Can it serve? (the default)')
    .option('--live', 'Does it answer at all?')
}

function waitCommand(run: Run): Command {
  const examples = ['pglease wait --max 30s && ./migrate']
  const command = probing(run, 'wait', 'Wait until the pglease on this machine is ready.', examples, (probes, options) => {
    const maximum = parseDuration(String(options.max))
    return maximum === undefined ? usage(run, '--max is not a duration; write 30 or 30s or 5m') : waitUntilReady(run.io, probes, maximum)
  })
  return command.option('--max <duration>', 'Longest time to wait.', '30s')
}

function helpCommand(run: Run, program: Command): Command {
  const command = new Command('help').description('Explain a command or a topic.').argument('[topic]')
  const topics = () => [...program.commands.map((each) => each.name()), ...HELP_TOPICS.keys()]
  command.addHelpText(
    'after',
    `\nTopics: ${[...HELP_TOPICS.keys()].join(', ')}\n\nExamples:\n  pglease help settings\n  pglease help check\n`,
  )
  return command.action((topic: string | undefined) => {
    const page = topic === undefined ? undefined : HELP_TOPICS.get(topic)
    const explained = topic === undefined ? program : program.commands.find((each) => each.name() === topic)
    if (page) run.io.write(page())
    else if (explained) explained.outputHelp()
    else run.exit = usage(run, `there is no topic of that name. ${didYouMean(String(topic), topics()) ?? `Topics: ${topics().join(', ')}`}`)
  })
}

function build(run: Run): Command {
  const program = new Command('pglease')
    .description('PostgreSQL connection proxy with credentials leased from Vault.')
    .helpCommand(false)
    .version(versionLine(currentVersion()), '-V, --version', 'Show version, commit and runtime.')
    .usage('[command] [flags]')
  program.addHelpText(
    'after',
    `\nExamples:\n  DB_HOST=db.internal DB_NAME=app VAULT_PATH=database/creds/app pglease\n  pglease check --config /etc/pglease.yaml\n  pglease help settings\n`,
  )
  program.addCommand(serveCommand(run), { isDefault: true })
  program.addCommand(checkCommand(run))
  program.addCommand(healthcheckCommand(run))
  program.addCommand(waitCommand(run))
  const version = new Command('version')
    .description('Show version, commit and runtime.')
    .addHelpText('after', '\nExamples:\n  pglease version\n')
  program.addCommand(version.action(() => run.io.write(`${versionLine(currentVersion())}\n`)))
  program.addCommand(helpCommand(run, program))
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: run.io.write,
      // What follows `=` may be a secret that someone tried as a flag.
      writeErr: (text) => run.io.writeError(`pglease: ${text.replace(/^error: /, '').replace(/'(--[^'=]*)=[^']*'/s, "'$1'")}`),
    })
  }
  return program
}

/** The problem with the first arguments that commander would only call an excess one. */
function wrongCommand(program: Command, argv: readonly string[]): string | undefined {
  for (const argument of argv) {
    const name = /^--([a-z0-9-]+)(?:=|$)/.exec(argument)?.[1]?.replaceAll('-', '_')
    if (name !== undefined && GLOBALS.get(name)?.kind === 'secret') {
      return `a secret has no flag: set PGLEASE_${name.toUpperCase()} or PGLEASE_${name.toUpperCase()}_FILE`
    }
  }
  const [first] = argv
  const names = program.commands.map((command) => command.name())
  if (first === undefined || names.includes(first)) return undefined
  if (first.startsWith('-')) {
    // the value of a flag may have the name of a command; the last word is a command only when it stands for itself
    const command = argv.find((word, place) => names.includes(word) && /^(?:[^-]|--[^=]+=)/.test(argv[place - 1] ?? ''))
    return command === undefined ? undefined : `flags follow the command: pglease ${command} ${first.replace(/=.*/s, '')} ...`
  }
  return `there is no command of that name. ${didYouMean(first, names) ?? `Commands: ${names.join(', ')}`}`
}

/** Runs the command that `argv` (without the program's name) asks for and answers the exit status. Never rejects. */
export async function runCommandLine(argv: readonly string[], io: CliIo, parts: Parts): Promise<number> {
  const run: Run = { io, parts, exit: EXIT.done }
  const program = build(run)
  const wrong = wrongCommand(program, argv)
  if (wrong !== undefined) return usage(run, wrong)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return run.exit
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    io.writeError(`pglease: internal error: ${error instanceof Error ? error.message : 'unknown'}\n`)
    return EXIT.internal
  }
}
