// Plays the same requests to two Vaults and compares what they answer and what happens in PostgreSQL.
import type { PostgresServer } from './postgres.ts'
import type { VaultAnswer, VaultServer } from './vault.ts'
import { type AppRole, type AppRoleOptions, appRole, type DatabaseMount, type MountOptions, mountDatabase } from './vault-database.ts'

/** What one request showed. */
interface Seen {
  what: string
  status?: number
  /** Keys and types of the answer, whole. */
  shape?: unknown
  errors?: readonly string[]
  warnings?: readonly string[]
  /** Every duration of the answer, by path. */
  durations?: Record<string, number>
  /** What PostgreSQL or a list held. */
  value?: unknown
}

/** Durations count from when each Vault carried the request out. */
const TOLERANCE_SECONDS = 1

const DURATIONS = /^(?:lease_duration|ttl|creation_ttl|explicit_max_ttl|period)$/

/** `value` with every leaf replaced by its type. */
export function shapeOf(value: unknown): unknown {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : [shapeOf(value[0])]
  if (typeof value !== 'object') return typeof value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [name, shapeOf(each)]),
  )
}

function durationsOf(value: unknown, path = ''): Record<string, number> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.entries(value).reduce((all, [name, each]) => {
    if (typeof each === 'number' && DURATIONS.test(name)) return Object.assign(all, { [`${path}${name}`]: each })
    return Object.assign(all, durationsOf(each, `${path}${name}.`))
  }, {})
}

/** One Vault with what a script set up in it, and what was seen. */
export class Player {
  readonly vault: VaultServer
  readonly postgres: PostgresServer
  readonly seen: Seen[] = []
  readonly #names = new Map<string, string>()
  readonly #mounts: DatabaseMount[] = []

  constructor(vault: VaultServer, postgres: PostgresServer) {
    this.vault = vault
    this.postgres = postgres
  }

  /** `text` is another in each Vault: `name` stands for it in what is compared. */
  hide(text: string, name: string): void {
    if (text !== '') this.#names.set(text, `<${name}>`)
  }

  async mount(options: MountOptions): Promise<DatabaseMount> {
    const mounted = await mountDatabase(this.vault, this.postgres, options)
    this.hide(mounted.mount, 'mount')
    this.hide(mounted.role, 'role')
    this.#mounts.push(mounted)
    return mounted
  }

  async approle(options: AppRoleOptions): Promise<AppRole> {
    const login = await appRole(this.vault, options)
    this.hide(login.mount, 'login')
    return login
  }

  /** Sends a request and keeps what is to be compared. */
  async send(what: string, method: string, path: string, body?: unknown, token?: string): Promise<VaultAnswer> {
    const answer = await this.vault.send(method, path, body, token)
    const { status, errors = [], warnings, ...rest } = answer
    this.seen.push({
      what,
      status,
      shape: shapeOf(rest),
      errors: errors.map((text) => this.#plain(text)),
      warnings: (warnings ?? []).map((text) => this.#plain(text)),
      durations: durationsOf(rest),
    })
    return answer
  }

  /** Keeps a value that must be the same. */
  note(what: string, value: unknown): void {
    this.seen.push({ what, value })
  }

  async dispose(): Promise<void> {
    for (const mounted of this.#mounts.splice(0)) await mounted.dispose()
  }

  /** A text without what is another in each Vault. */
  #plain(text: string): string {
    let plain = text.replace(/\bv-[\w-]+-\d{10}\b/g, '<username>')
    for (const [value, name] of this.#names) plain = plain.replaceAll(value, name)
    return plain.replace(/\b\d+s\b/g, '<n>s')
  }
}

/** Every leaf of `value` by its path. */
function leaves(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]]
  const entries = Object.entries(value)
  return entries.length === 0 ? [[path, 'empty']] : entries.flatMap(([name, each]) => leaves(each, path === '' ? name : `${path}.${name}`))
}

function differencesOf(expected: Seen, actual: Seen): string[] {
  const wanted = new Map(leaves(expected))
  const found = new Map(leaves(actual))
  return [...new Set([...wanted.keys(), ...found.keys()])].flatMap((path) => {
    const [a, b] = [wanted.get(path), found.get(path)]
    const near = path.startsWith('durations.') && Math.abs(Number(a) - Number(b)) <= TOLERANCE_SECONDS
    if (a === b || near) return []
    return [`${expected.what}: ${path} is ${JSON.stringify(a)} in Vault, ${JSON.stringify(b)} in the stand-in`]
  })
}

/** Every difference between two plays, a line each. */
export function differences(real: readonly Seen[], standIn: readonly Seen[]): string[] {
  const nothing = { what: 'nothing more' }
  const steps = Array.from({ length: Math.max(real.length, standIn.length) }, (_, index) => index)
  return steps.flatMap((index) => differencesOf(real[index] ?? nothing, standIn[index] ?? nothing))
}

export type Script = (player: Player) => Promise<void>

/** Plays `script` to both at the same time. Throws when what they show is not the same. */
export async function sameOnBoth(real: VaultServer, standIn: VaultServer, postgres: PostgresServer, script: Script): Promise<void> {
  const players = [new Player(real, postgres), new Player(standIn, postgres)] as const
  try {
    await Promise.all(players.map(script))
  } finally {
    await Promise.all(players.map((player) => player.dispose()))
  }
  const found = differences(players[0].seen, players[1].seen)
  if (found.length > 0) throw new Error(`the stand-in is not like Vault\n${found.join('\n')}`)
}
