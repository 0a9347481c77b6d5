// A stand-in for Vault: the paths that pglease and the tests use, with real roles in PostgreSQL, faults on demand, and no Go.
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Core } from './dev_vault_core.ts'
import { Faults } from './dev_vault_faults.ts'
import { vaultApplication } from './dev_vault_http.ts'
import { type VaultOptions, VaultServer } from './vault.ts'

/** After a thaw the ends of connections are seen before the requests that came on them. A client that is still there gives no event to wait for. */
const CLOSES_SHOW_MS = 50
const KEPT_REQUESTS = 10_000
const WITHOUT_BODY = new Set(['GET', 'HEAD', 'LIST'])

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Answers requests as Vault does, unless a fault says otherwise. */
class Frontend {
  readonly core: Core
  readonly faults = new Faults()
  readonly requests: string[] = []
  readonly mistakes: string[] = []
  readonly #app: ReturnType<typeof vaultApplication>

  constructor(core: Core) {
    this.core = core
    this.#app = vaultApplication(core, (error) => void this.mistakes.push(error.stack ?? error.message))
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    const line = `${request.method} ${request.url}`
    this.requests.push(line)
    if (this.requests.length > KEPT_REQUESTS) this.requests.shift()
    const left = new Promise<'left'>((resolve) => response.once('close', () => resolve('left')))
    // what a client gave up while Vault stood still is not carried out afterwards, as with Vault (measured)
    if (this.core.frozen.closed && (await Promise.race([left, this.#thawed()])) === 'left') return
    const fault = this.faults.take(line)
    if (fault?.kind === 'answer') return refuse(response, fault.status, fault.errors, fault.headers)
    if (fault?.kind === 'delay') await pause(fault.delayMs)
    const answer = await this.#app.fetch(asRequest(request, body))
    const text = await answer.text()
    await this.core.frozen.passed() // an answer made in the moment of freezing waits like any other
    if (fault?.kind === 'lose') return void request.socket.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(text)
  }

  async #thawed(): Promise<void> {
    await this.core.frozen.passed()
    await pause(CLOSES_SHOW_MS)
  }
}

function refuse(
  response: ServerResponse,
  status: number,
  errors: readonly string[] | undefined,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { 'content-type': errors ? 'application/json' : 'text/html', ...headers })
  response.end(errors ? JSON.stringify({ errors }) : `<html><body>${status}</body></html>`)
}

function asRequest({ method = 'GET', url = '/', headers }: IncomingMessage, body: Buffer): Request {
  const given = Object.entries(headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as [string, string]] : []))
  const init: RequestInit = { method, headers: given }
  if (!WITHOUT_BODY.has(method) && body.length > 0) init.body = body.toString('utf8')
  return new Request(`http://vault${url}`, init)
}

/** What `mountDatabase`, `appRole` and the others set up in a real Vault they set up here too. */
export class DevVault extends VaultServer {
  readonly #server: Server
  readonly #frontend: Frontend

  constructor(server: Server, frontend: Frontend, address: string) {
    const { tokens, unsealKey } = frontend.core
    super({ address, rootToken: tokens.root.id, unsealKey })
    this.#server = server
    this.#frontend = frontend
  }

  /** What goes wrong, with which requests. */
  get faults(): Faults {
    return this.#frontend.faults
  }

  /** `METHOD /v1/path` of the requests so far. */
  get requests(): readonly string[] {
    return this.#frontend.requests
  }

  /** Service account tokens that Kubernetes logins accept; the test adds and deletes. */
  get acceptedJwts(): Set<string> {
    return this.#frontend.core.acceptedJwts
  }

  /** Mistakes of the stand-in itself: a test that sees one has found a bug in the kit. */
  get log(): string {
    return this.#frontend.mistakes.join('\n')
  }

  /** Connections are accepted and nothing answers; what ends meanwhile ends at the thaw, as in a stopped process. */
  freeze(): void {
    this.#frontend.core.frozen.close()
  }

  thaw(): void {
    this.#frontend.core.frozen.open()
  }

  /** As a killed Vault: the roles that it made stay in PostgreSQL. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await this.#frontend.core.close()
    await closed
  }
}

/** Starts a stand-in: unsealed, with nothing mounted. */
export async function startDevVault(options: VaultOptions = {}): Promise<DevVault> {
  const frontend = new Frontend(new Core())
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    frontend.handle(request, response).catch((error: unknown) => {
      frontend.mistakes.push(String(error))
      request.socket.destroy()
    })
  }
  const { tls } = options
  const server = tls ? createTlsServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, handle) : createServer(handle)
  const [host = '127.0.0.1', port = '0'] = (options.listen ?? '127.0.0.1:0').split(':')
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(Number(port), host, () => resolve())
  })
  const bound = (server.address() as AddressInfo).port
  return new DevVault(server, frontend, `${tls ? 'https' : 'http'}://${host}:${bound}`)
}
