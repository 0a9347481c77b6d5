// One HTTP request to Vault: headers, deadline, size, redirects, and errors that carry no secret. The only file that knows ky.
import ky from 'ky'
import type { Clock } from '../clock.ts'
import { readCapped } from '../net/fetch.ts'
import { TransportError } from '../net/transport.ts'
import type { Secret } from '../secret.ts'
import { asFailure, failureOfStatus, filterText, VaultFailure } from './failure.ts'
import type { VaultObserver, VaultOperation } from './observer.ts'

const LARGEST_ANSWER_BYTES = 1024 * 1024
const LONGEST_RETRY_AFTER_MS = 60_000
const REDIRECTS = new Set([301, 302, 307])

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface VaultRequest {
  readonly operation: VaultOperation
  readonly method: 'GET' | 'POST' | 'PUT'
  /** Without `/v1/`, segments as they are (they are encoded here). */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Left out for logins and the health check. */
  readonly token?: Secret | undefined
  /** Its `Secret`s are revealed when it is written, and filtered out of error texts. */
  readonly body?: Readonly<Record<string, string | number | boolean | Secret>>
  readonly timeoutMs: number
}

interface ApiOptions {
  /** Scheme, host, port and maybe a path prefix. */
  readonly address: string
  readonly namespace: string | undefined
  readonly fetch: Fetch
  readonly clock: Clock
  readonly observer: Pick<VaultObserver, 'vaultRequest'>
}

/** A message of the runtime that says the request never left: the connection itself was not made. */
const NEVER_SENT =
  /ConnectionRefused|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|FailedToOpenSocket|CERT|SELF_SIGNED|UNABLE_TO|DNS|\(Connect\)|dns error|invalid peer certificate/i

/** `path` with every segment percent-encoded; refuses segments that a server might take for another path. */
export function encodePath(path: string): string {
  const segments = path.split('/')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new VaultFailure('vault_bad_request', `${filterText(path)}: not a path of Vault`, { status: 0 })
  }
  return segments.map(encodeURIComponent).join('/')
}

/** Code and message of an error's innermost cause: those around it repeat the request. */
function traits(error: unknown): { code: string; text: string } {
  let code = ''
  let text = ''
  for (let each = error, depth = 0; each instanceof Error && depth < 4; each = each.cause, depth++) {
    if ('code' in each && typeof each.code === 'string') code = each.code
    text = each.message
  }
  return { code, text }
}

/** Whether a request may go on to `target`: the scheme never gets weaker, and https in place of http is followed on the same host only. */
function mayFollow(from: URL, target: URL): boolean {
  if (target.protocol === from.protocol) return true
  return target.protocol === 'https:' && target.hostname === from.hostname
}

function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? '0')
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(LONGEST_RETRY_AFTER_MS, seconds * 1000) : 0
}

function errorsOf(json: unknown): string[] | undefined {
  if (typeof json !== 'object' || json === null || !('errors' in json) || !Array.isArray(json.errors)) return undefined
  return json.errors.filter((text): text is string => typeof text === 'string')
}

export class VaultApi {
  readonly #options: ApiOptions
  readonly #base: string
  constructor(options: ApiOptions) {
    this.#options = options
    this.#base = `${options.address.replace(/\/+$/, '')}/v1/`
  }

