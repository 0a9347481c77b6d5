// A real Vault server of the test's own, or the run's shared one, and its REST interface.
import { vaultServer } from '../../scripts/lib/vault.ts'
import { Child, type ChildEnd, standStill } from './child.ts'

interface VaultAddress {
  /** http://127.0.0.1:PORT, or https with TLS. */
  address: string
  rootToken: string
  /** Hex; for `sys/unseal`. */
  unsealKey: string
}

/** An answer of Vault: `data`, `auth` and `errors` are those of the JSON body. */
export interface VaultAnswer {
  status: number
  lease_id?: string
  lease_duration?: number
  renewable?: boolean
  data?: Record<string, unknown>
  auth?: { client_token: string; accessor: string; lease_duration: number; renewable: boolean; policies: string[] }
  warnings?: string[] | null
  errors?: string[]
}

class VaultError extends Error {
  readonly status: number
  constructor(method: string, path: string, status: number, errors: readonly string[]) {
    super(`${method} ${path}: ${status} ${errors.join('; ')}`)
    this.status = status
  }
}

/** What every test may do with a Vault, its own or shared. */
export class VaultServer {
  readonly address: string
  readonly rootToken: string
  readonly unsealKey: string

  constructor(address: VaultAddress) {
    this.address = address.address
    this.rootToken = address.rootToken
    this.unsealKey = address.unsealKey
  }

  get host(): string {
    return new URL(this.address).hostname
  }

  get port(): number {
    return Number(new URL(this.address).port)
  }

  /** Sends a request (path without /v1/) and answers whatever comes. `token` is the root token unless given; '' sends none. */
  async send(method: string, path: string, body?: unknown, token = this.rootToken): Promise<VaultAnswer> {
    const headers: Record<string, string> = { 'X-Vault-Request': 'true' }
    if (token) headers['X-Vault-Token'] = token
    const init: RequestInit = { method, headers, redirect: 'manual' }
    if (body !== undefined) init.body = JSON.stringify(body)
    const response = await fetch(`${this.address}/v1/${path}`, init)
    const text = await response.text()
    const json = text.startsWith('{') ? (JSON.parse(text) as Omit<VaultAnswer, 'status'>) : {}
    return { ...json, status: response.status }
  }

  /** Like `send`; any status but 2xx is a VaultError. */
  async request(method: string, path: string, body?: unknown, token = this.rootToken): Promise<VaultAnswer> {
    const answer = await this.send(method, path, body, token)
    if (answer.status < 200 || answer.status > 299) throw new VaultError(method, path, answer.status, answer.errors ?? [])
    return answer
  }

  /** The keys of a LIST; none when there is nothing. */
  async list(path: string): Promise<string[]> {
    const answer = await this.send('GET', `${path}?list=true`) // fetch has no LIST
    return (answer.data?.keys as string[] | undefined) ?? []
  }

  async seal(): Promise<void> {
    await this.request('PUT', 'sys/seal')
  }

  async unseal(): Promise<void> {
    await this.request('PUT', 'sys/unseal', { key: this.unsealKey }, '')
  }
}

export interface VaultOptions {
  /** host:port to listen on; a free port unless given (needed to come back at the same address). */
  listen?: string
  /** Paths of PEM files. */
  tls?: { cert: string; key: string }
}

/** A Vault that this test started: it may be frozen and killed. All its data is in memory. */
export class OwnVault extends VaultServer {
  readonly #child: Child

  constructor(child: Child, address: VaultAddress) {
    super(address)
    this.#child = child
  }

  get log(): string {
    return this.#child.tail()
  }

  /** SIGSTOP: connections are accepted by the kernel and nothing answers. */
  async freeze(): Promise<void> {
    this.#child.signal('SIGSTOP')
    await standStill([this.#child.pid])
  }

  thaw(): void {
    this.#child.signal('SIGCONT')
  }

  stop(): Promise<ChildEnd> {
    return this.#child.stop('SIGKILL')
  }
}

/** The reason why no real Vault can be started here, for `skip`; undefined when it can. */
export async function noVault(): Promise<string | undefined> {
  if (process.env.PGLEASE_TEST_VAULT) return undefined
  return (await vaultServer()) ? undefined : 'no Vault test server: Go is needed to build it'
}

/** Starts a Vault of the test's own: initialised, unsealed, empty. */
export async function startVault(options: VaultOptions = {}): Promise<OwnVault> {
  const binary = await vaultServer()
  if (!binary) throw new Error('no Vault test server: Go is needed to build it')
  const command = [binary, '-end-with-stdin', '-listen', options.listen ?? '127.0.0.1:0']
  if (options.tls) command.push('-tls-cert', options.tls.cert, '-tls-key', options.tls.key)
  const child = new Child(command, { name: 'vault' })
  const line = await child.waitForLine((text) => text.startsWith('{"address"'))
  const said = JSON.parse(line) as { address: string; root_token: string; unseal_key: string }
  const scheme = options.tls ? 'https' : 'http'
  return new OwnVault(child, { address: `${scheme}://${said.address}`, rootToken: said.root_token, unsealKey: said.unseal_key })
}

let shared: Promise<VaultServer> | undefined

/** The run's Vault (PGLEASE_TEST_VAULT, set by scripts/test), else one started for this process. */
export function sharedVault(): Promise<VaultServer> {
  const given = process.env.PGLEASE_TEST_VAULT
  shared ??= given ? Promise.resolve(new VaultServer(JSON.parse(given) as VaultAddress)) : startVault()
  return shared
}