  /**
   * The JSON body of a 2xx answer; undefined for an empty one (204). Never tries twice.
   * Throws VaultFailure: vault_unreachable (no answer in time), vault_unavailable (412, 429, 472 to 474, 5xx),
   * vault_bad_request (400), vault_denied (403), vault_path_missing (404), vault_bad_answer (anything else).
   */
  async send(request: VaultRequest): Promise<unknown> {
    const { clock, observer } = this.#options
    const started = clock.monotonicMs()
    const abort = new AbortController()
    let status = 'unreachable'
    let expire: (failure: VaultFailure) => void = () => {}
    const expired = new Promise<never>((_, reject) => {
      expire = reject
    })
    const timer = clock.after(request.timeoutMs, () => {
      status = 'timeout'
      abort.abort()
      const detail = `${request.path}: no answer within ${Math.round(request.timeoutMs)} ms`
      expire(new VaultFailure('vault_unreachable', detail, { status: 0, lost: true, away: true }))
    })
    try {
      const exchanged = this.#exchange(request, abort.signal, (seen) => {
        status = String(seen)
      })
      return await Promise.race([exchanged, expired])
    } catch (error) {
      throw this.#mapped(error, request)
    } finally {
      timer.cancel()
      observer.vaultRequest(request.operation, status, clock.monotonicMs() - started)
    }
  }

  #mapped(error: unknown, request: VaultRequest): VaultFailure {
    if (error instanceof VaultFailure) return error
    if (error instanceof TransportError && error.code === 'ETOOLARGE') {
      return new VaultFailure('vault_bad_answer', `${request.path}: the answer is longer than 1 MiB`, { status: 0, lost: true })
    }
    const { code, text } = traits(error)
    if (code === '' && text === '') return asFailure(error)
    const reason = filterText(code === '' ? text : code, this.#secrets(request))
    const sent = !NEVER_SENT.test(code) && !NEVER_SENT.test(text)
    return new VaultFailure('vault_unreachable', `${request.path}: ${reason}`, { status: 0, lost: sent, away: true })
  }

  #secrets(request: VaultRequest): string[] {
    const values = Object.values(request.body ?? {}).flatMap((value) => (typeof value === 'object' ? [value.reveal()] : []))
    return request.token === undefined ? values : [...values, request.token.reveal()]
  }

  async #exchange(request: VaultRequest, signal: AbortSignal, seen: (status: number) => void): Promise<unknown> {
    const query = new URLSearchParams(request.query).toString()
    const first = new URL(`${this.#base}${encodePath(request.path)}${query === '' ? '' : `?${query}`}`)
    let response = await this.#fetch(first, request, signal)
    if (REDIRECTS.has(response.status)) {
      response = await this.#fetch(this.#target(first, response, request), request, signal)
      if (REDIRECTS.has(response.status)) throw this.#unexpected(request, 'redirects more than once', response.status)
    }
    seen(response.status)
    const text = await readCapped(response, LARGEST_ANSWER_BYTES)
    let json: unknown
    try {
      json = text === '' ? undefined : JSON.parse(text)
    } catch {
      if (response.ok) throw new VaultFailure('vault_bad_answer', `${request.path}: not JSON`, { status: response.status, lost: true })
    }
    if (response.ok) return json
    throw failureOfStatus(response.status, request.path, errorsOf(json), {
      secrets: this.#secrets(request),
      retryAfterMs: retryAfterMs(response),
    })
  }

  #unexpected(request: VaultRequest, problem: string, status: number): VaultFailure {
    return new VaultFailure('vault_bad_answer', `${request.path}: ${problem}`, { status })
  }

  /** Where a standby sends us; its scheme, and so its protection, is at least that of the configured address. */
  #target(from: URL, response: Response, request: VaultRequest): URL {
    const location = response.headers.get('location')
    const target = location !== null && URL.canParse(location, from.href) ? new URL(location, from) : undefined
    if (target === undefined) throw this.#unexpected(request, 'redirects to nowhere', response.status)
    if (!mayFollow(from, target)) throw this.#unexpected(request, 'redirects to an address that must not get the token', response.status)
    return target
  }

  #fetch(url: URL, request: VaultRequest, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { 'X-Vault-Request': 'true' }
    if (request.token !== undefined) headers['X-Vault-Token'] = request.token.reveal()
    if (this.#options.namespace !== undefined) headers['X-Vault-Namespace'] = this.#options.namespace
    const json = Object.fromEntries(
      Object.entries(request.body ?? {}).map(([name, value]) => [name, typeof value === 'object' ? value.reveal() : value]),
    )
    return ky(url, {
      method: request.method,
      headers,
      signal,
      // repeating a read makes another role; deadlines and redirects are ours
      retry: 0,
      timeout: false,
      redirect: 'manual',
      throwHttpErrors: false,
      // On a connection that was used before, a runtime repeats a request by itself when the answer is lost, and a repeated read
      // makes another role. This keeps Bun from it; on Deno net/fetch.ts keeps no connection.
      fetch: (input, init) => this.#options.fetch(input, { ...init, keepalive: false }),
      ...(request.body !== undefined && { json }),
    })
  }
}
